"""frames.py: what tests need of the wire protocol (proto/PROTOCOL.md): the frame header, HELLO, ERROR."""
import ctypes
import os
import struct

HEADER = struct.Struct("<HHIQIQ")
HELLO, ERROR = 0x8001, 0x8004
NAMES = {}

_hash = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
_hash.restype = ctypes.c_uint64
_hash.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def frame(kind, payload, length=None, sequence=0):
    """length: a false one for the header."""
    head = HEADER.pack(kind, 0, 0, sequence, len(payload) if length is None else length, 0)
    return HEADER.pack(kind, 0, 0, sequence, len(payload) if length is None else length,
                       _hash(head + payload, len(head) + len(payload))) + payload


def string(text):
    return struct.pack("<H", len(text)) + text.encode()


def hello(version=1, version_min=1, token="", software="a test", required=0):
    return frame(HELLO, struct.pack("<HHQQ16sII", version, version_min, required, 0, os.urandom(16), 0, 0) +
                 string(software) + string(token))


def error_text(payload):
    skipped = struct.unpack_from("<H", payload, 4)[0]
    n = struct.unpack_from("<H", payload, 6 + skipped)[0]
    return payload[8 + skipped:8 + skipped + n].decode()


def read_exactly(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            return None
        data += more
    return data


def read_frame(sock):
    """(header and payload, type, payload), or None at the end."""
    head = read_exactly(sock, HEADER.size)
    if head is None:
        return None
    kind, _, _, _, length, _ = HEADER.unpack(head)
    payload = read_exactly(sock, length)
    return None if payload is None else (head + payload, kind, payload)
