#!/usr/bin/env python3
"""durable.py INTERFACE: when a destination tells its source that the bulk copy of the first disk is durable there.

Says "watching" when it has begun to look at INTERFACE, then the time at which DURABLE (proto/PROTOCOL.md) of disk 1, round 0, passed,
in seconds of CLOCK_MONOTONIC, as in logs. The connection must be in clear.
"""
import ctypes
import re
import socket
import struct
import sys
import time

ALL, SO_ATTACH_FILTER = 3, 26
# Only frames with a payload and not much of it: the data that goes the other way would be too much to look at.
PAYLOAD_MIN, PAYLOAD_MAX = 94, 1000
LOAD_LENGTH, JUMP_LESS, JUMP_MORE, RETURN = 0x80, 0x35, 0x25, 0x06
PROGRAM = [(LOAD_LENGTH, 0, 0, 0), (JUMP_LESS, 0, 2, PAYLOAD_MIN), (JUMP_MORE, 1, 0, PAYLOAD_MAX), (RETURN, 0, 0, 0xffff),
           (RETURN, 0, 0, 0)]
# type 0x8029; length 8; group 1, number 0
DURABLE = re.compile(rb"\x29\x80.{14}\x08\0\0\0.{8}\x01\0\0\0\0\0\0\0", re.DOTALL)


def attach(sock):
    code = b"".join(struct.pack("HBBI", *step) for step in PROGRAM)
    text = ctypes.create_string_buffer(code, len(code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(PROGRAM), ctypes.addressof(text)))


def main():
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
    attach(sock)
    sock.bind((sys.argv[1], 0))
    print("watching", flush=True)
    while not DURABLE.search(sock.recv(PAYLOAD_MAX)):
        pass
    print("%.6f" % time.monotonic(), flush=True)


main()
