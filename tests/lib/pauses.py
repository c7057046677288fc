#!/usr/bin/env python3
"""pauses.py SOCKET REPETITIONS MS...: pause a guest over QMP for known times, each so often.

Prints one JSON array of {"wanted_ms", "begin", "end"}: QEMU's own times of its STOP and RESUME
events, in seconds since 1970. Between two pauses the guest runs for RUN_S.
"""
import json
import socket
import sys
import time

RUN_S = 0.25
DEADLINE_S = 30


class Monitor:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE_S)
        self.sock.connect(path)
        self.lines = self.sock.makefile("rb")
        self.events = []
        self.read()
        self.run("qmp_capabilities")

    def read(self):
        line = self.lines.readline()
        if not line:
            raise ConnectionError("QEMU closed the monitor")
        return json.loads(line)

    def run(self, command):
        self.sock.sendall(json.dumps({"execute": command}).encode())
        while True:
            message = self.read()
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                sys.exit(f"QMP {command}: {message['error']['desc']}")
            elif "return" in message:
                return

    def time_of(self, name):
        """When this event, which has come or will come, happened."""
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name:
                    return event["timestamp"]["seconds"] + event["timestamp"]["microseconds"] / 1e6
            self.events.append(self.read())


def pause(monitor, ms):
    monitor.run("stop")
    begin = monitor.time_of("STOP")
    time.sleep(max(0, begin + ms / 1000 - time.time()))
    monitor.run("cont")
    return {"wanted_ms": ms, "begin": begin, "end": monitor.time_of("RESUME")}


def main():
    path, repetitions, *lengths = sys.argv[1:]
    monitor = Monitor(path)
    pauses = []
    for _ in range(int(repetitions)):
        for ms in lengths:
            time.sleep(RUN_S)
            pauses.append(pause(monitor, float(ms)))
    time.sleep(RUN_S)
    print(json.dumps(pauses))


main()
