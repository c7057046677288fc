#!/usr/bin/env python3
"""full.py SOCKET: a unix socket that nobody accepts at and whose queue is full: a connect() to it waits until this program ends. Says
"listening on SOCKET" when it is."""
import socket
import sys
import time

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(0)
queued = []
try:
    while True:
        one = socket.socket(socket.AF_UNIX)
        queued.append(one)
        one.setblocking(False)
        one.connect(sys.argv[1])
except BlockingIOError:
    print(f"listening on {sys.argv[1]}", flush=True)
while True:
    time.sleep(60)
