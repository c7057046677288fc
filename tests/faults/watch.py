"""watch.py DIR open|lock: looks at the guest of that test all along, wherever it is, until it is told to end (SIGTERM).

Prints "BAD ..." for two QEMUs that have one image open for writing (lock: that have QEMU's lock of those who write), and in the end "still MS": the longest time in which the guest, of which each
console has a line every few hundredths of a second, wrote none.
"""
import os
import signal
import sys
import time
from pathlib import Path

at, by_lock = Path(sys.argv[1]), sys.argv[2] == "lock"
WRITES = 101  # the byte that a QEMU locks who may write (block/file-posix.c)
PERIOD_S, OPEN_EVERY = 0.02, 10
ended = False


def end(*_):
    global ended
    ended = True


def consoles():
    """Bytes written by the guest, here and wherever it was moved to."""
    total = 0
    for path in [at / "a.console", *at.glob("d*/a.console"), *at.glob("vm/a.console")]:
        try:
            total += path.stat().st_size
        except OSError:
            pass
    return total


def is_open_for_writing(lines):
    return any(line.startswith("flags:") and int(line.split()[1], 8) & os.O_ACCMODE for line in lines)


def has_lock(lines):
    """Of proc_pid_fdinfo(5), "lock: 1: OFDLCK  ADVISORY  READ -1 08:01:1234 100 101"."""
    return any(int(line.split()[-2]) <= WRITES and (line.split()[-1] == "EOF" or int(line.split()[-1]) >= WRITES)
               for line in lines if line.startswith("lock:"))


def writers():
    """{image: QEMUs that have it open for writing}, of this test."""
    found = {}
    for process in os.listdir("/proc"):
        if not process.isdigit():
            continue
        try:
            if "qemu-system" not in os.readlink(f"/proc/{process}/exe"):
                continue
            for descriptor in os.listdir(f"/proc/{process}/fd"):
                name = os.readlink(f"/proc/{process}/fd/{descriptor}")
                if not name.startswith(f"{at}/") or not name.endswith(".raw"):
                    continue
                with open(f"/proc/{process}/fdinfo/{descriptor}") as info:
                    lines = info.read().splitlines()
                if has_lock(lines) if by_lock else is_open_for_writing(lines):
                    found.setdefault(name, set()).add(process)
        except OSError:
            continue
    return found


signal.signal(signal.SIGTERM, end)
last, since, longest, turn = consoles(), time.monotonic(), 0.0, 0
while not ended:
    now, size = time.monotonic(), consoles()
    longest = max(longest, now - since)
    if size != last:
        last, since = size, now
    turn += 1
    if turn % OPEN_EVERY == 0:
        for image, processes in writers().items():
            if len(processes) > 1:
                print(f"BAD {image} is open for writing in {' and '.join(sorted(processes))}", flush=True)
    time.sleep(PERIOD_S)
print(f"still {longest * 1000:.0f}", flush=True)
