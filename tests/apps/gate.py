"""The application's side of the tests' gates: say who is here, wait to be let in."""

import os
import socket

try:
    from urllib.parse import parse_qs
except ImportError:  # Python 2
    from urlparse import parse_qs


class Gate:
    """One visit; `wait` may be called again to stop at the same gate once more."""

    def __init__(self, environ):
        query = parse_qs(environ["QUERY_STRING"])
        self.connection = socket.create_connection(("127.0.0.1", int(query["gate"][0])))

    def wait(self, name=None):
        text = "%s\n" % (os.getpid() if name is None else name)
        self.connection.sendall(text.encode("latin-1"))
        return self.connection.recv(3)

    def say(self, name):
        """Tells the test something without waiting for an answer."""
        self.connection.sendall(("%s\n" % name).encode("latin-1"))


def wait(environ, name=None):
    return Gate(environ).wait(name)
