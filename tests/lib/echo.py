#!/usr/bin/env python3
"""echo.py ADDRESS [SECONDS]: waits until ADDRESS answers an ICMP echo request (RFC 792), which is sent ten times a second; 1 if it does not. Needs root."""
import os
import select
import socket
import struct
import sys
import time


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def request(number):
    head = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, number)
    return head[:2] + struct.pack("!H", checksum(head)) + head[4:]


address, seconds = sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 10
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
until, number = time.monotonic() + seconds, 0
while time.monotonic() < until:
    number += 1
    try:
        sock.sendto(request(number & 0xFFFF), (address, 0))
    except OSError: # no carrier, say
        time.sleep(0.1)
        continue
    pause = time.monotonic() + 0.1
    while (left := pause - time.monotonic()) > 0 and select.select([sock], [], [], left)[0]:
        data, source = sock.recvfrom(2048)
        kind, code, _, ident = struct.unpack("!BBHH", data[20:26])
        if source[0] == address and (kind, code, ident) == (0, 0, os.getpid() & 0xFFFF):
            sys.exit(0)
print(f"no answer from {address}", file=sys.stderr)
sys.exit(1)
