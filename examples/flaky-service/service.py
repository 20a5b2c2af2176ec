#!/usr/bin/env python3
"""Answers 503 twice for each idempotency key, then 200: service.py PORT"""

import collections
import http.server
import json
import sys

seen = collections.Counter()


class Service(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        key = self.headers.get("Idempotency-Key", "")
        seen[key] += 1
        status = 200 if seen[key] > 2 else 503
        answer = json.dumps({"charged": status == 200, "amount": json.loads(body)["amount"]})
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):
        pass


http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Service).serve_forever()
