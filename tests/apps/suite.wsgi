"""What WSGI promises, one case for each URL, in the words that Python 2 and 3 have in common."""

import io
import os
import sys

TEXT = [("Content-Type", "text/plain")]
closed = []


def headers(environ, start_response):
    start_response("299 Fine Indeed", TEXT + [("X-A", "1"), ("x-b", "2"), ("X-A", "3")])
    return []


def write(environ, start_response):
    send = start_response("200 OK", list(dict(TEXT).items()))
    for piece in (b"a", b"", b"b" * 70000):
        send(piece)
    return [b"c", b"d"]


def stream(environ, start_response):
    start_response("200 OK", TEXT)
    return (("%d\n" % n).encode("ascii") for n in range(3))


def file(environ, start_response):
    start_response("200 OK", TEXT)
    source = open(__file__, "rb")
    source.seek(3)
    return environ["wsgi.file_wrapper"](source)


def memory(environ, start_response):
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"memory"), 2)


def replaced(environ, start_response):
    start_response("200 OK", TEXT)
    try:
        raise KeyError("lost")
    except KeyError:
        start_response("503 Sorry", TEXT, sys.exc_info())
    return [b"sorry"]


def late(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "10")])
    yield b"begin"
    raise ValueError("late in " + environ["mod_wsgi.process_group"])


def silent(environ, start_response):
    return [b"no status"]


def text(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"text".decode("ascii")]


class Closing(object):
    def __iter__(self):
        return iter([b"closing"])

    def close(self):
        closed.append(True)


def closing(environ, start_response):
    start_response("200 OK", TEXT)
    return Closing()


def count_closed(environ, start_response):
    start_response("200 OK", TEXT)
    return [str(len(closed)).encode("ascii")]


def echo(environ, start_response):
    source = environ["wsgi.input"]
    pieces = [source.read(1), source.readline(), source.readline(2)]
    pieces += source.readlines(1)
    pieces += list(source)
    assert source.read() == b""
    start_response("200 OK", TEXT)
    return pieces


def errors(environ, start_response):
    group = environ["mod_wsgi.process_group"]
    environ["wsgi.errors"].write("error of " + group + "\n")
    environ["wsgi.errors"].writelines(["line one of ", group, "\n"])
    print("printed by " + group)
    start_response("200 OK", TEXT)
    return []


def environ(environ, start_response):
    assert type(environ) is dict
    for name, value in environ.items():
        assert type(name) is str, name
        if name.isupper():
            assert type(value) is str, name
    assert environ["wsgi.version"] == (1, 0)
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["mod_wsgi.python_version"] == "%d.%d.%d" % sys.version_info[:3]
    assert environ["mod_wsgi.python_executable"] == sys.executable
    assert os.path.isabs(__file__) and sys.argv == ["mod_wsgi"]
    start_response("200 OK", TEXT)
    names = ["SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "HTTP_X", "CONTENT_LENGTH"]
    found = [name + "=" + environ[name] for name in names if name in environ]
    return [" ".join(found).encode("latin-1")]


def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/").split("/")[0]
    return globals()[name](environ, start_response)
