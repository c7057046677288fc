#!/usr/bin/env python3
"""crowd.py HOST:PORT COUNT KIND one|many: so many connections at once to a listener of this machine, from 127.0.0.1 or each from an address of
its own; in place of one that is closed another comes. KIND is what they say: silent, slow (the beginning of a HELLO, a byte a second), tls (half a
ClientHello), hello (half a HELLO), mixed (all of these in turn). It says "here" when COUNT have come, and ends never."""
import os
import resource
import select
import socket
import sys
import time

import frames

HELLO = frames.hello()
TLS = bytes.fromhex("160301010001000000fc0303") + os.urandom(64)
FIRST = {"silent": b"", "slow": HELLO[:1], "tls": TLS, "hello": HELLO[:60]}
KINDS = list(FIRST)


class Crowd:
    def __init__(self, address, count, kind, many):
        self.address, self.count, self.kind, self.many = address, count, kind, many
        self.poll, self.here, self.came, self.connected = select.epoll(), {}, 0, 0

    def come(self):
        sock = socket.socket()
        sock.setblocking(False)
        if self.many:
            n = self.came % 4000000
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((f"127.{1 + n // 65025 % 250}.{n // 255 % 255}.{1 + n % 254}", 0))
        kind = KINDS[self.came % len(KINDS)] if self.kind == "mixed" else self.kind
        self.came += 1
        sock.connect_ex(self.address)
        self.here[sock.fileno()] = sock, kind
        self.poll.register(sock, select.EPOLLOUT)

    def hear(self, fd, event):
        sock, kind = self.here[fd]
        try:
            if event & select.EPOLLOUT and not event & (select.EPOLLHUP | select.EPOLLERR):
                if FIRST[kind]:
                    sock.send(FIRST[kind])
                self.connected += 1
                self.poll.modify(fd, select.EPOLLIN)
                return
            if sock.recv(65536):
                return
        except OSError:
            pass
        self.poll.unregister(fd)
        del self.here[fd]
        sock.close()

    def trickle(self, second):
        for sock, kind in list(self.here.values()):
            if kind == "slow":
                try:
                    sock.send(HELLO[1 + second % 50:2 + second % 50])
                except OSError:
                    pass

    def run(self):
        second = 0
        begun = time.monotonic()
        while True:
            for _ in range(min(200, self.count - len(self.here))):
                self.come()
            for fd, event in self.poll.poll(0.2):
                self.hear(fd, event)
            if self.connected >= self.count > 0:
                self.connected -= 1 << 62
                print("here", flush=True)
            if int(time.monotonic() - begun) > second:
                second += 1
                self.trickle(second)


resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]) + 64,) * 2)
host, _, port = sys.argv[1].rpartition(":")
Crowd((host, int(port)), int(sys.argv[2]), sys.argv[3], sys.argv[4] == "many").run()
