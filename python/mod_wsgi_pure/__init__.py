"""The worker in Python alone, for interpreters that the native one can't serve.

CPython 2.7 and 3.6 to 3.8, PyPy, and builds of Python that load no abi3
module; and a reference for whoever wants to read how a worker works::

    boot.py -> daemon (main thread)  -> link, signals, title
                      worker threads -> worker -> exchange -> body, reply
                      the application's view   -> api

It speaks the protocol of docs/protocol.md, like the native worker, and behaves
like it but for what README.md lists. Nothing outside of Python's standard
library is used, and no syntax that Python 2.7 lacks.

*Runs in:* daemon.
"""
