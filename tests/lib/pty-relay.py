#!/usr/bin/env python3
# A pseudo-terminal as a socket: pty-relay.py PTY SOCKET. A tool that uses serial ports by a socket (ask-tool) so reaches libvirt's console.
# Clients are served one after another, until it is killed.
import os
import select
import socket
import sys
import tty

pty = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
tty.setraw(pty)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[2])
listener.listen()
while True:
    client, _ = listener.accept()
    ends = {pty: client.fileno(), client.fileno(): pty}
    try:
        while True:
            for end in select.select(list(ends), [], [])[0]:
                data = os.read(end, 65536)
                if not data and end != pty:
                    raise ConnectionError
                os.write(ends[end], data)
    except (ConnectionError, BrokenPipeError):
        client.close()
