"""The WSGI application that the worker's tests call, in any Python; PATH_INFO names
the part."""

from __future__ import print_function

import contextlib
import hashlib
import io
import logging
import os
import signal
import sys
import threading
import time

import mod_wsgi

PYTHON_2 = sys.version_info[0] == 2
closed = []
kept = {}
PLAIN = [("Content-Type", "text/plain")]


class Closing:
    def __init__(self, items, fail=False):
        self.items, self.fail = iter(items), fail

    def __iter__(self):
        return self.items

    def close(self):
        closed.append(1)
        if self.fail:
            raise ValueError("in close")


def text(start_response, *lines):
    body = "".join("%s\n" % (line,) for line in lines).encode()
    start_response("200 OK", PLAIN + [("Content-Length", str(len(body)))])
    return [body]


def environ(environ, start_response):
    return text(start_response, *("%s=%r" % item for item in sorted(environ.items())))


def echo(environ, start_response):
    return text(start_response, hashlib.md5(environ["wsgi.input"].read()).hexdigest())


def reads(environ, start_response):
    stream = environ["wsgi.input"]
    answers = [stream.read(0), stream.read(3), stream.readline(), stream.readline(2),
               next(stream), stream.readlines(1), stream.read(5), stream.read(), stream.read(),
               stream.readline(), list(stream)]
    try:
        stream.read(None)
    except TypeError:
        answers.append("TypeError")
    return text(start_response, *map(repr, answers))


def lines(environ, start_response):
    count = size = 0
    for line in environ["wsgi.input"]:
        count, size = count + 1, size + len(line)
    return text(start_response, count, size)


def read_error(environ, start_response):
    answers = []
    for _ in range(2):
        try:
            environ["wsgi.input"].read()
        except EnvironmentError as error:
            answers.append(error)
    return text(start_response, *answers)


def read_raises(environ, start_response):
    environ["wsgi.input"].read()


def stream(environ, start_response):
    start_response("200 OK", PLAIN)
    return Closing((b"one", b"", b"two", b"three"))


def paced(environ, start_response):
    start_response("200 OK", PLAIN)

    def pieces():
        for number in range(500):
            time.sleep(0.02)
            yield str(number).encode()
    return Closing(pieces())


def write(environ, start_response):
    put = start_response("201 Created", PLAIN)
    put(b"one")
    put(b"")
    put(b"two")
    return [b"three"]


def big(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"x" * 3000000, b"y" * 10]


def many(environ, start_response):
    start_response("200 OK", PLAIN)
    return [b"0123456789"] * 100000


def empty(environ, start_response):
    start_response("204 No Content", [])
    return []


def early(environ, start_response):
    raise KeyError("early")


def late(environ, start_response):
    start_response("200 OK", PLAIN)

    def pieces():
        yield b"one"
        raise KeyError("late")
    return Closing(pieces())


def lazy(environ, start_response):
    start_response("200 OK", PLAIN)

    def pieces():
        raise KeyError("lazy")
        yield b""
    return Closing(pieces())


def exits(environ, start_response):
    sys.exit(7)


def timeout(environ, start_response):
    raise mod_wsgi.RequestTimeout("too long")


def close_fails(environ, start_response):
    start_response("200 OK", PLAIN)
    return Closing([b"one"], fail=True)


def count_closed(environ, start_response):
    count = len(closed)
    del closed[:]
    return text(start_response, count)


def not_started(environ, start_response):
    return [b"x"]


def never_started(environ, start_response):
    return []


def none(environ, start_response):
    start_response("200 OK", PLAIN)


def raw_bytes(environ, start_response):
    start_response("200 OK", PLAIN)
    return b"bytes"


def string(environ, start_response):
    start_response("200 OK", PLAIN)
    return ["text"]


def wide(environ, start_response):
    start_response("200 OK", PLAIN)
    return [WIDE]


def recovers(environ, start_response):
    start_response("200 OK", PLAIN)
    try:
        raise KeyError("recovered")
    except KeyError:
        start_response("500 Oops", PLAIN, sys.exc_info())
    return [b"sorry"]


