#!/usr/bin/env -S python3 -S
"""settings.py SOCKET PROBE: what a move changes in a QEMU, one line each: to be compared with the same of before.

PROBE is a path for a socket: QEMU does not tell whether its NBD server runs, so that it is started there and stopped, if it does not run already.
"""
import json
import socket
import sys


def main():
    path, probe = sys.argv[1:]
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(path)
    lines = sock.makefile("rb")

    def call(command, **arguments):
        sock.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = json.loads(lines.readline())
            if "return" in answer or "error" in answer:
                return answer.get("return", answer.get("error"))

    lines.readline()
    call("qmp_capabilities")
    for capability in call("query-migrate-capabilities"):
        print(capability["capability"], capability["state"])
    for name, value in sorted(call("query-migrate-parameters").items()):
        print(name, json.dumps(value))
    print("exports", json.dumps(call("query-block-exports")))
    print("jobs", json.dumps([{key: job[key] for key in job if not key.endswith("-progress")} for job in call("query-jobs")]))
    for node in call("query-named-block-nodes"):
        bitmaps = [bitmap.get("name") for bitmap in node.get("dirty-bitmaps", [])]
        print("node", node["drv"], "bitmaps", bitmaps, "active", node.get("active"), "iops", node["iops"], node["bps"])
    address = {"type": "unix", "data": {"path": probe}}
    running = "class" in call("nbd-server-start", addr=address)
    print("NBD server", "was running" if running else "was off")
    if not running:
        call("nbd-server-stop")


main()
