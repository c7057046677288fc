#!/usr/bin/env python3
"""mirror-orders.py MONITOR DEVICE DIRECTORY COUNT ORDER...: gives the disk of a running guest COUNT new images, one after the other, by QMP alone.

DEVICE is a part of the device's path in QEMU, DIRECTORY has the new images. Each mirror is begun as vmferry begins it; then come the ORDERs: ready,
pending (wait for that), some (wait for up to 30 ms), stop, cont, complete, finalize, cancel. Ends with 1, and says where, if QEMU ends meanwhile.
"""
import random
import sys
import time

from qmp import Monitor

socket, device, directory, count, orders = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5:]
MAYBE_S, LOOK_S, PATIENCE_S = 0.03, 0.002, 1200
chance = random.Random(1)
monitor = Monitor(socket, time.monotonic() + PATIENCE_S)


def call(command, **arguments):
    words = {key.replace("_", "-"): value for key, value in arguments.items()}
    return monitor.command({"execute": command, "arguments": words})


def wait_until(status):
    while next(job for job in call("query-jobs") if job["id"] == "job")["status"] != status:
        if time.monotonic() > monitor.deadline:
            sys.exit(f"the mirror is never {status}")
        time.sleep(LOOK_S)


def conclude():
    wait_until("concluded")
    call("job-dismiss", id="job")


def disk():
    return next(one["inserted"] for one in call("query-block") if device in one.get("qdev", ""))


DOES = {
    "ready": lambda: wait_until("ready"),
    "pending": lambda: wait_until("pending"),
    "some": lambda: time.sleep(chance.random() * MAYBE_S),
    "stop": lambda: call("stop"),
    "cont": lambda: call("cont"),
    "complete": lambda: call("job-complete", id="job"),
    "finalize": lambda: (call("job-finalize", id="job"), conclude()),
    "cancel": lambda: (call("job-cancel", id="job"), conclude()),
}

where = "the beginning"
try:
    for i in range(count):
        where = f"switch {i}"
        node, size = disk()["node-name"], disk()["image"]["virtual-size"]
        with open(f"{directory}/{i % 2}.raw", "wb") as image:
            image.truncate(size)
        call("blockdev-add", driver="file", node_name=f"file{i}", filename=image.name)
        call("blockdev-add", driver="raw", node_name=f"disk{i}", file=f"file{i}")
        call("blockdev-mirror", job_id="job", device=node, target=f"disk{i}", sync="full", auto_finalize=False, auto_dismiss=False)
        for at, order in enumerate(orders):
            where = f"switch {i}, order {at} ({order})"
            DOES[order]()
        unused = i if "cancel" in orders else i - 1
        if unused >= 0:
            call("blockdev-del", node_name=f"disk{unused}")
            call("blockdev-del", node_name=f"file{unused}")
except OSError as error:
    sys.exit(f"QEMU has ended in {where}: {error}")
