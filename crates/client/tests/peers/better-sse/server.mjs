// Numbered events, a few per connection, from where the client is; after the last one, 204. Comments in
// between keep the connection alive. Prints its URL.
import { createServer } from "node:http";
import betterSse from "better-sse";

const EVENTS = 30;
const PER_CONNECTION = 7;

const server = createServer(async (request, response) => {
  const seen = Number(request.headers["last-event-id"] ?? 0);
  if (seen >= EVENTS) {
    response.writeHead(204).end();
    return;
  }
  const session = await betterSse.createSession(request, response, { retry: 1, keepAlive: 5 });
  for (let n = seen + 1; n <= Math.min(seen + PER_CONNECTION, EVENTS); n += 1) {
    session.push({ n, text: "é\n\u{1F4A9}" }, n % 2 ? "odd" : "even", String(n));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  if (seen % 2) response.end();
  else request.socket.destroy();
});

server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/`));
