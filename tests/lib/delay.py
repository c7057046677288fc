#!/usr/bin/env python3
"""delay.py NETNS-A ADDRESS-A NETNS-B ADDRESS-B MS: a link between two network namespaces of iproute2 on which everything takes MS each way.

For kernels without netem. It is a TUN device in each, far0, and this process between them. Says `ready`, and ends when it is killed.
"""
import collections
import ctypes
import fcntl
import os
import struct
import subprocess
import sys
import threading
import time

TUNSETIFF, IFF_TUN, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 1, 0x1000, 0x40000000
MTU = 9000
libc = ctypes.CDLL(None, use_errno=True)


def end_of_link(netns, address):
    """Descriptor of a new TUN device in there."""
    with open(f"/run/netns/{netns}") as ns, open("/proc/thread-self/ns/net") as here:
        if libc.setns(ns.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {netns}")
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"far0", IFF_TUN | IFF_NO_PI))
        libc.setns(here.fileno(), CLONE_NEWNET)
    for words in (["addr", "add", f"{address}/24", "dev", "far0"], ["link", "set", "far0", "mtu", str(MTU), "up"]):
        subprocess.run(["ip", "-n", netns] + words, check=True)
    return fd


def carry(source, sink, seconds):
    """Two threads: one reads when something comes, the other writes when it is due."""
    waiting, something = collections.deque(), threading.Semaphore(0)

    def take():
        while True:
            packet = os.read(source, MTU)
            waiting.append((time.monotonic() + seconds, packet))
            something.release()

    def give():
        while True:
            something.acquire()
            due, packet = waiting.popleft()
            time.sleep(max(0, due - time.monotonic()))
            os.write(sink, packet)

    for work in (take, give):
        threading.Thread(target=work).start()


a, b = end_of_link(sys.argv[1], sys.argv[2]), end_of_link(sys.argv[3], sys.argv[4])
carry(a, b, float(sys.argv[5]) / 1000)
carry(b, a, float(sys.argv[5]) / 1000)
print("ready", flush=True)
