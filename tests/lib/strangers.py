#!/usr/bin/env python3
"""strangers.py HOST:PORT COUNT [more]: so many connections at once, most of them silent, some that begin as TLS does. It says
"connected", keeps them until they are closed, and says then "gone, the last after SECONDS".

With "more" it never ends, and in place of one that was closed another comes at once.
"""
import select
import socket
import sys
import time


def come(address, number):
    sock = socket.create_connection(address, 10)
    if number % 4 == 3:
        sock.sendall(b"\x16")
    return sock


def main():
    host, _, port = sys.argv[1].rpartition(":")
    count, address, more = int(sys.argv[2]), (host, int(port)), len(sys.argv) > 3
    poll, here, number = select.epoll(), {}, 0
    begun = time.monotonic()
    while here or not number:
        while number < count or (more and len(here) < count):
            sock = come(address, number)
            number += 1
            here[sock.fileno()] = sock
            poll.register(sock, select.EPOLLIN)
            if number == count:
                print("connected", flush=True)
        for fd, _ in poll.poll():
            try:
                ended = not here[fd].recv(65536)
            except OSError:
                ended = True
            if ended:
                poll.unregister(fd)
                here.pop(fd).close()
    print(f"gone, the last after {time.monotonic() - begun:.1f}", flush=True)


main()
