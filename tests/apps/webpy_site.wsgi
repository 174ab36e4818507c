import web

urls = ("/", "Index", "/form", "Form", "/stream", "Stream", "/file", "File", "/fail", "Fail")


class Index:
    def GET(self):
        return "web.py at " + web.ctx.home + "/"


class Form:
    def POST(self):
        form = web.input(file={})
        return "%s:%d" % (form.name, len(form.file.file.read()))


class Stream:
    def GET(self):
        for n in range(1000):
            yield "line %d\n" % n


class File:
    def GET(self):
        web.header("Content-Type", "text/plain")
        with open(__file__, "rb") as script:
            return script.read()


class Fail:
    def GET(self):
        raise ValueError("a failing view")


application = web.application(urls, globals()).wsgifunc()
