from flask import Flask, Response, request, send_file, url_for

application = Flask(__name__)


@application.route("/")
def index():
    return "flask at " + url_for("index", _external=True)


@application.route("/form", methods=["POST"])
def form():
    return "%s:%d" % (request.form["name"], len(request.files["file"].read()))


@application.route("/stream")
def stream():
    return Response(("line %d\n" % n for n in range(1000)), mimetype="text/plain")


@application.route("/file")
def file():
    return send_file(__file__, mimetype="text/plain")


@application.route("/fail")
def fail():
    raise ValueError("a failing view")
