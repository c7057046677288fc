#!/usr/bin/env python3
"""heartbeat.py unix:PATH|udp:ADDRESS:PORT [SECONDS]: listen to the witness's UDP heartbeat.

unix:PATH receives Ethernet frames, for QEMU's
  -netdev dgram,id=n,local.type=unix,local.path=OTHER,remote.type=unix,remote.path=PATH
Ends after SECONDS or with SIGTERM or SIGINT and prints one line:
  heartbeat beats=N lost=N longest_gap_ms=X at_s=X
The gap is in the receiver's clock between two beats that follow one another; at_s is when it began.
"""
import os
import signal
import socket
import struct
import sys
import time

ETHERNET = 14
BEAT = 16  # the sequence number and the guest's clock; counters may follow


def listen(where):
    kind, _, address = where.partition(":")
    if kind == "unix":
        if os.path.exists(address):
            os.unlink(address)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(address)
    else:
        host, _, port = address.rpartition(":")
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.bind((host, int(port)))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    return sock, kind == "unix"


def beat_of(data, framed):
    """The beat's sequence number, or None when this is something else."""
    if framed:
        if len(data) < ETHERNET + 28 or data[12:14] != b"\x08\x00" or data[ETHERNET + 9] != 17:
            return None
        length = struct.unpack_from(">H", data, ETHERNET + 24)[0] - 8
        data = data[ETHERNET + 28:ETHERNET + 28 + length]
    return struct.unpack_from("<Q", data)[0] if len(data) >= BEAT else None


def main():
    sock, framed = listen(sys.argv[1])
    seen, last, longest, longest_at = set(), None, 0.0, 0.0
    begin = time.monotonic()

    def report(*_):
        lost = max(seen) - min(seen) + 1 - len(seen) if seen else 0
        print(f"heartbeat beats={len(seen)} lost={lost} longest_gap_ms={longest * 1000:.1f} "
              f"at_s={longest_at - begin:.3f}", flush=True)
        os._exit(0 if seen else 1)

    signal.signal(signal.SIGTERM, report)
    signal.signal(signal.SIGINT, report)
    if len(sys.argv) > 2:
        signal.signal(signal.SIGALRM, report)
        signal.setitimer(signal.ITIMER_REAL, float(sys.argv[2]))
    while True:
        data = sock.recv(65536)
        now = time.monotonic()
        beat = beat_of(data, framed)
        if beat is None:
            continue
        if last is not None and now - last > longest:
            longest, longest_at = now - last, last
        last = now
        seen.add(beat)


main()
