#!/usr/bin/env python3
"""proxy.py HOST:PORT WHERE:DIRECTION:N:WHAT[:TYPE]: stands between vmferry and a vmferry-dst, and does one thing to the connection.

WHERE is control or data; DIRECTION up (from the source) or down; N counts the frames of such connections that way, HELLO
included, or those of one TYPE (a number, as PROTOCOL.md has it). WHAT happens to that frame: flip (one bit of its content), lie (one
bit of its last byte, under a right checksum), cut (the connection, in the middle of it) or nothing.
Listens on 127.0.0.2, and there on the port for data and further connections that the destination announces, as vmferry goes to the host it was told.
Prints the address, and a line when it has done it.
"""
import json
import re
import socket
import sys
import threading

import frames

ACCEPT = 0x8011
HERE = "127.0.0.2"


class Proxy:
    def __init__(self, target, fault):
        host, _, port = target.rpartition(":")
        self.host, self.port = host, int(port)
        self.where, self.direction, at, self.what, *kind = fault.split(":")
        self.kind = int(kind[0], 0) if kind else None
        self.at, self.seen, self.lock = int(at), 0, threading.Lock()

    def is_due(self, where, direction, kind):
        if (where, direction, kind) != (self.where, self.direction, self.kind or kind):
            return False
        with self.lock:
            self.seen += 1
            return self.seen == self.at

    def announce(self, payload):
        port = json.loads(payload[16:])["resume_port"]
        self.listen(port, lambda: port, "data")

    def carry(self, source, sink, where, direction):
        try:
            while True:
                found = frames.read_frame(source)
                if found is None:
                    break
                raw, kind, payload = found
                if kind == ACCEPT and where == "control":
                    self.announce(payload)
                if self.is_due(where, direction, kind) and self.what != "nothing":
                    print(f"{self.what} {where} {direction} frame {self.at}: type {kind:#06x}, {len(payload)} bytes", flush=True)
                    if self.what == "cut":
                        sink.sendall(raw[:len(raw) // 2])
                        break
                    if self.what == "lie":
                        sink.sendall(frames.sealed(raw[:-1] + bytes([raw[-1] ^ 1])))
                        continue
                    middle = frames.HEADER.size + len(payload) // 2
                    raw = raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1:]
                sink.sendall(raw)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def serve(self, listener, port, where):
        while True:
            client, _ = listener.accept()
            try:
                server = socket.create_connection((self.host, port()))
            except OSError:
                client.close()
                continue
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.carry, args=(client, server, where, "up"), daemon=True).start()
            threading.Thread(target=self.carry, args=(server, client, where, "down"), daemon=True).start()

    def listen(self, here, port, where):
        listener = socket.create_server((HERE, here))
        threading.Thread(target=self.serve, args=(listener, port, where), daemon=True).start()
        return listener.getsockname()[1]


def main():
    if len(sys.argv) != 3 or not re.fullmatch(r"(control|data):(up|down):\d+:(flip|lie|cut|nothing)(:0x[0-9a-f]+)?", sys.argv[2]):
        sys.exit(__doc__)
    proxy = Proxy(*sys.argv[1:])
    print(f"listening on {HERE}:{proxy.listen(0, lambda: proxy.port, 'control')}", flush=True)
    threading.Event().wait()


main()
