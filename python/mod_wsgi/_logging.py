"""``mod_wsgi.LogHandler``."""

import logging

import mod_wsgi
from mod_wsgi import _script

_LEVELS = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


class LogHandler(logging.Handler):
    """Writes to httpd's error log at the level of the record: to the log of the
    request that the thread runs, else to that of the process group."""

    __module__ = "mod_wsgi"

    def emit(self, record):
        try:
            text = _script.encode(self.format(record))
            for least, level in _LEVELS:
                if record.levelno >= least:
                    break
            else:
                level = 7
            mod_wsgi._worker.log(level, text)
        except Exception:  # as logging wants it: a message must not break its sender
            self.handleError(record)
