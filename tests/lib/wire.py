"""wire.py: every message of the protocol, decoded and encoded as proto/messages.def lists it."""
import json
import re
import struct
from pathlib import Path

DEFINITIONS = Path(__file__).resolve().parents[2] / "proto" / "messages.def"
WIDTH = {"U8": 1, "U16": 2, "U32": 4, "U64": 8, "ID": 16}
NAMES, FIELDS, NUMBERS = {}, {}, {} # by number: its name, [(field, kind)]; by name: its number
STATES = ["NONE", "src-BEGUN", "src-COMMITTED", "src-RELEASED", "src-ABORTED", "dst-BEGUN", "dst-PREPARED", "dst-START", "dst-STARTED",
          "dst-DONE", "dst-NOVM", "dst-ABORTED", "src-REVERTING"]

for name, number, fields in re.findall(r"^MESSAGE\((\w+), \w+, (0x\w+),([^;]*?)\)\s*(?=^MESSAGE|^/\*|\Z)", DEFINITIONS.read_text(), re.M):
    NAMES[int(number, 16)] = name
    NUMBERS[name] = int(number, 16)
    FIELDS[int(number, 16)] = [(field, kind) for kind, field in re.findall(r"(U8|U16|U32|U64|ID|STR|REST)\((\w+)\)", fields)]
OF_ATTEMPT = {name for name, number in NUMBERS.items() if ("attempt", "ID") in FIELDS[number]}
WITH_JSON = {name for name, number in NUMBERS.items() if ("json", "REST") in FIELDS[number]}


def decode(kind, payload):
    """Field by field, in order; integers as such, all else as bytes."""
    out, at = {}, 0
    for field, width in FIELDS[kind]:
        if width == "REST":
            out[field] = payload[at:]
            break
        if width == "STR":
            n = struct.unpack_from("<H", payload, at)[0]
            at += 2
        else:
            n = WIDTH[width]
        raw = payload[at:at + n]
        out[field] = raw if width in ("ID", "STR") else int.from_bytes(raw, "little")
        at += n
    return out


def encode(kind, fields):
    out = b""
    for field, width in FIELDS[kind]:
        value = fields[field]
        if width == "STR":
            out += struct.pack("<H", len(value)) + value
        elif width in ("REST", "ID"):
            out += value
        else:
            out += value.to_bytes(WIDTH[width], "little")
    return out


def of_object(number):
    if not number:
        return "last"
    return "disk" if number < 256 else "ram" if number < 65536 else "stream"


def key(kind, payload):
    """The message and what it is about: "DATA:ram", "HANDOFF:dst-PREPARED", "ACCEPT"."""
    name = NAMES.get(kind)
    if name is None:
        return f"{kind:#06x}"
    try:
        m = decode(kind, payload)
        if name in ("OBJECT", "DATA", "DELTA", "END", "HAVE", "STREAM_MARK"):
            return f"{name}:{of_object(m.get('object', m.get('id')))}"
        if name == "DATA_ALSO":
            return "DATA_ALSO"
        if name in ("ROUND_BEGIN", "ROUND_END", "APPLIED", "DURABLE"):
            return f"{name}:{'disk' if m['group'] else 'ram'}"
        if name == "HANDOFF":
            return f"{name}:{STATES[m['state']]}"
    except (struct.error, IndexError):
        pass
    return name


def with_json(kind, payload, change):
    """The message with another body: change is given what the JSON says and returns it, or text or bytes in its place."""
    m = decode(kind, payload)
    body = change(json.loads(m["json"]))
    if not isinstance(body, (str, bytes)):
        body = json.dumps(body, separators=(",", ":"))
    m["json"] = body.encode() if isinstance(body, str) else body
    return encode(kind, m)
