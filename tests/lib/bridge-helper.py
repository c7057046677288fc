#!/usr/bin/env python3
"""Stands in for qemu-bridge-helper: makes a tap, puts it on the bridge, and gives it to QEMU. Notes first what it may do itself.

bridge-helper.py LOG [--use-vnet] --br=BRIDGE --fd=SOCKET
"""
import array
import fcntl
import socket
import struct
import subprocess
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 2, 0x1000, 0x4000

with open("/proc/self/status") as status, open(sys.argv[1], "w") as log:
    log.writelines(line for line in status if line.startswith(("NoNewPrivs", "Seccomp:")))
flags = IFF_TAP | IFF_NO_PI | (IFF_VNET_HDR if "--use-vnet" in sys.argv else 0)
said = dict(word[2:].split("=") for word in sys.argv[2:] if "=" in word)
with open("/dev/net/tun", "r+b", buffering=0) as tap:
    made = fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"", flags))
    name = made[:16].rstrip(b"\0").decode()
    subprocess.run(["ip", "link", "set", name, "up", "master", said["br"]], check=True)
    with socket.socket(fileno=int(said["fd"])) as qemu:
        qemu.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [tap.fileno()]))])
