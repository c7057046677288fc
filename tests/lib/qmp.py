"""A QMP monitor, for Python programs of tests."""
import json
import socket
import sys
import time


class Monitor:
    def __init__(self, path, deadline):
        self.deadline = deadline
        self.sock = socket.socket(socket.AF_UNIX)
        self.limit()
        self.sock.connect(path)
        self.lines = self.sock.makefile("rb")
        self.events = []
        self.read()
        self.command({"execute": "qmp_capabilities"})

    def limit(self):
        self.sock.settimeout(max(0.01, self.deadline - time.monotonic()))

    def read(self):
        self.limit()
        line = self.lines.readline()
        if not line:
            raise ConnectionError("QEMU closed the monitor")
        return json.loads(line)

    def command(self, command):
        self.sock.sendall(json.dumps(command).encode() + b"\n")
        while True:
            message = self.read()
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                sys.exit(f"QMP {command['execute']}: {message['error']['desc']}")
            elif "return" in message:
                return message["return"]

    def wait(self, name):
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name:
                    return event.get("data", {})
            message = self.read()
            if "event" in message:
                self.events.append(message)
