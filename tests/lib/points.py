"""points.py FILE: prints the pair of tests/guest/witness-pair.c that is in the last block of that raw image.
points.py STORE QEMU_IMG SEEN: there is a point of that replica, and each is whole: its first two disks, which the guest writes in turn, are of one moment.
What was found so before (SEEN) is not read again while no file of it, nor of those below it, was touched. Who writes to a file gives it another time of
change; the clock of that goes by steps, so files that were touched a moment ago are read once more.
"""
import glob
import json
import os
import struct
import subprocess
import sys
import time

MAGIC, WORDS = 0x2772696170277277, 512
STEP_NS = 10**9 # far more than that of any kernel's


def pair_number(path):
    with open(path, "rb") as f:
        f.seek(-8 * WORDS, os.SEEK_END)
        w = struct.unpack(f"<{WORDS}Q", f.read())
    assert w[0] == MAGIC, "no block of the pair"
    n = (w[1] - 1) // 511
    assert all(w[i] == (n * 511 + i * i) % 2**64 for i in range(1, WORDS)), "half a block of the pair"
    return n


def slots(store):
    """What each point.json says, with its directory, the oldest first. One that says `merging` is no point, but others are above its images."""
    found = [(json.load(open(f)), os.path.dirname(f)) for f in glob.glob(store + "/points/*/point.json") if ".tmp/" not in f]
    return sorted(found, key=lambda x: (x[0]["number"], x[1]))


def found_on(slot, disk, qemu_img, raw):
    subprocess.run([qemu_img, "convert", "-U", "-O", "raw", "-f", disk["format"], f"{slot}/{disk['file']}", raw], check=True)
    return pair_number(raw)


def check(slot, point, qemu_img, raw):
    try:
        first, second = (found_on(slot, disk, qemu_img, raw) for disk in point["disks"][:2])
    except (AssertionError, subprocess.CalledProcessError) as e:
        sys.exit(f"{slot} is not whole: {e}")
    if first not in (second, second + 1):
        sys.exit(f"{slot} is not of one moment: {first} and {second}")


def check_all(store, qemu_img, seen):
    known = set(open(seen)) if os.path.exists(seen) else set()
    below, points = [], 0
    for point, slot in slots(store):
        below += [(slot, disk["file"], os.stat(f"{slot}/{disk['file']}")) for disk in point["disks"]]
        if "merging" in point:
            continue
        points += 1
        key = repr([(where, file, s.st_ino, s.st_size, s.st_ctime_ns) for where, file, s in below]) + "\n"
        if key in known:
            continue
        touched = max(s.st_ctime_ns for _, _, s in below)
        settled = touched + STEP_NS < time.time_ns()
        check(slot, point, qemu_img, seen + ".raw")
        if settled:
            with open(seen, "a") as f:
                f.write(key)
    if not points:
        sys.exit(f"there is no point in {store}")


if len(sys.argv) == 2:
    print(pair_number(sys.argv[1]))
else:
    check_all(*sys.argv[1:])
