// The same in a worker.

importScripts("/client.js", "/harness.js", "/interface.js", "/stream.js", "/request.js");

onmessage = async ({ data: { other, transport, without } }) => postMessage(await run(other, transport, without));
