"""A Flask view that renders a small template."""

from flask import Flask, render_template_string, request

application = Flask(__name__)
PAGE = "<h1>{{ name }}</h1><ul>{% for n in range(10) %}<li>{{ n }}</li>{% endfor %}</ul>"


@application.route("/flask")
def view():
    return render_template_string(PAGE, name=request.args.get("name", "Flask"))
