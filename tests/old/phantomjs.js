// Shows a page in PhantomJS until it is killed; without its EventSource, as in Internet Explorer.
var page = require("webpage").create();

page.onInitialized = function () {
  page.evaluate(function () {
    window.EventSource = undefined;
  });
};
page.onConsoleMessage = page.onError = function (message) {
  console.log(message);
};
page.open(require("system").args[1], function (status) {
  console.log(status);
});
