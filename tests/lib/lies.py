#!/usr/bin/env python3
"""lies.py run|list WORD...: a table of lies. Each is told in a move of its own, by who stands between the real agents (between.py): one field
of one message says something else, or a message is left out, comes twice, or when it is not its time. The honest side refuses it
with a sentence that says what was wrong, or it does no harm: whatever happens, the guest runs in one place, which is the one that was said, verifies
from inside, nothing of the move is left anywhere else, no agent died, and none took more memory than it may.

WORDs are regular expressions for the rows' names; "sample:N" takes N of those, spread over all. Environment: from tests/lib/lies.sh.
"""
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import frames
import wire
from between import Between, Lie

MEMORY_MAX_KIB = 192 << 10 # an agent has this at most, whatever it is told: 64 buffers of 256 KiB, windows, one thin stream, and the program itself
MOVE_S, CANCEL_AFTER_S, CLEAN_S = 100, 30, 40
PAYLOAD_MAX = 1 << 20
CODES = {0: "moved", 1: "stayed", 3: "stayed", 6: "undecided", 7: "moved"}

# ---- what may be said instead ----

def numbers(true, bytes_of):
    top = (1 << 8 * bytes_of) - 1
    return [n for n in sorted({0, 1, top, 1 << 31, 1 << 60, true + 1, true - 1}) if 0 <= n <= top and n != true]


TEXTS = {"empty": "", "up": "..", "absolute": "/etc/passwd", "64KiB": "x" * 65536, "control": "a\x1b[2J\nb", "NUL": "a\0b", "not-UTF-8": None}


def bytes_instead(name):
    return b"\xff\xfe\xc3" if TEXTS[name] is None else TEXTS[name].encode()[:65535]


def field_lie(field, value):
    def what(_, kind, payload):
        m = wire.decode(kind, payload)
        m[field] = value(m[field]) if callable(value) else value
        return [(kind, wire.encode(kind, m))]
    return what


def json_at(path, value):
    """value: what stands there instead; REMOVED; or a function of what is there."""
    def change(body):
        at = body
        for step in path[:-1]:
            at = at[step]
        if value is REMOVED:
            del at[path[-1]]
        else:
            at[path[-1]] = value(at[path[-1]]) if callable(value) else value
        return body
    return change


REMOVED, RAW = object(), "\ue000raw"


def json_lie(change):
    def what(_, kind, payload):
        out = wire.with_json(kind, payload, change)
        mark = json.dumps(RAW)[1:-1].encode()
        return [(kind, out.replace(mark, b"\xff\xfe\xc3"))]
    return what


