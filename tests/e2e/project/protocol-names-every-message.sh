#!/bin/bash
# PROTOCOL.md has every message of messages.def, with its number and its fields, and no other.
# takes: 1
# tier: gate
set -euo pipefail
TOP=$(cd "$(dirname "$0")/../../.." && pwd)

python3 -S - "$TOP" <<'END'
import re, sys
sys.path.insert(0, sys.argv[1] + "/tests/lib")
import wire

text = open(sys.argv[1] + "/proto/PROTOCOL.md").read()
TYPES = {"id": "ID", "string": "STR", "rest": "REST", **{f"u{n}": f"U{n}" for n in (8, 16, 32, 64)}}
FIELD = rf"({'|'.join(TYPES)}) +([A-Za-z]\w*)"
wrong = []


def fields(found):  # fields behind "rest" have names in messages.def alone
    return [("" if kind == "rest" else name, TYPES[kind]) for kind, name in found]


def block(name, number):  # "    NAME 0x8001:  u16 version   words", and lines below it
    at = re.search(rf"^    {name} 0x{number:04x}: (.*(?:\n {{5,}}.*)*)", text, re.M)
    return at and [m.groups() for line in at[1].split("\n") if (m := re.match(" *" + FIELD, line))]


table = {(int(number, 16), name): payload for number, name, payload in
         re.findall(r"^\| (0x\w+) \| (\w+) \| \w+ \| \w+ \| (.*) \|$", text, re.M)}
if set(table) != set(wire.NAMES.items()):
    wrong.append(f"the table and messages.def differ in {sorted(set(table) ^ set(wire.NAMES.items()))}")
for (number, name), payload in table.items():
    want = [("" if kind == "REST" else field, kind) for field, kind in wire.FIELDS.get(number, [])]
    below = block(name, number)
    if below is None and payload.startswith("["):
        wrong.append(f"{name}: no fields")
    if not payload.startswith("[") and fields(re.findall(FIELD, payload)) != want:
        wrong.append(f"{name}: {payload}, and not {want}")
    if below is not None and fields(below) != want:
        wrong.append(f"{name}: its fields are {below}, and not {want}")
sys.exit("\n".join(wrong) or 0)
END
