#!/usr/bin/env python3
"""peer.py send HOST:PORT KIND [TOKEN]: what a wrong source says to vmferry-dst; prints how it was answered.
peer.py serve KIND: what a wrong destination says to vmferry, once; prints its address first.

KIND: garbage, truncated (HELLO), huge (a frame of 2 GiB), damaged (HELLO), old, new (a version), feature (an unknown one),
token (a wrong one), elsewhere (a HELLO that says it came another way), nothing (closes at once), good (HELLO and the proof of
TOKEN, and no more until the end of standard input).
"""
import os
import socket
import sys

import frames

KINDS = {
    "garbage": lambda way: b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n" + os.urandom(4096),
    "truncated": lambda way: frames.hello()[:40],
    "huge": lambda way: frames.frame(frames.HELLO, b"x" * 100, 0x7fffffff),
    "damaged": lambda way: frames.hello(way=way)[:-1] + b"?",
    "old": lambda way: frames.hello(version=0, version_min=0),
    "new": lambda way: frames.hello(version=9, version_min=8),
    "feature": lambda way: frames.hello(required=1 << 40),
    "token": lambda way: frames.hello(way=way),
    "elsewhere": lambda way: frames.hello(way="127.0.0.3:1 127.0.0.1:2"),
    "nothing": lambda way: b"",
    "good": lambda way: frames.hello(way=way),
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
        said = KINDS[kind](frames.way(sock))
        sock.sendall(said)
        if kind in ("truncated", "nothing"):
            sock.shutdown(socket.SHUT_WR)
        if kind in ("token", "good"):
            mine = frames.Hello(said[frames.HEADER.size:])
            theirs = frames.Hello(frames.read_frame(sock)[2])
            right = theirs.proof == frames.proof("destination", token, mine, theirs)
            sock.sendall(frames.frame(frames.PROOF, frames.proof("source", token if kind == "good" else "00" * 32, mine, theirs)))
        if kind == "good":
            print("it has proved that it knows the token" if right else "it does not know the token", flush=True)
            sys.stdin.read()
        else:
            print(answer(sock), flush=True)


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
