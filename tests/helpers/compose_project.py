"""A project of two services for docker-compose: ``web`` answers at a port of the host, with what ``db`` has."""

from __future__ import annotations

import json
import urllib.request

_DB = (
    "mkdir -p /data/www && echo kept > /data/www/index.html && exec python3 -m http.server 5432 -d /data/www"
)
_WEB = """
import http.server as h, urllib.request as u
class Front(h.BaseHTTPRequestHandler):
    def do_GET(self):
        body = u.urlopen("http://db:5432/", timeout=5).read()
        self.send_response(200); self.end_headers(); self.wfile.write(body)
h.ThreadingHTTPServer(("", 80), Front).serve_forever()
"""
_FORM = """
version: "2.4"
services:
  db:
    image: host
    command: ["sh", "-c", {db}]
    volumes: ["data:/data"]
  web:
    image: host
    depends_on: [db]
    command: ["python3", "-c", {web}]
    ports: ["18110-18119:80"]
volumes:
  data:
"""
PROJECT = _FORM.format(db=json.dumps(_DB), web=json.dumps(_WEB))
"""Its docker-compose.yml; YAML reads JSON's strings."""


def served(port: int) -> bytes:
    """What the front end has from the other service; empty: it does not answer (yet)."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            body: bytes = answer.read()
            return body
    except OSError:
        return b""
