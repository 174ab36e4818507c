import falcon


class Index:
    def on_get(self, request, response):
        response.text = "falcon at " + request.prefix + "/"


class Form:
    def on_post(self, request, response):
        parts = {part.name: part.stream.read() for part in request.get_media()}
        response.text = "%s:%d" % (parts["name"].decode(), len(parts["file"]))


class Stream:
    def on_get(self, request, response):
        response.stream = (b"line %d\n" % n for n in range(1000))


class File:
    def on_get(self, request, response):
        response.content_type = "text/plain"
        response.stream = open(__file__, "rb")


class Fail:
    def on_get(self, request, response):
        raise ValueError("a failing view")


application = falcon.App()
application.add_route("/", Index())
for resource in (Form, Stream, File, Fail):
    application.add_route("/" + resource.__name__.lower(), resource())
