#!/usr/bin/env python3
"""peer.py send HOST:PORT KIND [TOKEN]: what a wrong source says to vmferry-dst; prints how it was answered.
peer.py serve KIND: what a wrong destination says to vmferry, once; prints its address first.

KIND: garbage, truncated (HELLO), huge (a frame of 2 GiB), damaged (HELLO), old, new (a version), feature (an unknown one),
token (a wrong one), nothing (closes at once), good (a HELLO, and no more until the end of standard input).
"""
import os
import socket
import sys

import frames

KINDS = {
    "garbage": lambda token: b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n" + os.urandom(4096),
    "truncated": lambda token: frames.hello(token=token)[:40],
    "huge": lambda token: frames.frame(frames.HELLO, b"x" * 100, 0x7fffffff),
    "damaged": lambda token: frames.hello(token=token)[:-1] + b"?",
    "old": lambda token: frames.hello(version=0, version_min=0, token=token),
    "new": lambda token: frames.hello(version=9, version_min=8, token=token),
    "feature": lambda token: frames.hello(required=1 << 40, token=token),
    "token": lambda token: frames.hello(token="00" * 32),
    "nothing": lambda token: b"",
    "good": lambda token: frames.hello(token=token),
}


def answer(sock):
    try:
        found = frames.read_frame(sock)
    except OSError as error:
        return f"closed: {error.strerror}"
    if found is None:
        return "closed"
    _, kind, payload = found
    return "error: " + frames.error_text(payload) if kind == frames.ERROR else f"frame {kind:#06x}"


def send(address, kind, token=""):
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.settimeout(20)
        sock.sendall(KINDS[kind](token))
        if kind in ("truncated", "nothing"):
            sock.shutdown(socket.SHUT_WR)
        print(answer(sock), flush=True)
        if kind == "good":
            sys.stdin.read()


def serve(kind):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"listening on 127.0.0.1:{listener.getsockname()[1]}", flush=True)
        sock, _ = listener.accept()
        with sock:
            sock.sendall(KINDS[kind](""))
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass


if __name__ == "__main__":
    {"send": send, "serve": serve}[sys.argv[1]](*sys.argv[2:])
