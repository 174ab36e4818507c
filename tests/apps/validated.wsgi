"""An ordinary application under wsgiref's validator, which judges the server."""

from wsgiref.validate import validator


def plain(environ, start_response):
    body = b""
    if environ["REQUEST_METHOD"] == "POST":
        source = environ["wsgi.input"]
        length = int(environ["CONTENT_LENGTH"])
        first = source.readline(1000)
        body = first + source.read(length - len(first))
    environ["wsgi.errors"].write("")
    environ["wsgi.errors"].flush()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"valid:", body])


application = validator(plain)
