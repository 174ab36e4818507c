"""httpd's scoreboard, for ``server_metrics``: a child of httpd is asked, as only httpd's
processes can read it."""

import array
import fcntl
import json
import os
import socket
import time

# Seconds that an answer may take: while httpd restarts there may be nobody to give one.
_PATIENCE = 2.0

_window = None


def open_window(descriptor):
    """Takes over the socket to ask at."""
    global _window
    _window = socket.fromfd(descriptor, socket.AF_UNIX, socket.SOCK_DGRAM)
    os.close(descriptor)
    flags = fcntl.fcntl(_window.fileno(), fcntl.F_GETFD)
    fcntl.fcntl(_window.fileno(), fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)


def read():
    """The scoreboard as a dict; None if this process may not ask, or nobody answers."""
    if _window is None:
        return None
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            _send(there)
        finally:
            there.close()
        return json.loads(_receive(here).decode("utf-8"))
    except (EnvironmentError, socket.error, ValueError):
        return None
    finally:
        here.close()


def _send(there):
    """Sends the end that the answer shall go to."""
    if hasattr(_window, "sendmsg"):
        rights = array.array("i", [there.fileno()]).tobytes()
        _window.sendmsg([b"?"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)],
                        socket.MSG_DONTWAIT)
    else:
        from mod_wsgi_pure import libc
        libc.send(_window.fileno(), b"?", there.fileno())


def _receive(here):
    """Everything that comes, to its end."""
    deadline, pieces = time.time() + _PATIENCE, []
    while True:
        here.settimeout(max(0.001, deadline - time.time()))
        piece = here.recv(65536)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
