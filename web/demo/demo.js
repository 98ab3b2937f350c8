// The page of `headwater demo`. Plain old JavaScript, so that the page also runs where there is no EventSource.
(function () {
  "use strict";

  var RESULT_LINES_MAX = 24;
  var EVENTS_MAX = 20;
  var POLL_WAIT_S = 25;
  var POLL_RETRY_MS = 3000;
  var HIDDEN_MS_MAX = 10000;
  var COPIED_MS = 1500;

  var hasEventSource = typeof EventSource !== "undefined";
  var origin = location.protocol + "//" + location.host;
  var clock = null;
  var feed = null;
  var feedTopic = null;
  var feedPosition = null;
  var hiddenTimer = null;

  function byId(id) {
    return document.getElementById(id);
  }

  // ---- The server's clock: the classic example ------------------------------------------------

  function openClock() {
    setState("connecting", "Connecting", "正在连接");
    if (!hasEventSource) {
      return poll("/events/time", "", {
        answered: function () { setState("open", "Open: asking by long poll", "已连接：长轮询"); },
        event: function (event) { appendTime(event.data); },
        gap: function (gap) { appendGap(byId("result"), gap); },
        failed: function (again) { clockFailed(again); }
      });
    }
    var source = new EventSource("/events/time");
    source.onopen = function () {
      setState("open", "Open", "已连接");
    };
    source.onmessage = function (event) {
      appendTime(event.data);
    };
    source.onerror = function () {
      clockFailed(source.readyState !== EventSource.CLOSED);
    };
    source.addEventListener("hub.gap", function (event) {
      appendGap(byId("result"), JSON.parse(event.data));
    });
    return source;
  }

  function clockFailed(again) {
    if (again) {
      setState("connecting", "Connection lost, trying again", "连接断开，正在重试");
    } else {
      setState("closed", "Closed: reload the page to try again", "已关闭：刷新页面重试");
    }
  }

  function setState(state, en, zh) {
    byId("state").setAttribute("data-state", state);
    put(byId("state"), en, zh);
  }

  // The time of day stands out; the line's text is the event's data, unchanged.
  function appendTime(data) {
    var line = document.createElement("li");
    var part = /^([^]*?)(\d\d:\d\d:\d\d)([^]*)$/.exec(data);
    if (part) {
      line.appendChild(element("span", "before", part[1]));
      line.appendChild(element("b", "", part[2]));
      line.appendChild(element("span", "after", part[3]));
    } else {
      line.textContent = data;
    }
    byId("result").appendChild(line);
    keepAtMost(byId("result"), RESULT_LINES_MAX, "firstChild");
    sendDrop("clock");
  }

  // ---- The form's topic: publish, and see it come back ----------------------------------------

  function openFeed() {
    var query = feedPosition === null ? "since=-20" : "last_event_id=" + encodeURIComponent(feedPosition);
    if (!hasEventSource) {
      return poll(path(feedTopic), query, {
        answered: function (position) { feedPosition = position; },
        event: showEvent,
        gap: function (gap) { appendGap(byId("events"), gap); },
        failed: function (again) { feedFailed(again); }
      });
    }
    // The envelope tells the topics and the hub's time beside the data.
    var source = new EventSource(path(feedTopic) + "?envelope=json&" + query);
    source.addEventListener("hub.open", function (event) {
      feedPosition = event.lastEventId;
    });
    source.onmessage = function (event) {
      feedPosition = event.lastEventId;
      showEvent(JSON.parse(event.data));
    };
    source.onerror = function () {
      feedFailed(source.readyState !== EventSource.CLOSED);
    };
    source.addEventListener("hub.gap", function (event) {
      feedPosition = event.lastEventId;
      appendGap(byId("events"), JSON.parse(event.data));
    });
    return source;
  }

  // While it tries again, the clock's state says so already.
  function feedFailed(again) {
    if (!again) {
      say(true, "The hub does not let this page listen to " + feedTopic + ". Try another topic.",
        "枢纽不允许本页收听 " + feedTopic + "，请换一个主题。");
    }
  }

  function chooseTopic() {
    var topic = byId("topic").value;
    if (topic === "" || topic === feedTopic) { return; }
    if (feed) { feed.close(); }
    feedTopic = topic;
    feedPosition = null;
    byId("events").textContent = "";
    byId("listening").textContent = topic;
    byId("empty").hidden = false;
    feed = openFeed();
  }

  function showEvent(event) {
    var entry = document.createElement("li");
    var meta = element("p", "meta", "");
    var time = element("time", "", new Date(event.time).toLocaleTimeString());
    time.setAttribute("datetime", event.time);
    var facts = [
      element("span", "topic", event.topics.join(", ")),
      element("span", "", event.type),
      time,
      element("code", "", event.id)
    ];
    for (var i = 0; i < facts.length; i++) {
      meta.appendChild(facts[i]);
      meta.appendChild(document.createTextNode(" "));
    }
    entry.appendChild(element("p", "data", event.data));
    entry.appendChild(meta);
    prepend(entry);
    sendDrop("form");
  }

  function prepend(entry) {
    var list = byId("events");
    list.insertBefore(entry, list.firstChild);
    keepAtMost(list, EVENTS_MAX, "lastChild");
    byId("empty").hidden = true;
  }

  function publish(submit) {
    submit.preventDefault();
    chooseTopic();
    var url = path(byId("topic").value);
    var body = byId("data").value;
    if (!window.fetch) {
      request("POST", url, body, published);
      return;
    }
    fetch(url, { method: "POST", body: body }).then(function (response) {
      return response.text().then(function (text) { published(response.status, text); });
    })["catch"](function () {
      published(0, "");
    });
  }

  function published(status, text) {
    if (status === 0) {
      say(true, "The hub does not answer. Is it still running?", "枢纽没有回应，它还在运行吗？");
      return;
    }
    var answer = {};
    try { answer = JSON.parse(text); } catch (notJson) { /* A proxy's own page: the status has to do. */ }
    if (status === 200) {
      say(false, "Published as " + answer.id, "已发布，编号 " + answer.id);
    } else {
      say(true, answer.detail || "The hub answered " + status + ".", answer.detail || "枢纽回应 " + status + "。");
    }
  }

  function say(failed, en, zh) {
    byId("answer").className = failed ? "answer failed" : "answer";
    put(byId("answer"), en, zh);
  }

  // ---- Without EventSource: the hub's long poll -------------------------------------------------

  // Asks, waits for the answer, and asks again from where it ended. `failed` hears whether it will try again.
  function poll(url, query, handlers) {
    var current = null;
    var timer = null;
    var closed = false;

    function ask() {
      current = request("GET", url + "?wait=" + POLL_WAIT_S + (query ? "&" + query : ""), null, function (status, text) {
        if (closed) { return; }
        if (status !== 200) {
          var again = status === 0 || status === 429 || status >= 500;
          if (again) { timer = setTimeout(ask, POLL_RETRY_MS); }
          handlers.failed(again);
          return;
        }
        var answer = JSON.parse(text);
        query = "last_event_id=" + encodeURIComponent(answer.last_event_id);
        handlers.answered(answer.last_event_id);
        if (answer.gap) { handlers.gap(answer.gap); }
        for (var i = 0; i < answer.events.length; i++) { handlers.event(answer.events[i]); }
        ask();
      });
    }

    ask();
    return {
      close: function () {
        closed = true;
        clearTimeout(timer);
        current.abort();
      }
    };
  }

  function request(method, url, body, done) {
    var xhr = new XMLHttpRequest();
    xhr.open(method, url);
    xhr.setRequestHeader("Accept", "application/json");
    xhr.onreadystatechange = function () {
      if (xhr.readyState === 4) { done(xhr.status, xhr.responseText); }
    };
    xhr.send(body);
    return xhr;
  }

  // ---- A hidden page lets go --------------------------------------------------------------------

  // A browser has six connections to a host under HTTP/1.1, for all its tabs together, and a page here holds two of
  // them. So a page that nobody sees closes its own, and goes on from its last event id when it is seen again.
  function visibilityChanged() {
    clearTimeout(hiddenTimer);
    if (document.hidden) {
      hiddenTimer = setTimeout(letGo, HIDDEN_MS_MAX);
    } else if (!clock) {
      clock = openClock();
      feed = openFeed();
    }
  }

  function letGo() {
    clock.close();
    feed.close();
    clock = feed = null;
    setState("closed", "Resting while the page is hidden", "页面隐藏，暂停中");
  }

  // ---- Two languages, light and dark --------------------------------------------------------------

  // English is in the page, and Chinese beside it, in an attribute.
  function put(node, en, zh) {
    node.setAttribute("data-en", en);
    node.setAttribute("data-zh", zh);
    translate(node);
  }

  function translate(node) {
    if (!node.getAttribute("data-en")) { node.setAttribute("data-en", node.textContent); }
    node.textContent = node.getAttribute(look.isChinese() ? "data-zh" : "data-en");
  }

  function translateAll() {
    var nodes = document.querySelectorAll("[data-zh]");
    for (var i = 0; i < nodes.length; i++) { translate(nodes[i]); }
    byId("language").lang = look.isChinese() ? "en" : "zh";
  }

  function changeLanguage() {
    look.speak(look.isChinese() ? "en" : "zh");
    translateAll();
  }

  function changeTheme() {
    look.paint(look.isDark() ? "light" : "dark");
    showTheme();
  }

  function showTheme() {
    byId("theme").setAttribute("aria-pressed", String(look.isDark()));
  }

  // ---- Small things -----------------------------------------------------------------------------

  function path(topic) {
    return "/events/" + encodeURIComponent(topic).replace(/%2F/g, "/");
  }

  function element(name, className, text) {
    var made = document.createElement(name);
    if (className) { made.className = className; }
    made.textContent = text;
    return made;
  }

  function keepAtMost(list, count, oldest) {
    while (list.children.length > count) { list.removeChild(list[oldest]); }
  }

  // Events were removed before this page could read them: say so where they are missing.
  function appendGap(list, gap) {
    var line = element("li", "gap", "");
    if (gap.resumed) {
      put(line, "Some events are gone; it goes on at " + gap.resumed, "有些事件已不可得，从 " + gap.resumed + " 继续");
    } else {
      put(line, "Some events are gone; it goes on with the next one", "有些事件已不可得，从下一条继续");
    }
    if (list.id === "events") { prepend(line); } else { list.appendChild(line); }
  }

  // Lets one drop run down the river in the header.
  function sendDrop(from) {
    var river = byId("river");
    river.setAttribute("class", "river");
    river.getBoundingClientRect(); // Makes the browser notice, so that the animation starts anew.
    river.setAttribute("class", "river " + from);
  }

  function quote(text) {
    return "'" + text.replace(/'/g, "'\\''") + "'";
  }

  function showCommands() {
    var url = origin + path(byId("topic").value);
    if (/[^\w\-.~\/:%]/.test(url)) { url = quote(url); }
    var data = byId("data").value;
    // With -d, curl takes what follows an @ for the name of a file.
    var flag = data.charAt(0) === "@" ? "--data-raw " : "-d ";
    byId("curl-publish").textContent = "curl " + flag + quote(data) + " " + url;
    byId("curl-listen").textContent = "curl -N " + url;
  }

  function copy(click) {
    var button = click.currentTarget;
    var source = byId(button.getAttribute("data-copy"));
    function copied() {
      button.className = "copied";
      setTimeout(function () { button.className = ""; }, COPIED_MS);
    }
    // What cannot be copied stays selected, for the reader's own hand.
    function copySelected() {
      var range = document.createRange();
      range.selectNodeContents(source);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      if (document.execCommand("copy")) { copied(); }
    }
    if (navigator.clipboard) {
      navigator.clipboard.writeText(source.textContent).then(copied, copySelected);
    } else {
      copySelected();
    }
  }

  if (hasEventSource) {
    put(byId("support"), "This browser has EventSource: server-sent events it is.",
      "此浏览器支持 EventSource：就用服务器推送事件。");
  } else {
    put(byId("support"), "This browser has no EventSource, so the page asks by long poll: a question that waits for its answer, again and again.",
      "此浏览器没有 EventSource，页面改用长轮询：一再提问，等待回答。");
  }

  var copyButtons = document.querySelectorAll("[data-copy]");
  for (var i = 0; i < copyButtons.length; i++) { copyButtons[i].addEventListener("click", copy); }
  byId("publish").addEventListener("submit", publish);
  byId("publish").addEventListener("input", showCommands);
  byId("topic").addEventListener("change", chooseTopic);
  document.addEventListener("visibilitychange", visibilityChanged);
  byId("language").addEventListener("click", changeLanguage);
  byId("theme").addEventListener("click", changeTheme);
  translateAll();
  showTheme();
  showCommands();
  clock = openClock();
  chooseTopic();
})();
