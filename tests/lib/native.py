#!/usr/bin/env python3
"""native.py migrate SOURCE TARGET HOST: QEMU's own multifd migration of a guest, as bench-native.c configures it, from the QEMU
with the monitor SOURCE to the one with TARGET, which waits with -incoming defer on HOST. The source's QEMU is ended. Prints
QEMU's own figure for the downtime, in ms.

native.py mirror SOURCE NODE HOST PORT EXPORT: mirrors a disk of a running QEMU to an NBD export. Prints the seconds from the job's
start to BLOCK_JOB_READY, before which QEMU flushes the target; then the job is ended, and the export let go.

native.py pivot SOURCE NODE FILE: mirrors a disk of a running QEMU to an empty raw file of its size, which it uses from then on.
"""
import sys
import time

from qmp import Monitor

DEADLINE_S = 120
CAPABILITIES = {"return-path": True, "events": True, "multifd": True}
PARAMETERS = {"max-bandwidth": 10**11, "downtime-limit": 100, "multifd-channels": 2, "multifd-compression": "none",
              "zero-page-detection": "multifd"}


def connect(path, deadline):
    """Waits for a QEMU that has just been started."""
    while True:
        try:
            return Monitor(path, deadline)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def execute(monitor, command, **arguments):
    return monitor.command({"execute": command, "arguments": arguments})


def wait_migrated(monitor):
    status = ""
    while status != "completed":
        status = monitor.wait("MIGRATION")["status"]
        if status in ("failed", "cancelled"):
            sys.exit(f"QEMU's migration: {status}: {execute(monitor, 'query-migrate').get('error-desc')}")


def quit_and_wait(monitor):
    execute(monitor, "quit")
    try:
        while True:
            monitor.read()
    except ConnectionError:
        pass


def migrate(source, target, host):
    deadline = time.monotonic() + DEADLINE_S
    source, target = connect(source, deadline), connect(target, deadline)
    for monitor in source, target:
        execute(monitor, "migrate-set-capabilities",
                capabilities=[{"capability": name, "state": on} for name, on in CAPABILITIES.items()])
        execute(monitor, "migrate-set-parameters", **PARAMETERS)
    execute(target, "migrate-incoming", uri=f"tcp:{host}:0")
    port = execute(target, "query-migrate")["socket-address"][0]["port"]
    execute(source, "migrate", uri=f"tcp:{host}:{port}")
    wait_migrated(source)
    target.wait("RESUME")
    print(execute(source, "query-migrate")["downtime"])
    quit_and_wait(source)


def mirror(source, node, host, port, export):
    monitor = connect(source, time.monotonic() + DEADLINE_S)
    execute(monitor, "blockdev-add", **{"driver": "nbd", "node-name": "copy", "export": export,
                                        "server": {"type": "inet", "host": host, "port": port}})
    began = time.monotonic()
    execute(monitor, "blockdev-mirror", **{"job-id": "mirror", "device": node, "target": "copy", "sync": "full"})
    monitor.wait("BLOCK_JOB_READY")
    print("%.3f" % (time.monotonic() - began))
    execute(monitor, "block-job-cancel", device="mirror")
    monitor.wait("BLOCK_JOB_COMPLETED")
    execute(monitor, "blockdev-del", **{"node-name": "copy"})


def pivot(source, node, file):
    monitor = connect(source, time.monotonic() + DEADLINE_S)
    execute(monitor, "blockdev-add", **{"driver": "raw", "node-name": "copy", "file": {"driver": "file", "filename": file}})
    execute(monitor, "blockdev-mirror", **{"job-id": "mirror", "device": node, "target": "copy", "sync": "full"})
    monitor.wait("BLOCK_JOB_READY")
    execute(monitor, "job-complete", id="mirror")
    monitor.wait("BLOCK_JOB_COMPLETED")


def main():
    try:
        {"migrate": migrate, "mirror": mirror, "pivot": pivot}[sys.argv[1]](*sys.argv[2:])
    except OSError as error:
        sys.exit(f"QMP: {error}")


main()
