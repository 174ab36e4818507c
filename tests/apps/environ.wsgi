"""Shows the environ: one "key type value" line for each key, the value as repr."""


def application(environ, start_response):
    lines = ["%s %s %r" % (key, type(value).__name__, value) for key, value in environ.items()]
    body = "\n".join(sorted(lines)).encode("latin-1", "backslashreplace")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
