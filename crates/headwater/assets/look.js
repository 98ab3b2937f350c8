// Language and colours as the reader chose them last, set before anything is painted: a classic script, after the style
// sheets, and old enough for every page. `look` changes them.
var look = (function () {
  "use strict";
  var root = document.documentElement;
  var prefersDark = "(prefers-color-scheme: dark)";

  function stored(name) {
    try { return localStorage.getItem("headwater " + name); } catch (nothingIsStored) { return null; }
  }

  function store(name, value) {
    try { localStorage.setItem("headwater " + name, value); } catch (nothingIsStored) { /* It is asked again. */ }
  }

  function show(theme) {
    root.setAttribute("data-theme", theme);
    document.getElementById("dark").media = theme === "dark" ? "all" : "not all";
  }

  root.lang = stored("language") || (/^zh/.test(navigator.language) ? "zh" : "en");
  if (stored("theme")) { show(stored("theme")); }

  return {
    isChinese: function () { return root.lang === "zh"; },
    isDark: function () {
      var theme = root.getAttribute("data-theme");
      return theme ? theme === "dark" : Boolean(window.matchMedia) && matchMedia(prefersDark).matches;
    },
    speak: function (language) {
      root.lang = language;
      store("language", language);
    },
    paint: function (theme) {
      show(theme);
      store("theme", theme);
    }
  };
})();
