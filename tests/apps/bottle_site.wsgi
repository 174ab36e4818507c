import os

import bottle

application = bottle.Bottle()


@application.route("/")
def index():
    return "bottle at " + bottle.request.url


@application.post("/form")
def form():
    name, upload = bottle.request.forms["name"], bottle.request.files["file"]
    return "%s:%d" % (name, len(upload.file.read()))


@application.route("/stream")
def stream():
    return (b"line %d\n" % n for n in range(1000))


@application.route("/file")
def file():
    folder, name = os.path.split(__file__)
    return bottle.static_file(name, root=folder, mimetype="text/plain")


@application.route("/fail")
def fail():
    raise ValueError("a failing view")
