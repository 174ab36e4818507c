"""Karrigell 4 as a WSGI application, for Python 3.

Place this file beside the folder of your Karrigell application, set APPS, and
map a URL to it; README.md beside this file tells how.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
if HERE not in sys.path:
    sys.path.insert(0, HERE)

import email.message

import Karrigell


class Site(Karrigell.App):
    root_url = "/"
    root_dir = os.environ.get("KARRIGELL_ROOT", os.path.join(HERE, "www"))


# The applications to serve, whatever the host that a client asks for.
APPS = [Site]

UNSAFE = """\
CONFIGURATION ERROR

Karrigell's scripts may change the working directory or the standard output of
their process. This process would let them do so to other requests or other
applications: it %s.

Give Karrigell processes of its own that run one request at a time:

    WSGIDaemonProcess karrigell processes=5 threads=1
    <Directory %s>
        WSGIProcessGroup karrigell
    </Directory>
"""


def danger(environ):
    """Why Karrigell must not run in this process, if so."""
    if not environ["mod_wsgi.process_group"]:
        return "belongs to no process group"
    if environ["wsgi.multithread"]:
        return "has more than one thread"


class Aliases:
    """Applications by the first part of the path; Karrigell 4.3 asks for host and path.
    httpd has chosen the host."""

    def __init__(self, apps):
        self.apps = {app.root_url.strip("/"): app for app in apps}

    def __contains__(self, key):
        return self.first_part(key) in self.apps

    def __getitem__(self, key):
        return self.apps[self.first_part(key)]

    def first_part(self, key):
        return key[1] if isinstance(key, tuple) else key


class Server:
    """What Karrigell asks the server for that it expects around it."""

    def __init__(self, environ):
        self.server_name = environ["SERVER_NAME"]
        self.server_port = int(environ["SERVER_PORT"])


class Output:
    """The file that a handler writes its page to."""

    def __init__(self, handler):
        self.write = handler.write

    def flush(self):
        pass


def request_headers(environ):
    """The request's header fields, as Python's own HTTP server has them."""
    headers = email.message.Message()
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            headers[name[5:].replace("_", "-").title()] = value
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").title()] = environ[name]
    # Karrigell takes the host from here, and HTTP/1.0 does not need to send it.
    if "Host" not in headers:
        headers["Host"] = environ["SERVER_NAME"]
    return headers


class Handler(Karrigell.RequestHandler):
    """One request, which comes from WSGI's environ instead of a socket."""

    apps, alias = APPS, Aliases(APPS)

    def __init__(self, environ, start_response):
        self.environ, self.start_response = environ, start_response
        self.server = Server(environ)
        self.client_address = environ["REMOTE_ADDR"], int(environ["REMOTE_PORT"])
        self.command = environ["REQUEST_METHOD"]
        self.path = environ["REQUEST_URI"]
        self.request_version = self.protocol_version = environ["SERVER_PROTOCOL"]
        self.requestline = " ".join([self.command, self.path, self.request_version])
        self.headers = request_headers(environ)
        self.rfile, self.wfile = environ["wsgi.input"], Output(self)
        self.close_connection = True
        self.status, self.fields, self.write_body = None, [], None

    def respond(self):
        # Karrigell knows no HEAD; httpd leaves out the body of such a response.
        methods = {"GET": self.do_GET, "HEAD": self.do_GET, "POST": self.do_POST}
        if self.command in methods:
            methods[self.command]()
        else:
            self.send_error(501, "Unsupported method")
        self.end_headers()

    def done(self, code, infile):
        # Karrigell announces the length that a page had before it was compressed.
        if "Content-length" in self.resp_headers:
            length = infile.seek(0, os.SEEK_END)
            self.resp_headers.replace_header("Content-length", str(length))
        Karrigell.RequestHandler.done(self, code, infile)

    def send_response_only(self, code, message=None):
        self.status = "%d %s" % (code, message or self.responses.get(code, ("",))[0])

    def send_response(self, code, message=None):
        # Date and Server are httpd's.
        self.send_response_only(code, message)

    def send_header(self, name, value):
        # httpd manages the connection.
        if name.lower() != "connection":
            self.fields.append((name, str(value)))

    def end_headers(self):
        """Starts the response, once."""
        if self.write_body is None:
            if self.status is None:
                raise RuntimeError("Karrigell wrote a page before it gave a status")
            self.write_body = self.start_response(self.status, self.fields)

    def write(self, data):
        self.end_headers()
        if data:
            self.write_body(data)

    def log_message(self, format, *args):
        """Requests are in httpd's access log already."""

    def log_error(self, format, *args):
        self.environ["wsgi.errors"].write("%s\n" % (format % args))


def application(environ, start_response):
    why = danger(environ)
    if why:
        page = (UNSAFE % (why, HERE)).encode("utf-8")
        start_response("500 Internal Server Error", [
            ("Content-Type", "text/plain"), ("Content-Length", str(len(page)))])
        return [page]
    Handler(environ, start_response).respond()
    return []
