"""The text streams of a daemon: what is written to them becomes log lines."""

import io
import sys
import threading

from mod_wsgi_pure import log, native, records


class Lines(object):
    """What was written since the last line's end."""

    def __init__(self, write):
        self._write, self._partial = write, b""

    def push(self, data):
        """Logs the lines that ended, and what is too long to wait."""
        end = data.rfind(b"\n") + 1
        if not end and len(self._partial) + len(data) > records.MAX_LOG:
            end = len(data)
        if end:
            lines, self._partial = self._partial + data[:end], data[end:]
            self._write(lines)
        else:
            self._partial += data

    def end(self):
        """Logs the line that has not ended."""
        rest, self._partial = self._partial, b""
        if rest:
            self._write(rest)

    def __del__(self):
        self.end()


class _Stream(object):
    """A binary stream; its subclasses say where lines go."""

    closed = False

    def write(self, data):
        if not isinstance(data, bytes):
            data = memoryview(data).tobytes()
        self.lines().push(data)
        return len(data)

    def flush(self):
        self.lines().end()

    def close(self):
        pass

    def isatty(self):
        return False

    readable = seekable = isatty

    def writable(self):
        return True


class Errors(_Stream):
    """The stream under a request's ``wsgi.errors``."""

    name = "<wsgi.errors>"

    def __init__(self, exchange):
        self._exchange = exchange
        self._lines = Lines(lambda lines: log.write(records.ERROR, lines, exchange))

    def lines(self):
        return self._lines

    def write(self, data):
        self._exchange.check("wsgi.errors")
        return _Stream.write(self, data)

    def fileno(self):
        raise IOError("wsgi.errors has no descriptor")


class Output(_Stream):
    """The stream under ``sys.stdout`` or ``sys.stderr``: each thread has lines of
    its own."""

    def __init__(self, descriptor, name):
        self._descriptor, self.name = descriptor, name
        self._threads = threading.local()

    def lines(self):
        try:
            return self._threads.lines
        except AttributeError:
            lines = Lines(lambda lines: log.write(records.ERROR, lines))
            self._threads.lines = lines
            return lines

    def fileno(self):
        return self._descriptor


if native.PYTHON_2:
    class Text(object):
        """A stream as Python 2 has it, for ``str`` and ``unicode``."""

        encoding, errors, mode, newlines, closed = "utf-8", "replace", "w", None, False

        def __init__(self, stream, errors):
            self.buffer, self.name, self.softspace = stream, stream.name, 0
            self.flush, self.isatty, self.fileno = stream.flush, stream.isatty, stream.fileno

        def write(self, text):
            self.buffer.write(native.encode(text))

        def writelines(self, lines):
            for line in lines:
                self.write(line)

        def close(self):
            pass
else:
    class Text(io.TextIOWrapper):
        """A text stream that stays usable whatever the application does to it."""

        def __init__(self, stream, errors):
            io.TextIOWrapper.__init__(
                self, stream, encoding="utf-8", errors=errors, write_through=True)

        def detach(self):
            raise io.UnsupportedOperation("detach")

        def reconfigure(self, **settings):
            """Ignored: encoding and buffering are the log's."""


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

    def close(self):
        """Does nothing: multiprocessing closes the input of a new process."""


_standard = Output(1, "<stdout>"), Output(2, "<stderr>")


def replace(restrict_stdin, restrict_stdout):
    """Gives the standard streams their places in the logs."""
    output, errors = _standard
    sys.stderr = Text(errors, "backslashreplace")
    if restrict_stdout:
        sys.stdout = Restricted("sys.stdout", "WSGIRestrictStdout")
    else:
        sys.stdout = Text(output, "backslashreplace")
    if restrict_stdin:
        sys.stdin = Restricted("sys.stdin", "WSGIRestrictStdin")


def end_lines():
    """Logs what the calling thread printed without ending the line."""
    for stream in _standard:
        stream.flush()
