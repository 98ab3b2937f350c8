// Shows a page in HtmlUnit until it is killed; run by the JavaScript shell that its archive has inside.
// arguments: the page's address, and the name of a `BrowserVersion`.
try {
  var unit = Packages.com.gargoylesoftware.htmlunit;
  var client = new unit.WebClient(unit.BrowserVersion[arguments[1]]);
  client.getOptions().setThrowExceptionOnScriptError(false);
  // A request holds its thread until the answer's end, and with it every timer of a page that has one thread only.
  for (var threads = 0; threads < 16; threads++) {
    new unit.javascript.background.DefaultJavaScriptExecutor(client).addWindow(client.getCurrentWindow());
  }
  client.getPage(arguments[0]);
  for (;;) {
    java.lang.Thread.sleep(1000);
  }
} catch (error) {
  print(error);
}
