#!/usr/bin/env python3
"""source.py HOST:PORT TOKEN: a source that says to vmferry-dst, one after the other, the messages on standard input: lines of
TYPE ATTEMPT JSON, with TYPE a number, ATTEMPT in hex; HANDOFF has its state behind the attempt. Prints the answers,
"error: …" or a frame's number, up to ACCEPT (of one that says PREPARE, too, to COPY_READY), or "closed"."""
import socket
import sys

import frames

ACCEPT, PREPARE, COPY_READY = 0x8011, 0x8012, 0x8013

host, _, port = sys.argv[1].rpartition(":")
with socket.create_connection((host, int(port)), 10) as sock:
    sock.settimeout(30)
    said = frames.hello(way=frames.way(sock))
    sock.sendall(said)
    _, kind, payload = frames.read_frame(sock)
    assert kind == frames.HELLO, hex(kind)
    sock.sendall(frames.frame(frames.PROOF, frames.proof("source", sys.argv[2], frames.Hello(said[frames.HEADER.size:]),
                                                         frames.Hello(payload))))
    last = ACCEPT
    for i, line in enumerate(sys.stdin):
        kind, attempt, text = line.rstrip("\n").split(" ", 2)
        sock.sendall(frames.frame(int(kind, 0), bytes.fromhex(attempt) + text.encode(), sequence=i + 1))
        if int(kind, 0) == PREPARE:
            last = COPY_READY
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
        if found[1] == last:
            break
