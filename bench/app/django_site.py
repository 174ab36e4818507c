"""A Django site in one file, whose view renders a small template."""

from django.conf import settings

settings.configure(
    SECRET_KEY="only for measurements",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    DEBUG=False,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)

from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.template import engines
from django.urls import path

application = get_wsgi_application()
PAGE = engines["django"].from_string(
    "<h1>{{ name }}</h1><ul>{% for n in numbers %}<li>{{ n }}</li>{% endfor %}</ul>"
)


def view(request):
    name = request.GET.get("name", "Django")
    return HttpResponse(PAGE.render({"name": name, "numbers": range(10)}))


urlpatterns = [path("django", view)]
