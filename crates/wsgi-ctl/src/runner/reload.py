def _watch():
    # A changed file of an imported module asks for another process, each change once.
    import os
    import signal
    import sys
    import threading
    import time

    times = {}

    def changed():
        found = False
        files = [getattr(module, '__file__', None) for module in list(sys.modules.values())]
        for name in set(files + [__file__]):
            if not name:
                continue
            if name.endswith(('.pyc', '.pyo')):
                name = name[:-1]
            try:
                modified = os.stat(name).st_mtime
            except (OSError, ValueError):
                continue
            found |= times.setdefault(name, modified) != modified
            times[name] = modified
        return found

    def watch():
        while True:
            time.sleep(1)
            if changed():
                os.kill(os.getpid(), signal.SIGUSR1)

    changed()
    thread = threading.Thread(target=watch, name='wsgi-httpd --reload')
    thread.daemon = True
    thread.start()


_watch()
