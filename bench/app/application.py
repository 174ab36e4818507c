"""The application that every server runs: one URL for each workload.

Frameworks are imported and large bodies made by their first request, so that they weigh on no
other workload.
"""

import functools
import os
import time

BLOCK = 65536
LARGE_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "large.bin")
PLAIN = ("Content-Type", "text/plain")

BODY_10K = b"x" * 10240
PIECE_64K = b"x" * BLOCK
TWENTY_HEADERS = [("X-Response-%02d" % n, "value of response header %02d" % n) for n in range(20)]


def answer(start_response, body, headers=()):
    start_response("200 OK", [PLAIN, ("Content-Length", str(len(body))), *headers])
    return [body]


def hello(environ, start_response):
    return answer(start_response, b"Hello world!")


def headers(environ, start_response):
    count = sum(name.startswith("HTTP_X_REQUEST_") for name in environ)
    return answer(start_response, b"%d headers\n" % count, TWENTY_HEADERS)


def body_10k(environ, start_response):
    return answer(start_response, BODY_10K)


def stream_1m(environ, start_response):
    start_response("200 OK", [PLAIN, ("Content-Length", str(16 * BLOCK))])
    return (PIECE_64K for _ in range(16))


def body_16m(environ, start_response):
    return answer(start_response, large_body())


@functools.cache
def large_body():
    return b"x" * (16 << 20)


def file_16m(environ, start_response):
    """Servers without wsgi.file_wrapper get the loop that PEP 3333 shows."""
    file = open(LARGE_FILE, "rb")
    start_response("200 OK", [PLAIN, ("Content-Length", str(os.fstat(file.fileno()).st_size))])
    if "wsgi.file_wrapper" in environ:
        return environ["wsgi.file_wrapper"](file, BLOCK)
    return iter(lambda: file.read(BLOCK), b"")


def upload(environ, start_response):
    body, received = environ["wsgi.input"], 0
    while piece := body.read(BLOCK):
        received += len(piece)
    return answer(start_response, b"%d bytes\n" % received)


def sleep_10ms(environ, start_response):
    time.sleep(0.010)
    return answer(start_response, b"Hello world!")


def flask_view(environ, start_response):
    from flask_site import application

    PAGES["/flask"] = application
    return application(environ, start_response)


def django_view(environ, start_response):
    from django_site import application

    PAGES["/django"] = application
    return application(environ, start_response)


PAGES = {
    "/hello": hello,
    "/headers": headers,
    "/body-10k": body_10k,
    "/stream-1m": stream_1m,
    "/body-16m": body_16m,
    "/file-16m": file_16m,
    "/upload": upload,
    "/sleep-10ms": sleep_10ms,
    "/flask": flask_view,
    "/django": django_view,
}


def application(environ, start_response):
    # mod_proxy_fcgi leaves the path in SCRIPT_NAME.
    path = environ["SCRIPT_NAME"] + environ.get("PATH_INFO", "")
    page = PAGES.get(path)
    if page is None:
        start_response("404 Not Found", [PLAIN])
        return [b"no such workload\n"]
    environ["SCRIPT_NAME"], environ["PATH_INFO"] = "", path
    return page(environ, start_response)
