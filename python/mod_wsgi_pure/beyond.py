"""What an application can ask and tell its server beyond PEP 3333, by callables in the
environ. They know their request by the calling thread."""

from mod_wsgi_pure import codec, log
from mod_wsgi_pure.head import Head


def early_hints(headers):
    """``environ["wsgi.early_hints"]``: sends 103 Early Hints with these header fields, a
    list like that of ``start_response``. A client of HTTP/1.0 does not get them."""
    exchange = _current("wsgi.early_hints")
    try:
        sent = exchange.channel.reply.hints(Head.hints(headers))
    except codec.Malformed:
        raise ValueError("the response's header fields are too long")
    if not sent:
        raise RuntimeError("wsgi.early_hints was called after the response's headers had been "
                           "sent")


def client_connected():
    """``environ["mod_wsgi.client_connected"]``: false once httpd has noticed that nobody
    waits for the response any more, which takes it a second at most."""
    return not _current("mod_wsgi.client_connected").is_unwanted()


def _current(what):
    exchange = log.destination()
    if exchange is None:
        raise RuntimeError("%s was called by a thread that runs no request" % what)
    return exchange
