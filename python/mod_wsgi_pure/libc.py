"""Calls of Linux's C library, for Python 2, which has none of them.

The structures are those of Linux; elsewhere Python 2 can't be served.
"""

import ctypes
import os
import socket
from ctypes import POINTER, c_char, c_int, c_size_t, c_uint, c_void_p

_SCM_RIGHTS = 1
_MSG_CMSG_CLOEXEC = 0x40000000
_ROOM = 4
_SIG_SETMASK = 2
_MASK_SIZE = 128


class _Vector(ctypes.Structure):
    _fields_ = [("base", c_void_p), ("length", c_size_t)]


class _Control(ctypes.Structure):
    """One message of the kind that carries descriptors."""

    _fields_ = [("length", c_size_t), ("level", c_int), ("kind", c_int),
                ("descriptors", c_int * _ROOM)]


class _Message(ctypes.Structure):
    _fields_ = [("name", c_void_p), ("name_length", c_uint),
                ("vectors", POINTER(_Vector)), ("vector_count", c_size_t),
                ("control", POINTER(_Control)), ("control_length", c_size_t), ("flags", c_int)]


_library = ctypes.CDLL(None, use_errno=True)
for _call in (_library.recvmsg, _library.sendmsg):
    _call.argtypes, _call.restype = [c_int, POINTER(_Message), c_int], ctypes.c_ssize_t


def _message(buffer, control):
    vector = _Vector(ctypes.cast(buffer, c_void_p), len(buffer))
    return _Message(None, 0, ctypes.pointer(vector), 1, ctypes.pointer(control),
                    ctypes.sizeof(control), 0)


def _checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def receive(descriptor, size):
    """A datagram, without waiting, and the descriptors that came with it."""
    buffer, control = (c_char * size)(), _Control()
    message = _message(buffer, control)
    flags = _MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
    count = _checked(_library.recvmsg(descriptor, message, flags))
    found = []
    if message.control_length >= _Control.descriptors.offset and (
            (control.level, control.kind) == (socket.SOL_SOCKET, _SCM_RIGHTS)):
        size = ctypes.sizeof(c_int)
        number = max(0, control.length - _Control.descriptors.offset) // size
        found = list(control.descriptors[:min(number, _ROOM)])
    return buffer[:count], found


def send(descriptor, data, passed):
    """Sends bytes, and ``passed`` with the first of them; returns how many were sent."""
    buffer, control = (c_char * len(data)).from_buffer_copy(data), _Control()
    control.level, control.kind = socket.SOL_SOCKET, _SCM_RIGHTS
    control.descriptors[0] = passed
    control.length = _Control.descriptors.offset + ctypes.sizeof(c_int)
    message = _message(buffer, control)
    message.control_length = ctypes.sizeof(_Control) - (_ROOM - 2) * ctypes.sizeof(c_int)
    return _checked(_library.sendmsg(descriptor, message, 0))


def block_signals(numbers):
    """Keeps signals from the calling thread; returns what to give ``restore_signals``."""
    mask, before = (c_char * _MASK_SIZE)(), (c_char * _MASK_SIZE)()
    _library.pthread_sigmask(_SIG_SETMASK, None, before)
    ctypes.memmove(mask, before, _MASK_SIZE)
    for number in numbers:
        _library.sigaddset(mask, number)
    _library.pthread_sigmask(_SIG_SETMASK, mask, None)
    return before


def restore_signals(mask):
    _library.pthread_sigmask(_SIG_SETMASK, mask, None)
