// The two languages of the pages, and the elements that carry their words.

/** The text of these two that the reader wants. */
export function t(en, zh) {
  return language() === "zh" ? zh : en;
}

export function language() {
  return window.look.isChinese() ? "zh" : "en";
}

/** Gives an element a text in both languages, or an attribute of it. */
export function say(element, en, zh, attribute = "") {
  element.words = { ...element.words, [attribute]: [en, zh] };
  element.setAttribute("data-words", "");
  show(element);
  return element;
}

/** Changes the language; what else depends on it listens for the document's `language`. */
export function speak(wanted) {
  window.look.speak(wanted);
  document.querySelectorAll("[data-words]").forEach(show);
  document.dispatchEvent(new Event("language"));
}

/** An element: `make("p.note", { role: "status" }, ...children)`. */
export function make(kind, attributes = {}, ...children) {
  const [name, ...classes] = kind.split(".");
  const element = document.createElement(name);
  element.className = classes.join(" ");
  for (const [attribute, value] of Object.entries(attributes)) {
    element.setAttribute(attribute, value);
  }
  element.append(...children);
  return element;
}

/** An element with a text in both languages. */
export function word(kind, en, zh, attributes) {
  return say(make(kind, attributes), en, zh);
}

/** A time of day. */
export function time(date) {
  return new Date(date).toLocaleTimeString(language() === "zh" ? "zh-CN" : "en-GB");
}

/** A number, with so many digits behind the point. */
export function number(value, digits = 0) {
  return value.toLocaleString(language() === "zh" ? "zh-CN" : "en-GB", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

function show(element) {
  for (const [attribute, [en, zh]] of Object.entries(element.words)) {
    if (attribute) {
      element.setAttribute(attribute, t(en, zh));
    } else {
      element.textContent = t(en, zh);
    }
  }
}
