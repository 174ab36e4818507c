"""Which of two variables are in os.environ, and one that is in the environ only."""

import os


def application(environ, start_response):
    found = [name for name in ("FROM_SETENV", "FROM_HTTPD") if name in os.environ]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [",".join(found + [environ["FROM_SETENV"]]).encode("latin-1")]
