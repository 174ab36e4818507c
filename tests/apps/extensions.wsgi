"""Uses extension modules that a second interpreter in one process can't, from several threads."""

import os

import lxml.etree
import numpy
import pydantic
from cryptography.fernet import Fernet


class Point(pydantic.BaseModel):
    x: int
    y: int = 2


def application(environ, start_response):
    key = Fernet(Fernet.generate_key())
    facts = [
        numpy.arange(10).sum(),
        key.decrypt(key.encrypt(b"secret")).decode(),
        Point(x="1").model_dump_json(),
        lxml.etree.fromstring("<a><b>text</b></a>").findtext("b"),
    ]
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Process", str(os.getpid()))])
    return [" ".join(map(str, facts)).encode()]
