"""Sockets with what Python 2 lacks: calls that outlast signals, and descriptors
that travel with bytes.

*Threads:* any.
"""

import array
import errno
import fcntl
import os
import socket

from mod_wsgi_pure import native

_CAN_PASS = hasattr(socket.socket, "recvmsg")
if not _CAN_PASS:
    from mod_wsgi_pure import libc


class WouldBlock(Exception):
    """Nothing came, and the caller does not wait."""


def _persist(call, *arguments):
    """Calls again what a signal interrupted; Python 3 does so by itself."""
    while True:
        try:
            return call(*arguments)
        except (socket.error, OSError) as error:
            if error.errno == errno.EINTR:
                continue
            if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK):
                raise WouldBlock
            raise


def adopt(descriptor, kind):
    """The socket with a descriptor that belongs to nobody else."""
    close_on_exec(descriptor)
    if not native.PYTHON_2:
        return socket.socket(socket.AF_UNIX, kind, 0, descriptor)
    adopted = socket.fromfd(descriptor, socket.AF_UNIX, kind)
    close_on_exec(adopted.fileno())
    os.close(descriptor)
    return adopted


def close_on_exec(descriptor):
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFD)
    fcntl.fcntl(descriptor, fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)


def receive(sock, size, wait=True):
    """Up to ``size`` bytes, none at the end. Raises WouldBlock."""
    return _persist(sock.recv, size, 0 if wait else socket.MSG_DONTWAIT)


def send(sock, data):
    """All of ``data``."""
    rest = memoryview(data)
    while rest:
        rest = rest[_persist(sock.send, rest):]


def receive_descriptors(sock, size):
    """A datagram and the descriptors that came with it."""
    if not _CAN_PASS:
        return _persist(libc.receive, sock.fileno(), size)
    data, messages, _, _ = sock.recvmsg(size, socket.CMSG_SPACE(16), socket.MSG_DONTWAIT)
    found = array.array("i")
    for level, kind, content in messages:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(content[:len(content) // found.itemsize * found.itemsize])
    return data, list(found)


def send_descriptor(sock, data, descriptor):
    """All of ``data``, and a descriptor with its first byte."""
    if _CAN_PASS:
        rights = array.array("i", [descriptor]).tobytes()
        sent = sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    else:
        sent = _persist(libc.send, sock.fileno(), data, descriptor)
    send(sock, data[sent:])
