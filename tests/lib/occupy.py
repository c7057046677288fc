#!/usr/bin/env python3
"""occupy.py SOCKET: connects, says so, and keeps a QMP monitor busy for as long as it lives, once QEMU has taken it."""
import socket
import sys

monitor = socket.socket(socket.AF_UNIX)
monitor.connect(sys.argv[1])
print("connected", flush=True)
while monitor.recv(4096):
    pass
