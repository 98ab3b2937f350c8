// better-sse's channels, as its documentation shows them; the only argument is the address to listen on.
import { createServer } from "node:http";
import { createChannel, createSession } from "better-sse";

const channels = new Map();

function channelOf(topic) {
  let channel = channels.get(topic);
  if (!channel) {
    channel = createChannel();
    channels.set(topic, channel);
  }
  return channel;
}

async function publish(request, topic) {
  request.setEncoding("utf8");
  let data = "";
  for await (const piece of request) data += piece;
  channels.get(topic)?.broadcast(data);
}

const server = createServer(async (request, response) => {
  const topic = request.url.slice(request.url.lastIndexOf("/") + 1);
  if (request.method === "POST") {
    await publish(request, topic);
    response.end();
    return;
  }
  const session = await createSession(request, response, { serializer: (data) => data });
  channelOf(topic).register(session);
});

const [host, port] = process.argv[2].split(":");
server.listen({ host, port: Number(port), backlog: 4096 });
