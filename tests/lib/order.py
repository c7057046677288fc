#!/usr/bin/env python3
"""order.py SOCKET ORDER [DEADLINE_S]: give the witness one order, print its answer.

The order carries a word of its own, which the witness repeats before each line of the
answer: what an earlier, abandoned order left in the line is not taken for the answer.
"""
import os
import socket
import sys
import time


def connect(path, deadline):
    while True:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            sock.connect(path)
            return sock
        except (FileNotFoundError, ConnectionRefusedError):
            sock.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def answer(sock, tag, deadline):
    """Yields the answer's lines without the tag, up to `ok` or `err`."""
    pending = b""
    while True:
        sock.settimeout(max(0.01, deadline - time.monotonic()))
        data = sock.recv(65536)
        if not data:
            raise ConnectionError("the connection closed before the answer was complete")
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            if not line.startswith(tag + b" "):
                continue
            text = line[len(tag) + 1:].decode(errors="replace")
            yield text
            if text == "ok" or text.startswith("err"):
                return


def main():
    path, order = sys.argv[1:3]
    deadline = time.monotonic() + float(sys.argv[3] if len(sys.argv) > 3 else 60)
    tag = b"@%d.%d" % (os.getpid(), time.monotonic_ns() % 1000000)
    try:
        sock = connect(path, deadline)
        sock.sendall(b"\n" + tag + b" " + order.encode() + b"\n")
        for line in answer(sock, tag, deadline):
            if line.startswith("err"):
                sys.exit(f"witness, on '{order}': {line[4:]}")
            if line != "ok":
                print(line)
    except OSError as error:
        sys.exit(f"order '{order}' at {path}: {error}")


main()
