"""Stands in for Karrigell 4: the parts that an adapter has to do with."""

import email.message
import gzip
import http.server
import io
import os
import urllib.parse


class App:
    root_url = "/"
    root_dir = os.getcwd()


class RequestHandler(http.server.SimpleHTTPRequestHandler):

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
        self.resp_headers = email.message.Message()
        self.resp_headers.add_header("Content-type", "text/html")
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
        data = page.encode()
        self.resp_headers["Content-length"] = len(data)
        if "gzip" in self.headers.get("accept-encoding", ""):
            # The length that was announced is not true any longer.
            data = gzip.compress(data * 100)
            self.resp_headers["Content-Encoding"] = "gzip"
            self.resp_headers.replace_header("Content-length", str(len(page) * 100))
        self.done(200, io.BytesIO(data))

    def done(self, code, infile):
        self.send_response(code)
        for name, value in self.resp_headers.items():
            self.send_header(name, value)
        self.end_headers()
        infile.seek(0)
        self.copyfile(infile, self.wfile)
        self.wfile.flush()
