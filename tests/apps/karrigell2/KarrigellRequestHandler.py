"""Stands in for Karrigell 2.x: what it does to its process, and asks of its host.

Pages are chosen by the first part of the path; each answers by `print`, as in
Karrigell.
"""

import os
import sys
import urlparse
from StringIO import StringIO

# Karrigell looks at all of these when it is imported.
server_folder = os.getcwd()
initial_path = list(sys.path)
initial_modules = set(sys.modules)
assert os.path.isfile("KarrigellRequestHandler.py"), server_folder
assert sys.argv == ["mod_wsgi"], sys.argv


class KarrigellRequestHandler:

    def handle_data(self):
        path = urlparse.urlparse(self.path)
        page, name = (path[2].strip("/").split("/") + [""])[:2]
        self.query = urlparse.parse_qs(path[4])
        folder = os.path.join(os.environ["SCRATCH"], name or "page")
        if not os.path.isdir(folder):
            os.makedirs(folder)
        os.chdir(folder)
        sys.stdout = output = StringIO()
        getattr(self, "page_" + page, self.page_missing)(name)
        # Modules of this request's and the path it made are gone afterwards, and
        # so is that of the adapter.
        own = [module for module in sys.modules if module.startswith("_mod_wsgi_")]
        for module in (set(sys.modules) - initial_modules).union(own):
            sys.modules[module] = None
            del sys.modules[module]
        sys.path = list(initial_path)
        if self.status is not None:
            return
        data = output.getvalue()
        self.send_response(200, "Ok")
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        self.send_header("Content-Length", len(data))
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def page_shared(self, name):
        sys.path.insert(0, os.path.dirname(server_folder))
        import gate
        print name, "begins"
        gate.wait({"QUERY_STRING": urlparse.urlparse(self.path)[4]}, name)
        print name, "is in", os.path.basename(os.getcwd())

    def page_quick(self, name):
        for _ in range(20):
            print name, os.path.basename(os.getcwd())

    def page_form(self, name):
        print self.body.getfirst("name"), len(self.body["file"].value)

    def page_facts(self, name):
        print repr(self.path), type(self.path).__name__
        print self.client_address[0], self.headers["user-agent"], self.command
        print self.headers.getheader("X-Test"), self.server.server_name

    def page_who(self, name):
        print self.headers.getheader("authorization")

    def page_unchanged(self, name):
        # Leaves the end of the headers to its host, as files that the browser has.
        self.send_response(304)

    def page_translated(self, name):
        self.send_error(404, u"Pas trouv\xe9")

    def page_cgi(self, name):
        self.cgi_info = "cgi-bin", "script.py"
        self.send_response(200, "Ok")
        page = "Content-Type: text/plain\nSet-Cookie: a=1\nSet-Cookie: b=2\n\nprinted: by CGI\n"
        self.copyfile(StringIO(page), self.wfile)

    def page_file(self, name):
        self.send_response(200, "Ok")
        self.send_header("Content-Length", os.path.getsize(__file__.rstrip("c")))
        self.end_headers()
        if self.command != "HEAD":
            self.copyfile(open(__file__.rstrip("c"), "rb"), self.wfile)

    def page_none(self, name):
        # Writes a page without a status.
        self.wfile.write("page")

    def page_broken(self, name):
        self.send_response(0)
        self.end_headers()

    def page_redirected(self, name):
        self.send_response(302, "Found")
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def page_missing(self, name):
        self.send_response(404)
        self.end_headers()
        self.wfile.write("No such page")
