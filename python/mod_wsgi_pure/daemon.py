"""The life of a daemon, told by its main thread."""

import atexit
import os
import select
import site
import socket
import sys
import threading
import time

from mod_wsgi_pure import (
    api, codec, log, native, records, script, signals, sockets, streams, title)
from mod_wsgi_pure.link import Broken, Link
from mod_wsgi_pure.worker import Worker

# Seconds after which the main thread looks round when nothing happens.
_TICK = 1.0


def run(descriptor):
    """Serves until the supervisor says stop. Does not return."""
    if signals.faulthandler is not None:
        signals.faulthandler.enable(file=2)
    signals.show_stacks_on_quit()
    link = Link(descriptor)
    start = link.introduce()
    if start["display_name"]:
        _set_title(start["display_name"])
    log.link = link
    daemon = Daemon(link, start)
    daemon.prepare()
    try:
        if daemon.accept_channels():
            link.send(records.READY, loaded=daemon.preload())
        reason = daemon.wait_for_stop()
        daemon.drain()
    except SystemExit:  # of a process without worker threads
        reason = "shutdown_signal"
    _stop(reason)


class Daemon(object):
    def __init__(self, link, start):
        self._link, self._start = link, start
        self._workers = [
            Worker(number, link, start) for number in range(start["threads"])]
        self._awoken, self._looked = None, time.time()

    def prepare(self):
        """Makes the process what the configuration wants, and starts its threads."""
        start = self._start
        streams.replace(start["restrict_stdin"], start["restrict_stdout"])
        api.publish(start)
        _set_path(start["home"], start["python_path"])
        if start["locale"]:
            _set_locale(start["locale"])
        if start["switch_interval"] > 0 and hasattr(sys, "setswitchinterval"):
            sys.setswitchinterval(start["switch_interval"])
        self._awoken = signals.install(self._link.recycle)
        if self._link.is_service:
            signals.serve_for_ever()
        if start["restrict_signal"]:
            signals.restrict()
        _set_stack_size(start["stack_size"])
        for worker in self._workers:
            thread = threading.Thread(
                target=worker.run, name="mod_wsgi-%d" % (worker.number + 1))
            thread.daemon = True
            thread.start()
        threading.stack_size(0)

    def preload(self):
        """Loads the scripts that Start names; false if one failed. One that is gone
        is no failure unless it is the first: it may have served another site."""
        loaded = True
        for index, path in enumerate(self._start["preload"]):
            if index and not os.path.exists(path):
                log.write(records.WARNING, "MWR3015: script %s is gone and was not loaded" % path)
            elif script.find(native.encode_path(path)) is None:
                loaded = False
        return loaded

    def accept_channels(self):
        """Serves the supervisor until each thread was given a channel; false if
        the process shall end."""
        while self._link.stop is None:
            if all(worker.was_given for worker in self._workers):
                return True
            self._step()
        return False

    def wait_for_stop(self):
        """Serves the supervisor until it says stop; returns the reason."""
        while self._link.stop is None:
            self._step()
            if not 0 <= time.time() - self._looked < _TICK:
                self._looked = time.time()
                if script.have_changed():
                    self._link.recycle("script_reload")
        return self._link.stop

    def drain(self):
        """Waits until no request runs."""
        while any(worker.is_busy for worker in self._workers):
            time.sleep(0.01)

    def _step(self):
        """Waits for signals or messages, and receives what has come."""
        sources = [self._awoken] if self._link.is_gone else [self._awoken, self._link.socket]
        try:
            readable = select.select(sources, [], [], _TICK)[0]
        except (OSError, select.error):
            return  # Python 2: a signal, which was answered
        if self._awoken in readable:
            os.read(self._awoken, 64)
        if self._link.socket in readable:
            self._receive()
        if self._link.is_gone and all(
                worker.is_waiting and not worker.is_busy for worker in self._workers):
            self._link.stop = self._link.stop or "shutdown_signal"

    def _receive(self):
        try:
            received = self._link.receive()
        except (Broken, codec.Malformed) as error:
            self._link.is_gone = True
            log.write(records.WARNING, "MWR3001: the link to the supervisor has ended (%s); "
                      "serving goes on until the channels end" % error)
            return
        if received is None:
            return
        record, values, descriptors = received
        if record is records.GIVEN and len(descriptors) == 1 and (
                values["thread"] < len(self._workers)):
            sock = sockets.adopt(descriptors.pop(), socket.SOCK_STREAM)
            self._workers[values["thread"]].give(sock, values["epoch"])
        elif record is records.GIVEN:
            log.write(records.ERROR, "MWR3002: the supervisor sent channel %d of thread %d "
                      "without a descriptor, or for a thread that does not exist; it was ignored"
                      % (values["epoch"], values["thread"]))
        elif record is records.STOP:
            self._link.stop = self._link.stop or values["reason"]
        elif record is records.PROBE:
            self._link.send(records.ALIVE)
        elif record is records.INTERRUPT:
            if values["thread"] < len(self._workers):
                self._workers[values["thread"]].interrupt(values["age"], values["raise"])
        elif record is records.TRACE:
            if values["thread"] < len(self._workers):
                self._link.send(records.TRACED, thread=values["thread"],
                                stack=self._workers[values["thread"]].trace(values["age"]))
        else:
            log.write(records.ERROR, "MWR3003: the supervisor sent a message that this worker "
                      "does not know; it was ignored")
        for descriptor in descriptors:
            os.close(descriptor)


def _set_title(text):
    try:
        title.set_title(text)
    except (ImportError, OSError, AttributeError) as error:
        log.write(records.WARNING, "MWR3032: display-name %r can't be shown: %s" % (text, error))


def _set_path(home, python_path):
    """``home`` comes first, then ``python_path`` in order, each with what its
    ``.pth`` files add; then what was there."""
    before = list(sys.path)
    for directory in python_path:
        log.write(records.INFO, "MWR3030: adding %r to the module search path" % directory)
        if directory in sys.path:
            sys.path.remove(directory)
        site.addsitedir(directory)
        if directory not in sys.path:
            sys.path.append(directory)
    added = [path for path in sys.path if path not in before or path in python_path]
    rest = [path for path in sys.path if path not in added]
    sys.path[:] = ([home] if home else []) + added + rest
    api.extend_path()


def _set_locale(name):
    import locale
    try:
        locale.setlocale(locale.LC_ALL, name)
    except locale.Error as error:
        log.write(records.WARNING, "MWR3031: locale %r can't be set: %s; install it, or name one "
                  "that 'locale -a' lists" % (name, error))


def _set_stack_size(size):
    try:
        if size:
            threading.stack_size(size)
    except (ValueError, OverflowError) as error:
        log.write(records.WARNING, "MWR3035: stack-size %d can't be set: %s" % (size, error))


def _stop(reason):
    """Ends the process as Python does, but for threads that serve no more."""
    for callback in list(api.shutdown_callbacks):
        api.notify(callback, "process_stopping", shutdown_reason=reason)
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
    except BaseException:
        log.exception(records.ERROR, "MWR3036: exception while the process was stopping")
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # a restricted stream, or one of the application's
    os._exit(0)
