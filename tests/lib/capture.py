#!/usr/bin/env python3
"""capture.py INTERFACE FILE: writes the contents of all frames on INTERFACE to FILE until SIGTERM.

Says "capturing" when it has begun, and at the end one line: frames=N dropped=N rarp=N (RARP: a guest that announces itself).
"""
import signal
import socket
import struct
import sys

ALL, SO_RCVBUFFORCE, SOL_PACKET, PACKET_STATISTICS = 3, 33, 263, 6


def main():
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
    sock.bind((sys.argv[1], 0))
    frames = rarp = 0

    def stop(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    with open(sys.argv[2], "wb") as file:
        print("capturing", flush=True)
        try:
            while True:
                data = sock.recv(1 << 18)
                file.write(data)
                frames += 1
                rarp += data[12:14] == b"\x80\x35"
        except KeyboardInterrupt:
            sock.setblocking(False)
            try:
                while True:
                    file.write(sock.recv(1 << 18))
                    frames += 1
            except BlockingIOError:
                pass
    _, dropped = struct.unpack("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    print(f"frames={frames} dropped={dropped} rarp={rarp}", flush=True)


main()
