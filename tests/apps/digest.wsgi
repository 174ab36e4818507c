"""Answers with the body's digest and the body, so that a mixed-up response shows."""

import hashlib
import time


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    digest = hashlib.sha256(body).hexdigest().encode()
    if len(body) % 7 == 0:
        time.sleep(0.01)
    if len(body) % 3 == 0:
        start_response("200 OK", [])
        return iter([digest, b"\n", body])
    start_response("200 OK", [("Content-Length", str(65 + len(body)))])
    return [digest + b"\n", body]
