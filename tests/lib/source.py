#!/usr/bin/env python3
"""source.py HOST:PORT TOKEN: a source that says to vmferry-dst, one after the other, the messages on standard input: lines of
TYPE ATTEMPT JSON, with TYPE a number, ATTEMPT in hex; HANDOFF has its state behind the attempt. Prints the answers,
"error: …" or a frame's number, up to ACCEPT, or "closed"."""
import socket
import sys

import frames

ACCEPT = 0x8011

host, _, port = sys.argv[1].rpartition(":")
with socket.create_connection((host, int(port)), 10) as sock:
    sock.settimeout(30)
    said = frames.hello(way=frames.way(sock))
    sock.sendall(said)
    _, kind, payload = frames.read_frame(sock)
    assert kind == frames.HELLO, hex(kind)
    sock.sendall(frames.frame(frames.PROOF, frames.proof("source", sys.argv[2], frames.Hello(said[frames.HEADER.size:]),
                                                         frames.Hello(payload))))
    for i, line in enumerate(sys.stdin):
        kind, attempt, text = line.rstrip("\n").split(" ", 2)
        sock.sendall(frames.frame(int(kind, 0), bytes.fromhex(attempt) + text.encode(), sequence=i + 1))
    while True:
        try:
            found = frames.read_frame(sock)
        except (TimeoutError, ConnectionError) as error:
            print(error)
            break
        if found is None:
            print("closed")
            break
        if found[1] & 0x8000:
            print("error: " + frames.error_text(found[2]) if found[1] == frames.ERROR else f"frame {found[1]:#06x}", flush=True)
        if found[1] == ACCEPT:
            break
