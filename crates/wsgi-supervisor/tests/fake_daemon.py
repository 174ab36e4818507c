"""A worker without WSGI: speaks the daemon link and echoes on its channels.

A line of its channel that is `recycle`, `log TEXT` or `exit N` does that
instead; the application group `crash` ends before it is ready.
"""
import array
import os
import socket
import struct
import sys
import threading

VERSION = 2
HELLO, READY, CHANNEL_READY, CHANNEL_LOST, LOG, RECYCLE = range(65, 71)
START, CHANNEL, STOP = 1, 2, 3

control = socket.socket(fileno=int(sys.argv[-1]))
idle = threading.Condition()
running = 0
open_channels = 0


def text(value):
    value = value.encode()
    return struct.pack('<I', len(value)) + value


def say(kind, payload):
    control.send(struct.pack('<IBBH', len(payload), kind, 0, 0) + payload)


def hear():
    try:
        data, ancillary, _, _ = control.recvmsg(256 * 1024, socket.CMSG_SPACE(16))
    except ConnectionResetError:
        # The supervisor was killed with words of ours unread.
        return None, b'', []
    descriptors = array.array('i')
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(content[:len(content) // 4 * 4])
    if not data:
        return None, b'', []
    length, kind, _, _ = struct.unpack_from('<IBBH', data)
    assert length == len(data) - 8
    return kind, data[8:], list(descriptors)


def string(payload, offset):
    (length,) = struct.unpack_from('<I', payload, offset)
    offset += 4
    return payload[offset:offset + length].decode(), offset + length


def serve(channel, thread, epoch):
    global running, open_channels
    with channel, channel.makefile('rb') as lines:
        for line in lines:
            with idle:
                running += 1
            words = line.decode().split()
            if words[:1] == ['recycle']:
                say(RECYCLE, text('script_reload'))
            elif words[:1] == ['log']:
                say(LOG, struct.pack('<B', 3) + text(' '.join(words[1:])))
            elif words[:1] == ['exit']:
                os._exit(int(words[1]))
            channel.sendall(str(os.getpid()).encode() + b' ' + line)
            with idle:
                running -= 1
                idle.notify_all()
    with idle:
        open_channels -= 1
        idle.notify_all()
    try:
        say(CHANNEL_LOST, struct.pack('<II', thread, epoch))
    except OSError:
        pass  # The supervisor is gone.


def main():
    global open_channels
    say(HELLO, struct.pack('<I', VERSION) + text('fake') + text('3') + text(sys.executable))
    threads, seen, ready, application = None, 0, False, ''
    while True:
        kind, payload, descriptors = hear()
        if kind == START:
            group, offset = string(payload, 0)
            application, offset = string(payload, offset)
            (threads,) = struct.unpack_from('<I', payload, offset)
        elif kind == CHANNEL:
            thread, epoch = struct.unpack('<II', payload)
            channel = socket.socket(fileno=descriptors[0])
            with idle:
                open_channels += 1
            threading.Thread(target=serve, args=(channel, thread, epoch), daemon=True).start()
            seen += 1
            if ready:
                say(CHANNEL_READY, struct.pack('<II', thread, epoch))
        elif kind == STOP:
            with idle:
                idle.wait_for(lambda: running == 0)
            os._exit(0)
        else:
            # The supervisor was killed: serve while anybody holds a channel.
            with idle:
                idle.wait_for(lambda: open_channels == 0)
            os._exit(0)
        if not ready and seen == threads:
            if application == 'crash':
                os._exit(3)
            ready = True
            say(READY, b'\x01')


main()
