#!/usr/bin/env python3
"""record.py TO DIRECTORY: passes connections on to TO and keeps what each client said first, 64 KiB, in DIRECTORY/N.

record.py TO replay FILE BYTES: says the first BYTES of FILE to TO and prints how many bytes came back before the connection
ended: "ended BYTES". TO is ADDRESS:PORT.
"""
import errno
import socket
import sys
import threading

KEPT = 64 << 10


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def carry(source, sink, file):
    kept = 0
    try:
        while data := source.recv(1 << 16):
            if file and kept < KEPT:
                file.write(data[:KEPT - kept])
                file.flush()
                kept += len(data)
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def record(to, directory):
    listener = socket.create_server(("127.0.0.1", 0))
    print("listening on 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    number = 0
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(address(to))
        file = open(f"{directory}/{number}", "wb")
        number += 1
        threading.Thread(target=carry, args=(client, server, file), daemon=True).start()
        threading.Thread(target=carry, args=(server, client, None), daemon=True).start()


def replay(to, path, count):
    sock = socket.create_connection(address(to), 5)
    sock.settimeout(20)
    came = 0
    try:
        sock.sendall(open(path, "rb").read()[:count])
        sock.shutdown(socket.SHUT_WR)
        while data := sock.recv(1 << 16):
            came += len(data)
    except OSError as error:  # refused, perhaps before all was sent
        if error.errno not in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
            raise
    print("ended", came)


if sys.argv[2] == "replay":
    replay(sys.argv[1], sys.argv[3], int(sys.argv[4]))
else:
    record(*sys.argv[1:])
