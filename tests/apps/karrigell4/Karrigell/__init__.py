"""Stands in for Karrigell 4: the parts that an adapter has to do with."""

import http.server
import io
import os
import urllib.parse


class App:
    root_url = "/"
    root_dir = os.getcwd()


class RequestHandler(http.server.BaseHTTPRequestHandler):

    def do_GET(self):
        elements = urllib.parse.urlparse(self.path)
        self.body = dict(urllib.parse.parse_qsl(elements.query))
        self.handle_data(elements)

    def do_POST(self):
        elements = urllib.parse.urlparse(self.path)
        data = self.rfile.read(int(self.headers["content-length"]))
        self.body = dict(urllib.parse.parse_qsl(data.decode()))
        self.handle_data(elements)

    def handle_data(self, elements):
        host = urllib.parse.urlparse("http://" + self.headers["host"]).hostname
        first = elements.path.split("/")[1]
        if (host, first) in self.alias:
            app = self.alias[(host, first)]
        elif (host, "") in self.alias:
            app = self.alias[(host, "")]
        else:
            return self.send_error(404, "Unknown alias")
        if first == "missing":
            return self.send_error(404, "File not found")
        page = "%s %s %s" % (os.path.basename(app.root_dir), elements.path, sorted(self.body.items()))
        self.done(200, io.BytesIO(page.encode()))

    def done(self, code, infile):
        self.send_response(code)
        self.send_header("Content-type", "text/html")
        self.send_header("Content-length", len(infile.getvalue()))
        self.end_headers()
        self.wfile.write(infile.read())
        self.wfile.flush()
