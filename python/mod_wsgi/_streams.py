"""The text streams of a daemon: what is written to them becomes log lines."""

import io
import sys


class Stream(io.TextIOWrapper):
    """A text stream that stays usable whatever the application does to it."""

    def detach(self):
        raise io.UnsupportedOperation("detach")

    def reconfigure(self, **settings):
        """Ignored: encoding and buffering are the log's."""


def request_errors(stream):
    """The ``wsgi.errors`` on top of a binary stream."""
    return Stream(stream, encoding="utf-8", errors="replace", write_through=True)


class Restricted(object):
    """Stands in for a stream that the application must not use, but may ask about."""

    closed, encoding, errors = False, "utf-8", "backslashreplace"

    def __init__(self, name, directive):
        self.__dict__.update(name="<%s>" % name[4:], _name=name, _directive=directive)

    def isatty(self):
        return False

    def flush(self):
        """Nothing waits."""

    def __getattr__(self, attribute):
        raise IOError("%s access restricted by mod_wsgi; %s Off permits it"
                      % (self._name, self._directive))


def replace(native, restrict_stdin, restrict_stdout):
    """Gives the standard streams their places in the logs."""
    def output(descriptor):
        stream = native.Output(descriptor)
        return Stream(stream, encoding="utf-8", errors="backslashreplace", write_through=True)

    sys.stderr = output(2)
    if restrict_stdout:
        sys.stdout = Restricted("sys.stdout", "WSGIRestrictStdout")
    else:
        sys.stdout = output(1)
    if restrict_stdin:
        sys.stdin = Restricted("sys.stdin", "WSGIRestrictStdin")
