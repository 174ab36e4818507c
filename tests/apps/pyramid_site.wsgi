from pyramid.config import Configurator
from pyramid.response import FileResponse, Response


def index(request):
    return Response("pyramid at " + request.route_url("index"))


def form(request):
    return Response("%s:%d" % (request.POST["name"], len(request.POST["file"].file.read())))


def stream(request):
    return Response(app_iter=(b"line %d\n" % n for n in range(1000)))


def file(request):
    return FileResponse(__file__, request=request, content_type="text/plain")


def fail(request):
    raise ValueError("a failing view")


with Configurator() as config:
    for view in (form, stream, file, fail):
        config.add_route(view.__name__, "/" + view.__name__)
        config.add_view(view, route_name=view.__name__)
    config.add_route("index", "/")
    config.add_view(index, route_name="index")
    application = config.make_wsgi_app()
