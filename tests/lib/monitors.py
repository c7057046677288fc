#!/usr/bin/env python3
"""What somebody does with monitors of a QEMU on TCP ports of this host. KIND: hmp, mux (behind a serial port), qmp, websocket, gdb.

monitors.py cont KIND:PORT...   says `cont` to each; fails if one answers within a second
monitors.py ask KIND:PORT...    asks each how the guest is; fails if one does not say "running" within ten seconds. (A debugger stops it
                                when it comes, and is asked to let it run.)
"""
import base64, os, select, socket, struct, sys, time

UPGRADE = (b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\n\r\n" % base64.b64encode(os.urandom(16)))


def words(kind, ask):
    line = b"info status\n" if ask else b"cont\n"
    return {"websocket": b"\x82" + bytes([0x80 | len(line)]) + bytes(4) + line, # a frame whose mask is 0
            "qmp": b'{"execute": "qmp_capabilities"}{"execute": "%s"}\n' % (b"query-status" if ask else b"cont"),
            "gdb": b"$c#63",
            "mux": b"\x01c" + line + b"\x01c"}.get(kind, line) # there and back


def heard(conn, wanted, seconds):
    said, end = b"", time.monotonic() + seconds
    while wanted not in said and select.select([conn], [], [], max(0, end - time.monotonic()))[0]:
        more = conn.recv(4096)
        if not more:
            break
        said += more
    return said


def speak(kind, port, ask):
    conn = socket.create_connection(("127.0.0.1", port), timeout=10)
    if kind == "websocket":
        conn.sendall(UPGRADE)
        if not ask or not heard(conn, b"\r\n\r\n", 10):
            # the orderly end of a client whose turn has not come is overlooked by QEMU 10.0
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return conn
    conn.sendall(words(kind, ask))
    return conn


if sys.argv[1] == "cont":
    conns = {name: speak(name.split(":")[0], int(name.split(":")[1]), False) for name in sys.argv[2:]}
    end = time.monotonic() + 1
    for name, conn in conns.items():
        said = heard(conn, b"\n", max(0, end - time.monotonic()))
        if said:
            sys.exit(f"the monitor {name} says {said!r}")
else:
    for name in sys.argv[2:]:
        kind, port = name.split(":")
        wanted = b"+" if kind == "gdb" else b"running"
        with speak(kind, int(port), True) as conn:
            said = heard(conn, wanted, 10)
        if wanted not in said:
            sys.exit(f"the monitor {name} says {said!r}")
