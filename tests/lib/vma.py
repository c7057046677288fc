#!/usr/bin/env python3
"""vma.py OUT CONF NAME=FILE...: writes an archive as vzdump does: CONF is the guest's configuration, and each NAME a raw disk."""
import hashlib
import os
import struct
import sys

CLUSTER, BLOCK, INFOS = 65536, 4096, 59


def header(uuid, conf, devices):
    blobs, names, datas, infos = bytearray(1), [0] * 256, [0] * 256, [(0, 0)] * 256

    def blob(data):
        at = len(blobs)
        blobs.extend(struct.pack("<H", len(data)) + data)
        return at

    names[0], datas[0] = blob(b"qemu-server.conf\0"), blob(conf)
    for i, (name, size) in enumerate(devices, 1):
        infos[i] = (blob(name.encode() + b"\0"), size)
    blobs.extend(bytes(-len(blobs) % 512))
    h = bytearray(struct.pack(">4sI16sQ16sIII", b"VMA\0", 1, uuid, 1700000000, bytes(16), 12288, len(blobs), 12288 + len(blobs)))
    h.extend(bytes(2044 - len(h)) + struct.pack(">256I", *names) + struct.pack(">256I", *datas) + bytes(4))
    for pointer, size in infos:
        h.extend(struct.pack(">IIQQQ", pointer, 0, size, 0, 0))
    h += blobs
    h[32:48] = hashlib.md5(h).digest()
    return h


def extent(uuid, infos, data):
    e = bytearray(struct.pack(">4sHH16s16s", b"VMAE", 0, len(data) // BLOCK, uuid, bytes(16)))
    e.extend(struct.pack(">59Q", *(infos + [0] * (INFOS - len(infos)))))
    e[24:40] = hashlib.md5(e).digest()
    return e + data


def clusters(device, f):
    """Of each cluster what an extent says of it, and its blocks that are not zeros."""
    number = 0
    while cluster := f.read(CLUSTER):
        mask, data = 0, b""
        for i in range(0, len(cluster), BLOCK):
            block = cluster[i:i + BLOCK].ljust(BLOCK, b"\0")
            if block.strip(b"\0"):
                mask |= 1 << i // BLOCK
                data += block
        yield mask << 48 | device << 32 | number, data
        number += 1


def main():
    out, conf, *disks = sys.argv[1:]
    uuid = os.urandom(16)
    devices = [d.split("=", 1) for d in disks]
    with open(out, "wb") as f, open(conf, "rb") as c:
        f.write(header(uuid, c.read(), [(name, os.path.getsize(file)) for name, file in devices]))
        infos, data = [], b""
        for i, (_, file) in enumerate(devices, 1):
            with open(file, "rb") as d:
                for info, more in clusters(i, d):
                    infos.append(info)
                    data += more
                    if len(infos) == INFOS:
                        f.write(extent(uuid, infos, data))
                        infos, data = [], b""
        if infos:
            f.write(extent(uuid, infos, data))


main()
