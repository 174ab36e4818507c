"""What the script that asks access scripts, ``mod_wsgi/_question.py``, needs of its
worker: the native one's ``_script`` and ``_native``, by the means of this one.

*Threads:* worker threads.
"""

from mod_wsgi_pure import log, native, script

# Python 2 empties a module that nobody refers to, whoever runs its functions.
_modules = []


class Script(object):
    """Stands for ``mod_wsgi._script``."""

    @staticmethod
    def load(path):
        """Executes the script at ``path``; returns its globals."""
        module = script.execute(native.encode_path(path))
        _modules.append(module)
        return module.__dict__

    @staticmethod
    def describe(error):
        """The traceback of ``error``, which is being handled, as UTF-8."""
        return native.encode(log.describe())


class Native(object):
    """Stands for the native module."""

    @staticmethod
    def log(level, data):
        log.write(level, data)
