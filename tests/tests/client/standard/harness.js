// What the sentences are told with. `sentence(text, test)` adds one; `run` runs them all and names what failed.

const sentences = [];
const LIMIT_MS = 60000;
/** Fewer than the connections that a page has to a host. */
const AT_ONCE = 2;

/** The other origin, which is another server of the same kind. */
let elsewhere;
/** What sources run over; what they find themselves if it is empty. */
let over;

function sentence(text, test) {
  sentences.push([text, test]);
}

/** Runs all but those that are named in `without`, between commas. */
async function run(other, transport, without) {
  elsewhere = other;
  over = transport;
  const failed = [];
  const waiting = sentences.filter(([text]) => !without.split(",").includes(text));
  const runner = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [text, test] = next;
      const sources = [];
      try {
        await within(test(opener(sources)));
      } catch (error) {
        failed.push(text + " · " + error);
      }
      sources.forEach((source) => source.close());
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, runner));
  return failed;
}

/** Opens a source that is closed at the end of its test. */
function opener(sources) {
  return (url, init) => {
    const options = over ? { transport: over, ...init } : init;
    const source = new headwater.HeadwaterEventSource(url, options);
    sources.push(source);
    return source;
  };
}

function within(promise) {
  return new Promise((yes, no) => {
    setTimeout(() => no(new Error("nothing came")), LIMIT_MS);
    promise.then(yes, no);
  });
}

/** Bytes that are no text, percent-encoded. */
function bytes(encoded) {
  return { encoded };
}

/**
 * The address of an answer. `piece`s are sent one by one, `then` for those of every request after the first of the
 * same `key`; `hold` leaves the connection open behind them, `"then"` behind the later ones only.
 */
function answer(given) {
  const { at = "/answer", ...asked } = { type: "text/event-stream", key: Math.random(), ...given };
  const pairs = Object.entries(asked).flatMap(([name, values]) =>
    [values].flat().map((value) => {
      const text = name === "hold" && value === true ? "" : value;
      return name + "=" + (text?.encoded ?? encodeURIComponent(text));
    }),
  );
  return at + "?" + pairs.join("&");
}

/** The next event of a type; `error` only of a source that is closed, unless it is what is waited for. */
function next(source, type) {
  return new Promise((yes, no) => {
    source.addEventListener(type, yes, { once: true });
    if (type !== "error") {
      source.addEventListener("error", (event) => {
        if (source.readyState === 2) {
          no(new Error(`closed: ${event.status} ${event.message}`));
        }
      });
    }
  });
}

/** So many events of a type. */
function some(source, count, type = "message") {
  const events = [];
  return new Promise((yes, no) => {
    source.addEventListener(type, (event) => {
      if (events.push(event) === count) {
        yes(events);
      }
    });
    next(source, "never").catch(no);
  });
}

/** The data of so many events of a stream, which stays open behind them. */
async function data(open, piece, count, type) {
  const source = open(answer({ piece, hold: true }));
  const events = await some(source, count, type);
  source.close();
  return events.map((event) => event.data);
}

/** Bytes of UTF-8 as hexadecimal digits, as the server shows a header field. */
function hex(text) {
  return [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function is(found, expected) {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`${JSON.stringify(found)}, not ${JSON.stringify(expected)}`);
  }
}

function throws(name, f) {
  try {
    f();
  } catch (error) {
    is(error.name, name);
    return error;
  }
  throw new Error(`no ${name}`);
}
