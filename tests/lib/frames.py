"""frames.py: what tests need of the wire protocol (proto/PROTOCOL.md): the frame header, HELLO, PROOF, ERROR."""
import ctypes
import hashlib
import hmac
import os
import struct

HEADER = struct.Struct("<HHIQIQ")
HELLO, ERROR, PROOF = 0x8001, 0x8004, 0x8006
NAMES = {}

_hash = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
_hash.restype = ctypes.c_uint64
_hash.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def frame(kind, payload, length=None, sequence=0):
    """length: a false one for the header."""
    head = HEADER.pack(kind, 0, 0, sequence, len(payload) if length is None else length, 0)
    return HEADER.pack(kind, 0, 0, sequence, len(payload) if length is None else length,
                       _hash(head + payload, len(head) + len(payload))) + payload


def sealed(raw):
    """A frame with the checksum that its bytes have now."""
    raw = raw[:HEADER.size - 8] + bytes(8) + raw[HEADER.size:]
    return raw[:HEADER.size - 8] + struct.pack("<Q", _hash(raw, len(raw))) + raw[HEADER.size:]


def string(text):
    return struct.pack("<H", len(text)) + text.encode()


def way(sock, accepted=False):
    """Both ends of a connection, the one that connected first."""
    ends = [sock.getsockname(), sock.getpeername()]
    return " ".join(f"{host}:{port}" for host, port, *_ in (reversed(ends) if accepted else ends))


def hello(version=1, version_min=1, software="a test", required=0, session=None, nonce=None, channel=0, way="", proof=b""):
    return frame(HELLO, struct.pack("<HHQQ16sII16s16s", version, version_min, required, 0, session or os.urandom(16), channel, 0,
                                    nonce or os.urandom(16), bytes(16)) +
                 string(software) + string(way) + struct.pack("<H", len(proof)) + proof)


class Hello:
    """What a HELLO says."""

    def __init__(self, payload):
        (self.version, _, _, _, self.session, self.channel, self.generation, self.nonce,
         self.host) = struct.unpack_from("<HHQQ16sII16s16s", payload)
        rest = payload[struct.calcsize("<HHQQ16sII16s16s"):]
        self.texts = []
        while rest:
            n = 2 + struct.unpack_from("<H", rest)[0]
            self.texts.append(rest[2:n])
            rest = rest[n:]
        self.software, self.way, self.proof = self.texts


def proof(by, token, source, destination):
    """by: "source" or "destination"; the other two: Hello."""
    text = (string("vmferry 1 " + by) + source.session + source.nonce + destination.nonce +
            struct.pack("<II", source.channel, source.generation) + struct.pack("<H", len(source.way)) + source.way)
    return hmac.digest(token.encode(), text, hashlib.sha256)


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
