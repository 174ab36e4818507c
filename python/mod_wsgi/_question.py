"""Asks functions of access, authentication and dispatch scripts for httpd.

A question comes as a request to this file, which is loaded like a script of
WSGIHandlerScript. The body holds how long it is, then its fields, each behind its
length: the script's path, the names of the functions (separated by commas, a `?`
behind those that may be missing), and their arguments after the environ. The
answer is status 200 and one header `Result` for each function; anything else
means that there is none, and why was logged.
"""

import os
import struct
import threading

import mod_wsgi
from mod_wsgi import _script

try:
    from urllib.parse import quote
except ImportError:
    from urllib import quote

_ERROR, _INFO = 3, 6
_KEPT = ("mod_wsgi.version", "mod_wsgi.application_group", "mod_wsgi.request_id",
         "apache.version", "wsgi.errors")

_TLS = "mod_ssl."

_scripts = {}
_loading = threading.Lock()


def handle_request(environ, start_response):
    fields = _fields(environ["wsgi.input"])
    path = os.fsdecode(fields[0]) if hasattr(os, "fsdecode") else fields[0]
    names = _text(fields[1]).split(",")
    arguments = [_text(field) for field in fields[2:]]
    environ = _environ(environ)
    try:
        namespace = _load(path)
        results = [_ask(namespace, path, name, environ, arguments) for name in names]
    except BaseException as error:
        _log(_ERROR, _hidden("MWR3101: script %s could not be asked for %s\n%s" % (
            path, " and ".join(name.rstrip("?") for name in names),
            _native_text(_script.describe(error))), names, arguments))
        start_response("500 Internal Server Error", [])
        return []
    if None in results:
        start_response("500 Internal Server Error", [])
    else:
        start_response("200 OK", [("Result", result) for result in results])
    return []


def _fields(stream):
    """The fields of a question."""
    (length,) = struct.unpack("<I", stream.read(4))
    body, fields, start = stream.read(length), [], 0
    while start < length:
        (size,) = struct.unpack_from("<I", body, start)
        fields.append(body[start + 4:start + 4 + size])
        start += 4 + size
    return fields


def _text(field):
    return field if str is bytes else field.decode("latin-1")


def _native_text(data):
    return data if str is bytes else data.decode("utf-8")


def _environ(environ):
    """The environ as these scripts know it: CGI's variables and little else."""
    kept = dict((name, value) for name, value in environ.items()
                if name in _KEPT or not name.startswith(("wsgi.", "mod_wsgi.", "apache.")))
    kept["mod_wsgi.process_group"] = kept["SERVER_SIGNATURE"] = ""
    https = environ["wsgi.url_scheme"] == "https"
    variables = dict((name[len(_TLS):], kept.pop(name)) for name in list(kept)
                     if name.startswith(_TLS))
    kept["mod_ssl.is_https"] = lambda: https
    kept["mod_ssl.var_lookup"] = variables.get
    return kept


def _load(path):
    """The globals of a script, which is loaded again when its file has changed."""
    changed = os.stat(path).st_mtime
    known = _scripts.get(path)
    if known is not None and known[0] == changed:
        return known[1]
    with _loading:
        known = _scripts.get(path)
        if known is None or known[0] != changed:
            _scripts.pop(path, None)
            _log(_INFO, "MWR3100: loading script %s" % path)
            _scripts[path] = known = (changed, _script.load(path))
    return known[1]


def _ask(namespace, path, name, environ, arguments):
    """The result of a function as a word, or a word and texts."""
    function = namespace.get(name.rstrip("?"))
    if function is not None:
        return _word(function(environ, *arguments))
    if name.endswith("?"):
        return "missing"
    _log(_ERROR, "MWR3102: script %s has no function %s" % (path, name))
    return None


def _word(result):
    if result is None:
        return "none"
    if result is True or result is False:
        return "true" if result else "false"
    text = _quoted(result)
    if text is not None:
        return "text " + text
    try:
        items = iter(result)
    except TypeError:
        return "other " + quote(type(result).__name__)
    texts = []
    for item in items:
        text = _quoted(item)
        if text is None:
            return "other " + quote("%s with %s" % (type(result).__name__, type(item).__name__))
        texts.append(text)
    return " ".join(["items"] + texts)


def _quoted(value):
    if isinstance(value, type(u"")):
        value = value.encode("latin-1")
    # The mark before it keeps an empty text a word.
    return "=" + quote(value, safe="") if isinstance(value, bytes) else None


def _hidden(message, names, arguments):
    """The message without the password that an exception may have quoted."""
    if "check_password" in names and arguments[-1]:
        for secret in (arguments[-1], repr(arguments[-1])[1:-1]):
            message = message.replace(secret, "********")
    return message


def _log(level, message):
    if not isinstance(message, bytes):
        message = message.encode("utf-8", "backslashreplace")
    mod_wsgi._native.log(level, message)