def leaves(value, path=()):
    """Every member: (path, value); of a list the first one only."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for name, inner in list(value.items())[:40]:
            yield from leaves(inner, path + (name,))
    elif isinstance(value, list) and value:
        yield from leaves(value[0], path + (0,))


def instead_of(value):
    """(what it is called, what is said) for a member of a JSON body."""
    yield "missing", REMOVED
    if isinstance(value, bool):
        yield "other", not value
        yield "number", 7
    elif isinstance(value, int):
        for n in sorted({0, 1, -1, 1 << 31, 1 << 60, (1 << 63) - 1, value + 1, value - 1} - {value}):
            yield str(n), n
        yield "text", "x"
    elif isinstance(value, float):
        for n in (-1.0, 1e300):
            yield str(n), n
        yield "text", "x"
    elif isinstance(value, str):
        for name, text in TEXTS.items():
            yield name, RAW if text is None else text
        yield "number", 7
    elif isinstance(value, list):
        yield "empty", []
        yield "numbers", [7, 8]
        yield "many", lambda v: many(v)
        yield "text", "x"
    elif isinstance(value, dict):
        yield "empty", {}
        yield "list", [1]
        yield "many", {str(i): 0 for i in range(60000)}


def many(value):
    one = value[0] if value else "x"
    return [one] * max(2, (PAYLOAD_MAX - 65536) // (len(json.dumps(one)) + 2)) # as many as fit into a frame


# ---- bodies that are no plain fields ----

def extents_of(body, count):
    return [list(struct.unpack_from("<QI", body, 12 * i)) for i in range(count)]


def extent_lie(index, value):
    """Of the first extent of a DATA: 0 its offset, 1 its units."""
    def what(_, kind, payload):
        m = wire.decode(kind, payload)
        x = extents_of(m["body"], 1)[0]
        x[index] = value(x[index]) if callable(value) else value
        m["body"] = struct.pack("<QI", *x) + m["body"][12:]
        return [(kind, wire.encode(kind, m))]
    return what


def seed_lie(index, value):
    def what(_, kind, payload):
        m = wire.decode(kind, payload)
        x = list(struct.unpack_from("<HHII", m["rest"]))
        x[index] = value(x[index]) if callable(value) else value
        m["rest"] = struct.pack("<HHII", *x) + m["rest"][12:]
        return [(kind, wire.encode(kind, m))]
    return what


# ---- the messages as such ----

def left_out(*_):
    return []


def twice(_, kind, payload):
    return [(kind, payload), (kind, payload)]


def header_lie(**wrong):
    def what(_, kind, payload):
        return [(kind, payload, wrong)]
    return what


def with_also(other, before):
    """Another message beside it."""
    def what(between, kind, payload):
        added_kind, added = other
        if wire.NAMES.get(added_kind) in wire.OF_ATTEMPT and between.attempt:
            added = between.attempt + added[16:]
        both = [(added_kind, added), (kind, payload)]
        return both if before else both[::-1]
    return what


MOMENTS = [ # moments in which a message is out of place
    ("control up", "DESCRIBE", True, "at first"),
    ("control up", "PREPARE", False, "after PREPARE"),
    ("control up", "HANDOFF:src-COMMITTED", False, "after COMMITTED"),
    ("control down", "ACCEPT", True, "before ACCEPT"),
    ("control down", "COPY_READY", True, "before COPY_READY"),
    ("control down", "COPY_READY", False, "after COPY_READY"),
    ("control down", "HANDOFF:dst-PREPARED", True, "before PREPARED"),
    ("control down", "HANDOFF:dst-STARTED", False, "after STARTED"),
    ("data up", "OBJECT:disk", True, "at first"),
    ("data up", "ROUND_END:disk", True, "in round 0"),
    ("data up", "ROUND_BEGIN:ram", False, "in RAM's round 1"),
    ("data up", "END:last", False, "after END"),
]

# ---- rows ----

# Lies that must be refused, and what the sentence says; the others may be harmless. What is a pair is looked for from the top.
REFUSED = [
    (r"DATA:\w+\.(codec|extents|extent\.offset) =|DATA_ALSO\.seeds =|END:last\.units|stream\.(unit_shift|size) =|END:disk\.last|END:ram\.last", None),
    (r"HELLO\.(session|channel|generation) =", "session|channel"),
    (r"HELLO\.(required|version_min = [+6])", "features|versions"),
    (r"data up: OBJECT:(\w+)\.id =|data up: OBJECT:\w+\.kind =", "OBJECT|impossible RAM block|RAM block .* there is"),
    (r"data up: OBJECT:(disk|ram)\.(size|unit_shift) =", "OBJECT|RAM block"),
    (r"data up: ROUND_(BEGIN|END):\w+\.(group|number|units) =", "ROUND_BEGIN|ROUND_END|delta names|unexpected|belongs to no round"),
    (r"data up: ROUND_BEGIN:\w+ (twice|left out)", "ROUND_BEGIN|ROUND_END|DATA|DELTA"),
    (r"data up: ROUND_END:\w+ twice", "ROUND_END"),
    (r"data up: DELTA:\w+\.(object|number) =|data up: DELTA:\w+ (left out|twice)", "DELTA|delta"),
    (r"data up: DATA:\w+\.(object|base|raw_bytes) =|data up: DATA:\w+ (left out|twice)", "DATA|digest|delta|placed"),
    (r"data up: END:(disk|ram)\.(object|units|digest) =", "END|digest"),
    (r"data up: END:(disk|ram) (left out|twice)", "END|no digest"),
    (r"data up: END:last twice", "complete twice"),
    (r"FILE_(DATA|END)\.(file|size|offset|digest) =", "file|more of .* than it has|is not what the source sent"),
    (r"control down: DURABLE:disk\.(group|number) =|control down: DURABLE:disk twice", "round"),
    (r"DESCRIBE refused = added", "unexpected PREPARE|peer closed"), # messages behind the connection's end may be lost
    (r"ACCEPT obstacles = added", "malformed: obstacles"),
    (r"header of .* = (sequence|another channel|length|unknown critical)", "frame|channel|message 0x8fff|peer closed|unexpected"),
]
MAY_WAIT = r"left out|unknown type|ACK|HAVE:disk.last|resume_ms|comes |ACCEPT (carry|body)|RETURN_PATH|HANDOFF|STREAM_MARK" # while it runs, until somebody cancels; while it stands still, for 60 s


class Row:
    def __init__(self, name, lie, options=()):
        self.name, self.lie, self.options = name, lie, options

    def is_wrong(self, outcome, reason):
        """What does not follow from this lie, or None."""
        if outcome.startswith("waits") and not re.search(MAY_WAIT, self.name):
            return "the move waits"
        words = next((words for rows, words in REFUSED if re.search(rows, self.name)), None)
        if words and outcome.endswith("moved") and "HANDOFF" not in self.name:
            return "it is believed"
        if words and outcome.endswith("stayed") and not re.search(words, reason):
            return f"the reason does not say '{words}'"
        if outcome == "stayed" and not reason:
            return "there is no reason"
        return None


def rows_of_fields(at, key, kind, payload):
    for field, width in wire.FIELDS[kind]:
        true = wire.decode(kind, payload).get(field)
        said = f"{at}: {key}.{field}"
        if width in wire.WIDTH and width != "ID":
            for n in numbers(true, wire.WIDTH[width]):
                value = n if abs(n - true) > 1 else (lambda v, d=n - true, top=1 << 8 * wire.WIDTH[width]: (v + d) % top)
                yield Row(f"{said} = {n if not callable(value) else f'{n - true:+d}'}", Lie(at, key, field_lie(field, value)))
        elif width == "ID":
            yield Row(f"{said} = another", Lie(at, key, field_lie(field, lambda v: bytes([v[0] ^ 1]) + v[1:])))
            yield Row(f"{said} = zero", Lie(at, key, field_lie(field, bytes(16))))
        elif width == "STR":
            for name in TEXTS:
                yield Row(f"{said} = {name}", Lie(at, key, field_lie(field, bytes_instead(name))))
        elif wire.NAMES[kind] not in wire.WITH_JSON:
            yield Row(f"{said} = nothing", Lie(at, key, field_lie(field, b"")))
            yield Row(f"{said} = one byte more", Lie(at, key, field_lie(field, lambda v: v + b"\0")))
            yield Row(f"{said} = a byte short", Lie(at, key, field_lie(field, lambda v: v[:-1])))
            yield Row(f"{said} = all 0xff", Lie(at, key, field_lie(field, lambda v: b"\xff" * len(v))))
            yield Row(f"{said} = as long as may be", Lie(at, key, field_lie(field, b"\x01" * (PAYLOAD_MAX - 64))))
            yield Row(f"{said} = other bytes", Lie(at, key, field_lie(field, lambda v: v[:-1] + bytes([v[-1] ^ 1]) if v else b"\1")))


def rows_of_bodies(at, key, kind, payload):
    if wire.NAMES[kind] == "DATA":
        for index, width, word in ((0, 8, "offset"), (1, 4, "units")):
            true = extents_of(wire.decode(kind, payload)["body"], 1)[0][index]
            for n in numbers(true, width):
                yield Row(f"{at}: {key}.extent.{word} = {n - true:+d}" if abs(n - true) == 1 else f"{at}: {key}.extent.{word} = {n}",
                          Lie(at, key, extent_lie(index, n)))
    if wire.NAMES[kind] == "DATA_ALSO":
        first = struct.unpack_from("<HHII", wire.decode(kind, payload)["rest"])
        for index, (word, width) in enumerate((("unit", 2), ("run", 2), ("object", 4), ("page", 4))):
            for n in numbers(first[index], width):
                yield Row(f"{at}: {key}.seed.{word} = {n}", Lie(at, key, seed_lie(index, n)))


ADDED = {"DESCRIBE": ("refused", True), "ACCEPT": ("obstacles", [])} # members that an honest agent sends only where the move ends


def rows_of_json(at, key, kind, payload):
    body = json.loads(wire.decode(kind, payload)["json"])
    for path, value in leaves(body):
        for name, said in instead_of(value):
            dotted = ".".join(str(step) for step in path)
            yield Row(f"{at}: {key} {dotted} = {name}", Lie(at, key, json_lie(json_at(path, said))))
    member, said = ADDED.get(wire.NAMES[kind], (None, None))
    if member:
        yield Row(f"{at}: {key} {member} = added", Lie(at, key, json_lie(json_at((member,), said))))
    for name, text in (("nothing", b""), ("no JSON", b"{"), ("a list", b"[]"), ("null", b"null"), ("deep", b"[" * 100000),
                       ("not UTF-8", b'{"a": "\xff\xfe"}'), ("as long as may be", b'{"a": "' + b"x" * (PAYLOAD_MAX - 64) + b'"}')):
        yield Row(f"{at}: {key} body = {name}", Lie(at, key, lambda _, k, p, t=text: [(k, wire.encode(k, {**wire.decode(k, p), "json": t}))]))


def rows_of_moments(templates):
    once = {}
    for (at, key), template in templates.items():
        once.setdefault(key, template)
    for key, template in once.items():
        if key in ("HELLO",):
            continue
        for at, when, before, words in MOMENTS:
            if (at, when) in templates:
                yield Row(f"{at}: {key} comes {words}", Lie(at, when, with_also(template, before)))


def rows_of_headers(at, key):
    for name, wrong in (("unknown critical type", {"type": 0x8fff}), ("unknown type", {"type": 0x0fff}), ("sequence 0", {"sequence": 0}),
                        ("sequence 2^60", {"sequence": 1 << 60}), ("another channel", {"channel": 77}),
                        ("length 2^31", {"length": 1 << 31}), ("length 1 MiB + 1", {"length": (1 << 20) + 1})):
        yield Row(f"{at}: header of {key} = {name}", Lie(at, key, header_lie(**wrong)))


def rows_from(templates):
    for (at, key), (kind, payload) in templates.items():
        if kind not in wire.FIELDS:
            continue
        for make in (rows_of_fields, rows_of_bodies):
            yield from make(at, key, kind, payload)
        if wire.NAMES[kind] in wire.WITH_JSON:
            yield from rows_of_json(at, key, kind, payload)
        if wire.NAMES[kind] != "ACK":
            yield Row(f"{at}: {key} left out", Lie(at, key, left_out))
            yield Row(f"{at}: {key} twice", Lie(at, key, twice))
            if wire.NAMES[kind] not in ("HELLO", "PROOF"):
                yield from rows_of_headers(at, key)
    yield from rows_of_moments(templates)


# ---- one move ----

class Stage:
    """Where the moves happen: agents, a guest that is moved on or stays, and what must hold after each."""

    def __init__(self):
        env = os.environ
        self.dir, self.bin, self.ask = Path(env["DIR"]), env["BIN"], env["ASK"]
        self.listener, self.address, self.token = int(env["DST_PID"]), env["DST_ADDRESS"], env["TOKEN"]
        self.guest, self.at, self.moves = int(env["GUEST"]), self.dir, 0
        self.expected = sorted(p.name for p in self.dir.iterdir())
        self.settings = self.settings_now()
        self.highest = {}
        self.log_at = 0

    def monitor(self):
        return str(self.at / "a.mon")

    def settings_now(self):
        return subprocess.run([self.ask, "settings", self.monitor(), str(self.dir / "nbd-probe")], capture_output=True, text=True).stdout

    def verifies(self):
        said = subprocess.run([self.ask, "order", str(self.at / "a.orders"), "verify", "60"], capture_output=True, text=True)
        line = next((l for l in said.stdout.splitlines() if l.startswith("verify ")), said.stderr.strip() or "nothing")
        good = re.search(r"pages_checked=[1-9]", line) and " pages_wrong=0 " in line and line.endswith(" blocks_wrong=0")
        return None if good else "the guest does not verify: " + line

    def ours(self):
        """Agents and QEMUs of this test: {pid: name}."""
        out = {}
        for proc in Path("/proc").iterdir():
            if not proc.name.isdigit():
                continue
            try:
                exe = os.path.basename(os.readlink(proc / "exe"))
                if re.match(r"vmferry|qemu-system", exe) and (str(self.dir) + "/").encode() in (proc / "cmdline").read_bytes():
                    out[int(proc.name)] = exe
            except OSError:
                pass
        return out

    def watch_memory(self, stop):
        while not stop.wait(0.03):
            for pid, name in self.ours().items():
                if not name.startswith("vmferry"):
                    continue
                try:
                    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                        if line.startswith("VmHWM:"):
                            self.highest[name] = max(self.highest.get(name, 0), int(line.split()[1]))
                except OSError:
                    pass

    def wait_clean(self, to):
        until = time.monotonic() + CLEAN_S
        while (wrong := self.not_clean(to)) and time.monotonic() < until:
            time.sleep(0.02)
        return wrong

    def not_clean(self, to):
        others = set(self.ours()) - {self.guest, self.listener} - self.helpers
        if others:
            return f"processes are left: {[Path(f'/proc/{p}/cmdline').read_bytes()[:200] for p in others if Path(f'/proc/{p}').exists()]}"
        if to and to != self.at and any(to.iterdir()):
            return f"left at the destination: {os.listdir(to)}"
        for where in ("run", "dst-run"):
            if os.listdir(self.dir / where):
                return f"left in {where}: {os.listdir(self.dir / where)}"
        left = [str(p) for where in ("state", "dst-state") for p in (self.dir / where).rglob("*.journal")]
        return f"unfinished journals: {left}" if left else None

    def recover(self):
        done = subprocess.run([f"{self.bin}/vmferry", "recover", "a", "-v"], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr.strip().splitlines()[-1:] or [""]

    def find_guest(self, to):
        for pid, name in self.ours().items():
            if name.startswith("qemu-system") and pid != self.guest and (str(to) + "/").encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return None

    def move(self, row, between):
        """(outcome, what is wrong or None, reason, seconds)"""
        self.moves += 1
        to = self.dir / f"d{self.moves}"
        to.mkdir()
        self.highest, stop = {}, threading.Event()
        watcher = threading.Thread(target=self.watch_memory, args=(stop,), daemon=True)
        watcher.start()
        dst_log = self.dir / "dst.log"
        log_at = dst_log.stat().st_size
        begun = time.monotonic()
        address = between.begin(self.address)
        self.why = open(self.dir / "move.log", "wb")
        process = subprocess.Popen([f"{self.bin}/vmferry", "migrate", str(self.guest), address, "--disk-dir", str(to), "--json", "-v",
                                    "--plaintext", "--reconnect-timeout", "1", *row.options],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.why)
        waited = False
        try:
            said = process.communicate(timeout=CANCEL_AFTER_S)[0]
        except subprocess.TimeoutExpired:
            waited = True
            process.send_signal(signal.SIGTERM)
            try:
                said = process.communicate(timeout=MOVE_S)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                said = process.communicate()[0]
                return "hangs", f"no end {MOVE_S} s after it was told to end", "", time.monotonic() - begun
        seconds = time.monotonic() - begun
        events = []
        for line in said.decode(errors="replace").splitlines():
            try:
                events.append(json.loads(line))
            except ValueError:
                return "wrong", f"this is no event: {line[:200]}", "", seconds
        result = next((ev for ev in events if ev.get("event") == "result"), {})
        reason = result.get("reason") or " ".join(ev.get("text", "") for ev in events if ev.get("event") == "error")
        if not reason and process.returncode:
            reason = " ".join((self.dir / "move.log").read_text(errors="replace").strip().splitlines()[-1:])
        code = process.returncode
        outcome = CODES.get(code, f"exit {code}")
        wrong = None
        if code == 6:
            stat = Path(f"/proc/{self.guest}/stat")
            if stat.exists() and not re.search(r"\) [TZ] ", stat.read_text()):
                wrong = "undecided, and the source's QEMU may go on"
            code, words = self.recover()
            outcome = "undecided, then " + CODES.get(code, f"exit {code} {words}")
        if outcome.endswith("moved"):
            pid = self.find_guest(to)
            said_pid, may_lie = result.get("destination_pid", 0), re.search(r" pid = |HANDOFF:dst-\w+ comes", row.name)
            if said_pid < 0 or said_pid not in (0, pid) and not may_lie:
                wrong = f"the guest is process {pid}, and {said_pid} was said"
            if not pid:
                wrong = "the guest is not there"
            else:
                before, self.guest, old = self.guest, pid, self.at
                self.at = to
                if Path(f"/proc/{before}/exe").exists():
                    wrong = "the source QEMU is still there"
        elif not outcome.endswith("stayed"):
            wrong = f"exit code {code}"
        between.end()
        wrong = wrong or self.wait_clean(to)
        stop.set()
        watcher.join()
        if "paused = " in row.name: # a source may say so: then it is, until somebody resumes it
            subprocess.run([self.ask, "qmp", self.monitor(), '{"execute": "cont"}'], capture_output=True)
        wrong = wrong or self.verifies()
        if not wrong and self.settings_now() != self.settings:
            wrong = "settings of QEMU: " + self.settings_now()
        names = sorted(p.name for p in self.dir.iterdir())
        strange = set(names) - set(self.expected) - {"move.log"} - {p for p in names if re.fullmatch(r"d\d+", p)}
        if not wrong and strange:
            wrong = f"there are {strange}"
        log = dst_log.read_bytes()[log_at:].decode(errors="replace")
        if not wrong and re.search(r"has died|Assertion|Sanitizer|smashing", log + (self.dir / "move.log").read_text(errors="replace")):
            wrong = "an agent died: " + log[-600:]
        for name, kib in self.highest.items():
            if not wrong and kib > MEMORY_MAX_KIB:
                wrong = f"{name} had {kib} KiB of memory"
        if not wrong and re.search(r"[\x00-\x08\x0b-\x1f]", reason):
            wrong = "the reason has control characters"
        if outcome.endswith("stayed"):
            shutil.rmtree(to, ignore_errors=True)
        elif outcome.endswith("moved") and not wrong and old != self.dir:
            for image in result.get("deletable", []) or [{"path": old / "a.raw"}]: # a lie may have given it another name
                Path(image["path"]).unlink(missing_ok=True)
        return ("waits, then " if waited else "") + outcome, wrong, reason, seconds


def chosen(rows, words):
    count = next((int(w[7:]) for w in words if w.startswith("sample:")), None)
    words = [w for w in words if not w.startswith("sample:")]
    rows = [r for r in rows if not words or any(re.search(w, r.name) for w in words)]
    if count and len(rows) > count:
        rows = [rows[i * len(rows) // count] for i in range(count)]
    return rows


def main():
    stage = Stage()
    stage.helpers = set(int(p) for p in os.environ.get("HELPERS", "").split())
    token, failed = stage.token, 0
    rows = []
    modes = [] if os.environ.get("QUIET") else [["--ram-mode", "opaque"]] # QEMU 7.2 without KVM is refused there
    for options in (["--media", "copy"], *modes, ["--reuse", str(stage.dir / "old")]):
        honest = Between(token)
        outcome, wrong, reason, seconds = stage.move(Row("the truth", None, options), honest)
        print(f"the truth, {' '.join(options)}: {outcome} {wrong or ''} {reason} {seconds:.1f} s {stage.highest}", flush=True)
        if outcome != "moved" or wrong:
            sys.exit(1)
        seen = {r.name for r in rows}
        for row in rows_from(honest.templates):
            row.options = options
            rows += [row] if row.name not in seen else []
    rows = chosen(rows, sys.argv[2:])
    print(f"{len(rows)} lies", flush=True)
    if sys.argv[1] == "list":
        print("\n".join(r.name for r in rows))
        return 0
    for row in rows:
        between = Between(token, row.lie)
        outcome, wrong, reason, seconds = stage.move(row, between)
        wrong = wrong or (row.is_wrong(outcome, reason) if between.done else None)
        if not between.done:
            outcome += " (not told)"
        print(f"{'BAD' if wrong else 'ok'} | {row.name} | {outcome} | {reason[:300]} | {wrong or ''} | {seconds:.1f} {max(stage.highest.values(), default=0)}", flush=True)
        failed += bool(wrong)
        if wrong and not stage.verifies() is None:
            sys.exit("the guest is gone")
    return 1 if failed else 0


sys.exit(main())
