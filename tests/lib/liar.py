#!/usr/bin/env python3
"""liar.py MODE: a process that claims to be a QEMU, run by an interpreter of that name with whatever a QEMU's line would have behind it.

idle READY …: says nothing at all.
empty READY SOCKET …: serves a QMP monitor that greets and answers every command with {}.
ear READY SOCKET …: listens there and writes what it hears to READY.heard.
crowd READY COUNT …: so many more of it, which end with it.
The file READY is made once that is so."""
import json
import os
import signal
import socket
import sys


def listen(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    os.chmod(path, 0o777)
    s.listen(5)
    open(sys.argv[2], "w").close()
    return s


def empty(path):
    s = listen(path)
    while True:
        client, _ = s.accept()
        f = client.makefile("rw")
        f.write('{"QMP": {"version": {"qemu": {"major": 10}}}}\n')
        f.flush()
        for line in f:
            f.write(json.dumps({"return": {}, "id": json.loads(line).get("id")}) + "\n")
            f.flush()


def ear(path):
    s = listen(path)
    with open(sys.argv[2] + ".heard", "wb", buffering=0) as heard:
        while True:
            client, _ = s.accept()
            client.sendall(b'{"QMP": {"version": {"qemu": {"major": 10}}}}\n')
            while data := client.recv(4096):
                heard.write(data)


def crowd(count):
    """Each reads from a pipe whose other end only the first one has."""
    read, write = os.pipe()
    for _ in range(int(count)):
        if os.fork() == 0:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
    open(sys.argv[2], "w").close()
    signal.pause()


if sys.argv[1] == "idle":
    open(sys.argv[2], "w").close()
    signal.pause()
else:
    {"empty": empty, "ear": ear, "crowd": crowd}[sys.argv[1]](sys.argv[3])
