"""TCP used in all the ways that programs use it, many times over: COUNT rounds, or SECONDS, of every kind of connection.

Prints how many connections of each kind were made, as JSON. What this kernel lacks is left out and said.
"""

import ctypes
import json
import os
import random
import signal
import socket
import struct
import sys
import threading
import time

rounds, seconds, seed = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
TCP_REPAIR, TCP_DEFER_ACCEPT, TCP_FASTOPEN, TCP_LINGER2, TCP_FASTOPEN_CONNECT = 19, 9, 23, 8, 30
FAMILIES = (socket.AF_INET, socket.AF_INET6)


def listener(family, protocol=0, options=()):
    it = socket.socket(family, socket.SOCK_STREAM, protocol)
    it.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for level, option, value in options:
        it.setsockopt(level, option, value)
    it.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
    # Nothing here takes long: what does is given up, and said.
    it.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 5, 0))
    it.listen(512)
    return it


def pair(family, protocol=0, key="plain"):
    server = listeners[key, family]
    one = socket.socket(family, socket.SOCK_STREAM, protocol)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 5, 0))
    one.connect(server.getsockname())
    return one, server.accept()[0]


def drain(it):
    try:
        while it.recv(65536):
            pass
    except OSError:
        pass


def linger(it, on, time):
    it.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", on, time))


def closed_by(first, second):
    first.close()
    drain(second)
    second.close()


def client_closes(family):
    one, other = pair(family)
    one.sendall(b"x" * 100)
    other.recv(100)
    closed_by(one, other)


def server_closes(family):
    one, other = pair(family)
    other.sendall(b"y" * 3000)
    closed_by(other, one)


def half_close(family):
    one, other = pair(family)
    one.sendall(b"?")
    one.shutdown(socket.SHUT_WR)
    drain(other)
    other.sendall(b"z" * 50000)
    closed_by(other, one)


def half_closes_both(family):
    one, other = pair(family)
    one.shutdown(socket.SHUT_WR)
    drain(other)
    other.shutdown(socket.SHUT_WR)
    drain(one)
    one.close()
    other.close()


def half_close_abandoned(family):
    one, other = pair(family)
    one.shutdown(socket.SHUT_WR)
    one.close()
    other.close()


def reset(family):
    one, other = pair(family)
    linger(one, 1, 0)
    closed_by(one, other)


def reset_after_fin(family):
    one, other = pair(family)
    other.shutdown(socket.SHUT_WR)
    drain(one)
    linger(one, 1, 0)
    closed_by(one, other)


def unread(family):
    one, other = pair(family)
    one.sendall(b"x" * 500)
    closed_by(other, one)


def late_data(family):
    one, other = pair(family)
    one.close()
    try:
        for _ in range(3):
            other.sendall(b"late")
    except OSError:
        pass
    other.close()


def disconnect(family):
    one, other = pair(family)
    unspecified = struct.pack("H14x", socket.AF_UNSPEC)
    ctypes.CDLL(None).connect(one.fileno(), unspecified, len(unspecified))
    drain(other)
    other.close()
    one.connect(listeners["plain", family].getsockname())
    closed_by(one, listeners["plain", family].accept()[0])


def linger2(family):
    one, other = pair(family)
    one.setsockopt(socket.IPPROTO_TCP, TCP_LINGER2, -1)
    one.close()
    time.sleep(0.0005)
    other.close()


def lingering(family):
    one, other = pair(family)
    linger(one, 1, 1)
    one.sendall(b"x" * 1000)
    threading.Thread(target=lambda: (drain(other), other.close())).start()
    one.close()


