"""Karrigell 2.x as a WSGI application, for Python 2.7.

Place this file in a folder ``apache`` of its own below Karrigell's, and map a
URL to it; README.md beside this file tells how.
"""

import BaseHTTPServer
import CGIHTTPServer
import cgi
import mimetools
import os
import sys
from cStringIO import StringIO

KARRIGELL = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Karrigell finds its parts from its own folder, at import and later.
os.chdir(KARRIGELL)
if KARRIGELL not in sys.path:
    sys.path.insert(0, KARRIGELL)

from KarrigellRequestHandler import KarrigellRequestHandler

UNSAFE = """\
CONFIGURATION ERROR

Karrigell changes the working directory of its process and replaces its standard
output during each request. This process would let it do so to other requests or
other applications: it %s.

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


def request_headers(environ):
    """The request's header fields, as Python's own HTTP server has them."""
    fields = [(name[5:], value) for name, value in environ.items() if name.startswith("HTTP_")]
    fields += [(name, environ[name]) for name in ("CONTENT_TYPE", "CONTENT_LENGTH")
               if environ.get(name)]
    lines = ["%s: %s\r\n" % (name.replace("_", "-").title(), value) for name, value in fields]
    return mimetools.Message(StringIO("".join(lines) + "\r\n"), 0)


def native(text):
    """What a header may hold. Karrigell's translations and pages may give unicode."""
    return text.encode("utf-8") if isinstance(text, unicode) else str(text)


class Server(object):
    """What Karrigell asks the server for that it expects around it."""

    def __init__(self, environ):
        self.server_name = environ["SERVER_NAME"]
        self.server_port = int(environ["SERVER_PORT"])


class Output(object):
    """The file that a handler writes its page to."""

    def __init__(self, handler):
        self.write = handler.write

    def flush(self):
        pass


class Handler(KarrigellRequestHandler, CGIHTTPServer.CGIHTTPRequestHandler):
    """One request, which comes from WSGI's environ instead of a socket."""

    def __init__(self, environ, start_response):
        self.environ, self.start_response = environ, start_response
        self.server = Server(environ)
        self.client_address = environ["REMOTE_ADDR"], int(environ["REMOTE_PORT"])
        self.command = environ["REQUEST_METHOD"]
        self.path = environ["REQUEST_URI"]
        self.request_version = self.protocol_version = environ["SERVER_PROTOCOL"]
        self.requestline = " ".join([self.command, self.path, self.request_version])
        self.headers = request_headers(environ)
        self.request = self.rfile = environ["wsgi.input"]
        self.wfile = Output(self)
        if self.command == "POST":
            self.body = cgi.FieldStorage(
                fp=self.rfile, environ=environ, keep_blank_values=1)
        self.status, self.fields, self.write_body = None, [], None

    def send_response(self, code, message=None):
        known = BaseHTTPServer.BaseHTTPRequestHandler.responses.get(code, ("",))
        self.status = "%d %s" % (code, native(message or known[0]))

    def send_header(self, name, value):
        self.fields.append((native(name), native(value)))

    def end_headers(self):
        """Starts the response, once."""
        if self.write_body is None:
            if self.status is None:
                raise RuntimeError("Karrigell wrote a page before it gave a status")
            self.write_body = self.start_response(self.status, self.fields)

    def write(self, data):
        if self.write_body is None and getattr(self, "cgi_info", None):
            data = self.take_cgi_fields(data)
        self.end_headers()
        if data:
            self.write_body(native(data))

    def take_cgi_fields(self, data):
        """Takes the header fields that a CGI script of Karrigell's prints before its page."""
        page = StringIO(data)
        for line in mimetools.Message(page).headers:
            name, _, value = line.partition(":")
            if name.lower() == "status":
                self.status = value.strip()
            else:
                self.send_header(name, value.strip())
        return page.read()

    def version_string(self):
        return self.environ["SERVER_SOFTWARE"]

    def log_message(self, format, *args):
        """Requests are in httpd's access log already."""

    def log_error(self, format, *args):
        self.environ["wsgi.errors"].write("%s\n" % (format % args))


def application(environ, start_response):
    why = danger(environ)
    if why:
        page = UNSAFE % (why, os.path.dirname(os.path.abspath(__file__)))
        start_response("500 Internal Server Error", [
            ("Content-Type", "text/plain"), ("Content-Length", str(len(page)))])
        return [page]
    os.chdir(KARRIGELL)
    handler = Handler(environ, start_response)
    handler.handle_data()
    handler.end_headers()
    return []
