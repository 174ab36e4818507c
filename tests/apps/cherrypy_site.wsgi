import os

import cherrypy
from cherrypy.lib.static import serve_file

# httpd is the server; CherryPy's own, with its signals and autoreloader, stays off.
cherrypy.config.update({"environment": "embedded", "log.screen": True})


class Site:
    @cherrypy.expose
    def index(self):
        return "cherrypy at " + cherrypy.url()

    @cherrypy.expose
    def form(self, name, file):
        return "%s:%d" % (name, len(file.file.read()))

    @cherrypy.expose
    @cherrypy.config(**{"response.stream": True})
    def stream(self):
        return (b"line %d\n" % n for n in range(1000))

    @cherrypy.expose
    def file(self):
        return serve_file(os.path.abspath(__file__), content_type="text/plain")

    @cherrypy.expose
    def fail(self):
        raise ValueError("a failing view")


# CherryPy finds where it is mounted by SCRIPT_NAME.
application = cherrypy.Application(Site(), script_name=None)