def both_at_once(family):
    one, other = pair(family)
    threads = [threading.Thread(target=it.close) for it in (one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def refused(family):
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.connect(("127.0.0.1" if family == socket.AF_INET else "::1", 9))
    except OSError:
        pass
    one.close()


def never_connected(family):
    one = socket.socket(family, socket.SOCK_STREAM)
    one.bind(("", 0))
    one.close()


def self_connect(family):
    one = socket.socket(family, socket.SOCK_STREAM)
    one.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
    one.connect(one.getsockname())
    one.sendall(b"me")
    one.recv(2)
    one.close()


def keepalive(family):
    one, other = pair(family)
    for it in (one, other):
        it.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        it.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
        it.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    held.append((one, other))
    if len(held) > 200:
        closed_by(*held.pop(chance.randrange(len(held))))


def reuse_port(family):
    one, other = pair(family, key="reuse_port")
    closed_by(one, other)


def deferred(family):
    server = listeners["deferred", family]
    one = socket.socket(family, socket.SOCK_STREAM)
    one.connect(server.getsockname())
    one.sendall(b"now")
    closed_by(one, server.accept()[0])


def fast_open(family):
    server = listeners["fast_open", family]
    one = socket.socket(family, socket.SOCK_STREAM)
    one.sendto(b"early", socket.MSG_FASTOPEN, server.getsockname())
    other = server.accept()[0]
    other.recv(5)
    other.sendall(b"answer")
    closed_by(*chance.choice([(one, other), (other, one)]))


def fast_open_connect(family):
    server = listeners["fast_open", family]
    one = socket.socket(family, socket.SOCK_STREAM)
    one.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    one.connect(server.getsockname())
    if chance.random() < 0.2:
        one.close()
        # Without a cookie connect() has sent its SYN already.
        server.setblocking(False)
        try:
            server.accept()[0].close()
        except BlockingIOError:
            pass
        server.setblocking(True)
        return
    one.sendall(b"early")
    closed_by(server.accept()[0], one)


def repair(family):
    one, other = pair(family)
    one.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    one.close()
    linger(other, 1, 0)
    other.close()


def mptcp(family):
    one, other = pair(family, socket.IPPROTO_MPTCP, "mptcp")
    one.sendall(b"x" * 3000)
    other.recv(10)
    how = chance.randrange(4)
    if how == 0:
        linger(one, 1, 0)
    if how == 1:
        one.shutdown(socket.SHUT_WR)
        drain(other)
    closed_by(*((one, other) if how < 3 else (other, one)))


def passed_on(family):
    one, other = pair(family)
    left, right = socket.socketpair()
    socket.send_fds(left, [b"!"], [other.fileno()])
    other.close()
    _, (descriptor,), _, _ = socket.recv_fds(right, 1, 1)
    again = socket.socket(fileno=descriptor)
    left.close()
    right.close()
    closed_by(one, again)


def forked(family):
    one, other = pair(family)
    child = os.fork()
    if child == 0:
        other.close()
        one.sendall(b"child")
        one.close()
        os._exit(0)
    one.close()
    drain(other)
    other.close()
    os.waitpid(child, 0)


def not_accepted(family):
    server = listener(family)
    ones = [socket.create_connection(server.getsockname()[:2]) for _ in range(3)]
    server.close()
    for one in ones:
        drain(one)
        one.close()


def listener_reopened(family):
    server = listener(family)
    one = socket.create_connection(server.getsockname()[:2])
    other = server.accept()[0]
    server.shutdown(socket.SHUT_RDWR)
    try:
        server.listen(5)
    except OSError:
        pass
    server.close()
    closed_by(other, one)


def long_talk(family):
    one, other = pair(family)
    for _ in range(20):
        one.sendall(b"q" * 700)
        other.recv(700, socket.MSG_WAITALL)
        other.sendall(b"a" * 9000)
        one.recv(9000, socket.MSG_WAITALL)
    closed_by(one, other)


kinds = [
    client_closes, server_closes, half_close, half_closes_both, half_close_abandoned, reset, reset_after_fin, unread,
    late_data, disconnect, linger2, lingering, both_at_once, refused, never_connected, self_connect, keepalive, reuse_port,
    deferred, fast_open, fast_open_connect, repair, mptcp, passed_on, forked, not_accepted, listener_reopened, long_talk,
]
listeners, held, made, missing = {}, [], {}, {}
for family in FAMILIES:
    listeners["plain", family] = listener(family)
    listeners["reuse_port", family] = listener(family, options=[(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)])
    listeners["deferred", family] = listener(family, options=[(socket.IPPROTO_TCP, TCP_DEFER_ACCEPT, 2)])
    listeners["fast_open", family] = listener(family, options=[(socket.IPPROTO_TCP, TCP_FASTOPEN, 64)])
    try:
        listeners["mptcp", family] = listener(family, socket.IPPROTO_MPTCP)
    except OSError as error:
        missing["mptcp"] = str(error)
        if mptcp in kinds:
            kinds.remove(mptcp)

# Whatever hangs all the same ends the script, and fails the test.
signal.alarm(int(seconds) + 60)
end = time.monotonic() + seconds
for _ in range(rounds):
    if time.monotonic() > end:
        break
    for kind in chance.sample(kinds, len(kinds)):
        # A fork costs more than everything else.
        if kind is forked and chance.random() < 0.8:
            continue
        try:
            kind(chance.choice(FAMILIES))
        except OSError as error:
            missing[kind.__name__] = f"{type(error).__name__}: {error}"
            if error.errno in (1, 92, 93, 95):
                kinds.remove(kind)
            continue
        made[kind.__name__] = made.get(kind.__name__, 0) + 1
for one, other in held:
    closed_by(one, other)
print(json.dumps({"made": made, "missing": missing}))
