"""A Django site in one file: settings, URLs, views."""

from django.conf import settings

settings.configure(
    SECRET_KEY="only for tests",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    DEBUG=False,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)

from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import path, reverse
from django.views.decorators.csrf import csrf_exempt


def index(request):
    return HttpResponse("django at " + request.build_absolute_uri(reverse("index")))


def form(request):
    return HttpResponse("%s:%d" % (request.POST["name"], request.FILES["file"].size))


def stream(request):
    return StreamingHttpResponse("line %d\n" % n for n in range(1000))


def file(request):
    return FileResponse(open(__file__, "rb"), content_type="text/plain")


def fail(request):
    raise ValueError("a failing view")


urlpatterns = [
    path("", index, name="index"),
    path("form", csrf_exempt(form)),
    path("stream", stream),
    path("file", file),
    path("fail", fail),
]
application = get_wsgi_application()
