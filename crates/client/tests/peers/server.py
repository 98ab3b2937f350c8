"""Numbered events, a few per connection, from where the client is; after the last one, 204. In HTTP/1.0, with
line ends of every kind, and in pieces that end anywhere. Prints its URL."""

import http.server
import json

EVENTS = 30
PER_CONNECTION = 7


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen = int(self.headers.get("Last-Event-ID", "0"))
        if seen >= EVENTS:
            self.send_response(204)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.end_headers()
        stream = "\ufeff: hello\n\nretry: 1\n\n"
        for n in range(seen + 1, min(seen + PER_CONNECTION, EVENTS) + 1):
            end = ["\n", "\r", "\r\n"][n % 3]
            data = json.dumps({"n": n, "text": "é\n\U0001f4a9"}, ensure_ascii=False)
            kind = "odd" if n % 2 else "even"
            stream += end.join([f"id:{n}", f"event: {kind}", f"data: {data}", ":", "", ""])
        # An event that is cut off is none.
        stream += "id: 99\ndata: half"
        encoded = stream.encode()
        for begin in range(0, len(encoded), 11):
            self.wfile.write(encoded[begin : begin + 11])
            self.wfile.flush()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