def recovers_late(environ, start_response):
    put = start_response("200 OK", PLAIN)
    put(b"one")
    try:
        start_response("200 OK", PLAIN)
    except RuntimeError as error:
        put(str(error).encode())
    try:
        raise KeyError("too late")
    except KeyError:
        start_response("500 Oops", PLAIN, sys.exc_info())


def long(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"abc", b"defgh", b"ij"]


def short(environ, start_response):
    start_response("200 OK", [("Content-Length", "50")])
    return [b"abc"]


def delegated(environ, start_response):
    start_response("200 OK", [("Content-Length", "50"), ("X-Sendfile", "/x")])
    return []


def OTHER(text):
    """The text as the kind of string that is not native."""
    return text.decode() if isinstance(text, bytes) else text.encode()


# More than latin-1, or, where strings are bytes, no string.
WIDE = b"200 \xe2\x82\xac".decode("utf-8")


def validation(environ, start_response):
    answers = []
    for status, headers in [
            (OTHER("200 OK"), []), ("200", []), ("99 x", []), ("1000 x", []), ("200OK", []), ("", []),
            ("200 a\tb", []), (WIDE, []), ("200 OK", ()), ("200 OK", [["a", "b"]]),
            ("200 OK", [("a", "b", "c")]), ("200 OK", [(OTHER("a"), "b")]), ("200 OK", [("a", OTHER("b"))]),
            ("200 OK", [("", "b")]), ("200 OK", [("a b", "c")]), ("200 OK", [("a:b", "c")]),
            ("200 OK", [("a\n", "c")]), ("200 OK", [("a", "b\r\nc")]), ("200 OK", [("a", "b\0")]),
            ("200 OK", [("a", WIDE)]), ("200 OK", [("a", "\xe9")]),
            ("200 OK", [("Content-Length", "+5")]), ("200 OK", [("Content-Length", "")]),
            ("200 OK", [("Content-Length", "5"), ("content-length", "6")])]:
        try:
            start_response(status, headers)
        except Exception as error:
            answers.append(type(error).__name__)
        else:
            answers.append("fine")
    try:
        start_response("200 OK", [], 5)
    except RuntimeError:
        answers.append("RuntimeError")
    return text(start_response, *answers)


def hop_by_hop(environ, start_response):
    start_response("200 OK", PLAIN + [("Transfer-Encoding", "chunked"), ("connection", "close")])
    return [b"x"]


