// Language and colours as the reader chose them last, set before anything is painted. A classic script for that.
(function () {
  "use strict";
  var root = document.documentElement;
  var language = null;
  var theme = null;
  try {
    language = localStorage.getItem("headwater language");
    theme = localStorage.getItem("headwater theme");
  } catch (nothingIsStored) { /* Then the browser's own wishes hold. */ }
  root.lang = language || (/^zh/.test(navigator.language) ? "zh" : "en");
  if (theme) { root.setAttribute("data-theme", theme); }
})();
