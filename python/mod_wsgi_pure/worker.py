"""A worker thread: one channel after the other, one request after the other.

*Threads:* the main thread gives channels, the worker thread takes them.
"""

import socket
import sys
import threading

import mod_wsgi
from mod_wsgi_pure import api, beyond, log, records
from mod_wsgi_pure.body import Body
from mod_wsgi_pure.exchange import Exchange
from mod_wsgi_pure.inbox import Lost
from mod_wsgi_pure.limit import Limit
from mod_wsgi_pure.reply import Reply


class Channel(object):
    """The worker's end of a channel."""

    def __init__(self, sock):
        self.socket, self.reply = sock, Reply(sock)
        self.body = Body(sock, self.reply)

    def next(self):
        """Waits for a request. Raises Lost."""
        with self.body.lock:
            if self.reply.is_lost:
                raise Lost(self.body.fault and str(self.body.fault))
            self.body.finish()
            request, flags = self.body.inbox.request()
            self.reply.start()
            self.body.start(bool(flags & records.FLAG_BODY))
            request["reloads"] = not flags & records.FLAG_NO_RELOAD
            request["cpu_time"] = bool(flags & records.FLAG_CPU)
        return request

    def close(self):
        # Objects that the application kept may keep the socket open.
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except (OSError, socket.error):
            pass  # the other side was quicker
        self.socket.close()


class Worker(object):
    def __init__(self, number, link, start):
        self.number, self._link = number, link
        self._offer, self._offered = None, threading.Condition()
        self.was_given = self.is_busy = self.is_waiting = False
        self._limit = Limit(number)
        self._constants = {
            "wsgi.version": (1, 0),
            "wsgi.multithread": start["threads"] != 1,
            "wsgi.multiprocess": start["multiprocess"],
            "wsgi.run_once": start["run_once"],
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": mod_wsgi.FileWrapper,
            "wsgi.early_hints": beyond.early_hints,
            "mod_wsgi.client_connected": beyond.client_connected,
            "mod_wsgi.version": api.version(start["version"]),
            "apache.version": api.version(start["apache_version"]),
            "mod_wsgi.process_group": start["process_group"],
            "mod_wsgi.application_group": start["application_group"],
            "mod_wsgi.thread_id": number + 1,
            "mod_wsgi.python_version": "%d.%d.%d" % sys.version_info[:3],
            "mod_wsgi.python_executable": sys.executable,
        }

    def give(self, sock, epoch):
        """Gives the thread a channel. One that it did not take is closed."""
        with self._offered:
            if self._offer is not None:
                self._offer[0].close()
            self._offer, self.was_given = (sock, epoch), True
            self.is_waiting = False
            self._offered.notify()

    def interrupt(self, age, raises):
        """See ``Limit.interrupt``."""
        self._limit.interrupt(age, raises)

    def trace(self, age):
        """See ``Limit.trace``."""
        return self._limit.trace(age)

    def run(self):
        """Serves as long as the process lives."""
        while True:
            sock, epoch = self._take()
            channel = Channel(sock)
            seat = {"thread": self.number, "epoch": epoch}
            try:
                self._link.send(records.CHANNEL_READY, **seat)
                self._serve(channel)
            except Lost as lost:
                if lost.why:
                    log.write(records.ERROR, "MWR3005: channel %d was closed: %s" % (
                        self.number + 1, lost.why))
            except BaseException:
                log.exception(records.ERROR, "MWR3004: worker thread %d failed and waits for a "
                              "new channel" % (self.number + 1))
            log.set_destination(None)
            channel.close()
            self._link.send(records.CHANNEL_LOST, **seat)
            self.is_busy = False

    def _take(self):
        with self._offered:
            while self._offer is None:
                self.is_waiting = True
                self._offered.wait()
            (sock, epoch), self._offer = self._offer, None
        return sock, epoch

    def _serve(self, channel):
        while True:
            self.is_busy = False
            request = channel.next()
            self.is_busy = True
            Exchange(channel, request, self._constants, self._limit).run()
