"""Where messages go: to the log of the request that the calling thread runs, else
to the supervisor, else to descriptor 2.

*Threads:* any. Nothing here may print: it would come back.
"""

import os
import sys
import threading
import traceback

from mod_wsgi_pure import native

_PACKAGE = os.path.dirname(os.path.abspath(__file__))

_current = threading.local()
# Set once, at the start: the link to the supervisor.
link = None


def set_destination(exchange):
    """Sends the calling thread's messages to the log of ``exchange``, or, with
    None, no longer to any request's."""
    _current.exchange = exchange


def destination():
    """The exchange of the request that the calling thread runs, or None."""
    return getattr(_current, "exchange", None)


def write(level, message, exchange=None):
    """Logs one or more lines, text or bytes."""
    data = native.encode(message)
    if data.endswith(b"\n"):
        data = data[:-1]
    if link is None or link.is_forked():
        return _write_raw(data)
    exchange = exchange or destination()
    if exchange is not None and exchange.log(level, data):
        return
    if not link.log(level, data):
        _write_raw(data)


def _write_raw(data):
    try:
        os.write(2, data + b"\n")
    except OSError:
        pass  # there is nobody left to tell


def exception(level, message, caught=None):
    """Logs what was caught (as by ``sys.exc_info``) below ``message``."""
    write(level, native.encode(message) + b"\n" + native.encode(describe(caught)))


def describe(caught=None):
    """The traceback of what was caught, without the worker's own frames in front."""
    kind, error, frames = caught or sys.exc_info()
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        frames = frames.tb_next
    try:
        return "".join(traceback.format_exception(kind, error, frames))
    except Exception:  # an exception that can't even be shown
        return "%s that can't be shown" % getattr(kind, "__name__", kind)
    finally:
        del frames, caught
