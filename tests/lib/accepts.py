#!/usr/bin/env python3
"""tests/lib/accepts.py QEMU QEMU_IMG DIR NAME...: does QEMU take the lines that tests/data/args/NAME expect?

What a line refers to is made under DIR, empty; what only this host could have (KVM, taps and bridges, device nodes, huge
pages) is replaced. QEMU starts with -S and is told to quit by QMP. Says for each NAME what was refused; exits with 1 then.
"""
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
OWN = "/dst|/mnt|/home/user|/srv|/etc/pki|/etc/vm|/usr/share/OVMF|/usr/share/qemu-server|/dev/vg[01]|/dev/sr0|/run/vmferry"
SIZES = {"pflash-code": 4 << 20, "pflash-vars": 4 << 20, "media": 1474560, "disk": 64 << 20}
MEMORY_BYTES = 2 << 30
DEADLINE_S = 60
UNKNOWN_MACHINE = "unsupported machine type" # of a QEMU older than the line: nothing is learnt from it
left_out = []


def sections(name):
    found = {}
    for line in (TOP / "tests/data/args" / name).read_text().splitlines():
        if line.startswith("== "):
            current = found.setdefault(line[3:], [])
        elif found:
            current.append(line)
    return found


class Line:
    def __init__(self, name, qemu_img, directory):
        self.parts, self.qemu_img, self.dir = sections(name), qemu_img, directory

    def there(self, text):
        return re.sub(rf"(?<![\w/])(?={OWN})", str(self.dir), text)

    def formats(self):
        words = [shlex.split(line) for line in self.parts.get("options", [])]
        return {w[2]: w[3] for w in words if w[0] == "map" and len(w) > 3}

    def make_files(self):
        formats = self.formats()
        for line in self.parts.get("files", []):
            role, access, rest = line.split(" ", 2)
            path = rest.split(" -> ")[-1]
            target = Path(self.there(path))
            if path == "nothing" or not str(target).startswith(str(self.dir)):
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if role == "directory" or path == "/etc/pki/spice":
                target.mkdir(exist_ok=True)
            elif role in ("disk", "pflash-code", "pflash-vars", "media"):
                subprocess.run([self.qemu_img, "create", "-q", "-f", formats.get(path, "raw"), target, str(SIZES[role])],
                               check=True)
            elif role in ("memory", "pmem"):
                target.touch()
                os.truncate(target, MEMORY_BYTES)
            elif role in ("kernel", "initrd"):
                target.write_bytes((TOP / "build/guest" / ("vmlinuz" if role == "kernel" else "initrd.img")).read_bytes())
            elif role not in ("listen", "log", "pidfile", "connect", "fifo"):
                target.write_text("x" * 64)

    def argv(self, qemu, monitor):
        argv = [qemu] + [self.there(w) for w in shlex.split("\n".join(self.parts["expect"]).replace("\\\n", " "))[1:]]
        out = argv[:1]
        words = iter(argv[1:])
        for word in words:
            if word == "-enable-kvm":
                continue
            out.append(word)
            if word in ("-cpu", "-accel", "-machine", "-M", "-netdev", "-net", "-nic", "-blockdev", "-drive"):
                out.append(self.fit(word, next(words)))
        return out + ["-S", "-incoming", "defer", "-qmp", f"unix:{monitor},server=on,wait=off"] + self.accelerator(out)

    @staticmethod
    def accelerator(argv):
        return [] if "-accel" in argv or any("accel=" in word for word in argv) else ["-accel", "tcg"]

    @staticmethod
    def fit(option, value):
        if option == "-cpu":
            return "max"
        if option in ("-accel", "-machine", "-M"):
            return re.sub(r"\bkvm(:tcg)?\b", "tcg", value)
        if option in ("-netdev", "-net", "-nic") and re.match(r"(type=)?(tap|bridge|user),|\{.*\"tap\"", value):
            keep = re.findall(r",((?:id|model|mac|macaddr)=[^,]*)", value)
            return ",".join(["user"] + keep)
        return value.replace("aio=native", "aio=threads").replace("host_device", "file").replace('"aio":"native"', '"aio":"threads"')


def knows_seconds(qemu):
    """Until 11.0; where it does not vmferry writes reconnect-ms."""
    return not subprocess.run([qemu, "-chardev", "socket,id=c,host=127.0.0.1,port=1,reconnect=1", "-version"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode


def quit_by_qmp(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(DEADLINE_S)
        s.connect(str(path))
        f = s.makefile("rw")
        f.readline()
        for command in ("qmp_capabilities", "quit"):
            f.write(json.dumps({"execute": command}) + "\n")
            f.flush()
            f.readline()


def accepts(line, qemu, name):
    monitor = line.dir / "qmp"
    log = line.dir / "log"
    line.make_files()
    with open(log, "wb") as output:
        argv = line.argv(qemu, monitor)
        if not knows_seconds(qemu):
            argv = [re.sub(r",reconnect=(\d+)", lambda m: f",reconnect-ms={int(m[1]) * 1000}", word) for word in argv]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   cwd=line.dir)
    try:
        until = time.monotonic() + DEADLINE_S
        while process.poll() is None and time.monotonic() < until:
            try:
                quit_by_qmp(monitor)
                return process.wait(DEADLINE_S) == 0
            except (FileNotFoundError, ConnectionError):
                time.sleep(0.02)
        return False
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        text = log.read_text(errors="replace").strip()
        if process.returncode:
            print(f"{name}: status {process.returncode}: {text[-400:]}")
        if UNKNOWN_MACHINE in text:
            left_out.append(name)


def main():
    qemu, qemu_img, top = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    refused = []
    for name in sys.argv[4:]:
        directory = top / name
        directory.mkdir(parents=True)
        if accepts(Line(name, qemu_img, directory), qemu, name):
            print(f"{name}: taken", flush=True)
        elif name not in left_out:
            refused.append(name)
    if refused:
        print("refused by QEMU: " + " ".join(refused))
    if left_out:
        print("skipped: machines that this QEMU does not have: " + " ".join(left_out))
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