def repeated(environ, start_response):
    start_response("200 Sch\xf6n", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=\xfc")])
    return [b"x"]


def logs(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("first\nsec")
    errors.write(b"ond \xe2\x82\xac\nlast".decode("utf-8"))
    print("printed")
    print("to stderr", file=sys.stderr)
    getattr(sys.stdout, "buffer", sys.stdout).write(b"bytes\n")
    thread = threading.Thread(target=lambda: print("from a thread"))
    thread.start()
    thread.join()
    handler = mod_wsgi.LogHandler()
    handler.emit(logging.LogRecord("x", logging.WARNING, "f", 1, "warned %d", (5,), None))
    print("no newline", end="")
    facts = [errors.name, errors.closed, errors.encoding, sys.stdout.isatty(), sys.stdout.fileno(),
             sys.stderr.fileno(), sys.stderr.closed, sys.stderr.encoding]
    sys.stderr.close()
    return text(start_response, *facts)


def keep(environ, start_response):
    kept.update(environ)
    kept["start_response"] = start_response
    return text(start_response, "kept")


def use_kept(environ, start_response):
    answers = []
    for use in (lambda: kept["wsgi.errors"].write("late\n"), lambda: kept["wsgi.input"].read(),
                lambda: kept["start_response"]("200 OK", [])):
        try:
            use()
            answers.append("fine")
        except RuntimeError:
            answers.append("RuntimeError")
    answers.append(kept["wsgi.errors"] is environ["wsgi.errors"])
    return text(start_response, *answers)


def wrapped(environ, start_response, filelike=None, headers=()):
    start_response("200 OK", PLAIN + list(headers))
    return environ["wsgi.file_wrapper"](filelike or io.BytesIO(b"z" * 20000), 8192)


def file(environ, start_response):
    opened = open(environ["PATH_FILE"], "rb")
    opened.seek(int(environ.get("OFFSET", 0)))
    length = environ.get("LENGTH")
    return wrapped(environ, start_response, opened, [("Content-Length", length)] if length else ())


def module(environ, start_response):
    import apache
    data = mod_wsgi.request_data()
    data["x"] = 1
    answers = [mod_wsgi.version, mod_wsgi.process_group, mod_wsgi.application_group,
               mod_wsgi.maximum_processes, mod_wsgi.threads_per_process,
               dict(mod_wsgi.active_requests), mod_wsgi.request_metrics(),
               mod_wsgi.process_metrics(), mod_wsgi.server_metrics(),
               apache.version, apache.mpm_name, apache.description, sys.argv,
               threading.current_thread().name, __name__.startswith("_mod_wsgi_"),
               __name__ in sys.modules, __file__]
    failures = []
    thread = threading.Thread(target=lambda: failures.append(fails(mod_wsgi.request_data)))
    thread.start()
    thread.join()
    answers.append(failures)
    for name in ("boot", "_mod_wsgi_worker_x"):
        answers.append(fails(lambda: __import__(name)))
    return text(start_response, *answers)


def stubs(environ, start_response):
    """What the .pyi files tell of: names, and the arguments of functions."""
    import apache
    lines = []
    for module in (mod_wsgi, apache):
        names = set(name for name in dir(module) if not name.startswith("_"))
        names -= set(("os", "sys", "time"))
        for name in sorted(names | set(getattr(module, "__all__", ()))):
            item = getattr(module, name)
            code = getattr(item, "__code__", None)
            arguments = list(code.co_varnames[:code.co_argcount]) if code else []
            lines.append(" ".join([module.__name__, name] + arguments))
            if callable(item):
                assert item.__doc__, name
    return text(start_response, *lines)


def fails(function):
    try:
        function()
    except Exception as error:
        return type(error).__name__


def restricted(environ, start_response):
    before = signal.getsignal(signal.SIGTERM)
    answers = [fails(lambda: sys.stdin.read()), signal.signal(signal.SIGTERM, signal.SIG_IGN),
               signal.getsignal(signal.SIGTERM) is before]
    return text(start_response, *answers)


def forks(environ, start_response):
    import multiprocessing
    context = multiprocessing if PYTHON_2 else multiprocessing.get_context("fork")
    process = context.Process(target=time.sleep, args=(60,))
    process.start()
    process.terminate()
    process.join(10)
    other = context.Process(target=print, args=("from the fork",))
    other.start()
    other.join(10)
    return text(start_response, process.exitcode, other.exitcode)


def spawns(environ, start_response):
    import multiprocessing
    context = multiprocessing if PYTHON_2 else multiprocessing.get_context("spawn")
    with contextlib.closing(context.Pool(1)) as pool:
        return text(start_response, pool.map(abs, [-1, -2]))


def parallel(environ, start_response):
    threads = [threading.Thread(target=environ["wsgi.errors"].write, args=("%d\n" % n,))
               for n in range(20)]
    for thread in threads:
        thread.start()
    put = start_response("200 OK", PLAIN)
    for _ in range(50):
        put(b"x" * 1000)
    for thread in threads:
        thread.join()
    return []


def murmurs(environ, start_response):
    def murmur():
        while not os.path.exists(environ["GO"]):
            time.sleep(0.01)
        environ["wsgi.errors"].write("murmured\n")
        open(environ["GO"] + ".said", "w").close()
    thread = threading.Thread(target=murmur)
    thread.start()
    length = len(environ["wsgi.input"].read(10))
    thread.join()
    return text(start_response, length)


def other(environ, start_response):
    return text(start_response, "other callable")


def getenv(environ, start_response):
    import ctypes
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    return text(start_response, libc.getenv(b"WORKER_TEST"), os.environ.get("WORKER_TEST"))


def application(environ, start_response):
    return globals()[environ["PATH_INFO"].strip("/")](environ, start_response)
