#!/usr/bin/env python3
"""tests/lib/launch-line.py SEED DIR QEMU_IMG: a launch line of a guest as administrators write them, by a seed; or, by a name, that of tests/data/args.

Makes its disks in DIR, in which it is to be started, and prints its words, a line each, without the program. QMP is at DIR/q. What is done to it
while it runs, if anything is, is a script, DIR/meanwhile.
"""
import importlib.machinery
import importlib.util
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SEABIOS, OVMF = TOP / "build/qemu/usr/share/seabios/bios-256k.bin", TOP / "build/ovmf"
REPLACED = 'cp "$1" new && printf x >>new && truncate -r "$1" new && mv new "$1"' # replaces the file as a package upgrade does


def from_real_life(name, directory, qemu_img):
    """What becomes of the line elsewhere is as good a line, and has its files under DIR."""
    loader = importlib.machinery.SourceFileLoader("accepts", str(TOP / "tests/lib/accepts.py"))
    accepts = importlib.util.module_from_spec(importlib.util.spec_from_loader("accepts", loader))
    loader.exec_module(accepts)
    line = accepts.Line(name, qemu_img, Path(directory))
    line.make_files()
    words = line.argv("qemu", f"{directory}/q")[1:]
    at = words.index("-S")
    return words[:at] + words[at + 3:] # -S -incoming defer


def meanwhile(words):
    with open(f"{directory}/meanwhile", "a") as script:
        script.write(words + "\n")


def firmware():
    """None of its own, in which case it is QEMU's; or one of the ways in which it has one."""
    shutil.copy(SEABIOS, f"{directory}/fw.bin")
    way = some("none", "none", "beside", "whole", "property", "flash", "flash-nodes")
    if way.startswith("flash") and not OVMF.exists():
        way = "none"
    if way.startswith("flash"):
        for part in ("CODE", "VARS"):
            shutil.copy(OVMF / f"OVMF_{part}_4M.fd", f"{directory}/{part}.fd")
        if some(False, True):
            meanwhile("set -- CODE.fd; " + REPLACED)
    return {"none": ([], ""), "beside": (["-bios", "fw.bin"], ""), "whole": (["-bios", f"{directory}/fw.bin"], ""), "property": ([], ",firmware=fw.bin"),
            "flash": (["-drive", "if=pflash,format=raw,unit=0,readonly=on,file=CODE.fd", "-drive", f"if=pflash,format=raw,unit=1,file={directory}/VARS.fd"], ""),
            "flash-nodes": (["-blockdev", f'{{"driver":"file","node-name":"cf","filename":"{directory}/CODE.fd","read-only":true}}',
                             "-blockdev", '{"driver":"raw","node-name":"code","file":"cf","read-only":true}',
                             "-blockdev", f"driver=file,node-name=vf,filename={directory}/VARS.fd", "-blockdev", "driver=raw,node-name=vars,file=vf"],
                            ",pflash0=code,pflash1=vars")}[way]


def microvm():
    """The machine that is not a PC: no PCI, another firmware."""
    options = some("", ",rtc=on", ",x-option-roms=off", ",pit=off,pic=off,rtc=off,isa-serial=off,x-option-roms=off")
    words = ["-machine", f"microvm{options}", "-nodefaults", "-display", "none", "-kernel", f"{TOP}/build/guest/tiny.elf"]
    for i in range(some(1, 2)):
        subprocess.run([qemu_img, "create", "-q", "-f", "raw", f"{directory}/d{i}.img", "8M"], check=True)
        words += ["-drive", f"id=v{i},format=raw,file=d{i}.img,if=none", "-device", f"virtio-blk-device,drive=v{i}"]
    return words + some([], ["-netdev", "user,id=n0", "-device", "virtio-net-device,netdev=n0"]) + some([], ["-serial", "null"])


def image(name, kind, *more):
    subprocess.run([qemu_img, "create", "-q", "-f", kind, *more, f"{directory}/{name}", "8M"], check=True)


def as_libvirt(overlay):
    """A disk in nodes, from the file upwards, each in JSON; above a base, perhaps."""
    nodes, below = [], None
    if overlay:
        image("base.qcow2", "qcow2")
    image("l.qcow2", "qcow2", *(["-F", "qcow2", "-b", f"{directory}/base.qcow2"] if overlay else []))
    for number, file in ((2, "base.qcow2"), (1, "l.qcow2")) if overlay else ((1, "l.qcow2"),):
        nodes += [{"driver": "file", "filename": f"{directory}/{file}", "node-name": f"libvirt-{number}-storage", "auto-read-only": True, "discard": "unmap"},
                  {"node-name": f"libvirt-{number}-format", "read-only": number == 2, "driver": "qcow2", "file": f"libvirt-{number}-storage", "backing": below}]
        below = f"libvirt-{number}-format"
    device = {"driver": "virtio-blk-pci", "drive": "libvirt-1-format", "id": "virtio-disk0", "write-cache": "on"}
    return [word for node in nodes for word in ("-blockdev", json.dumps(node))] + ["-device", json.dumps(device)]


def of_a_group(name):
    """Two disks that share their limits."""
    image(f"{name}0.qcow2", "qcow2")
    image(f"{name}1.qcow2", "qcow2")
    return [word for i in range(2) for word in
            ("-drive", f"file={name}{i}.qcow2,format=qcow2,if=virtio,throttling.iops-total=500,throttling.group={name}")]


def by_config(device):
    Path(f"{directory}/{device}.cfg").write_text(f'[device "{device}0"]\n  driver = "{device}"\n')
    return ["-readconfig", some("", f"{directory}/") + f"{device}.cfg"]


def plain_disk():
    image("hdd.raw", "raw")
    return ["-hdd", some("hdd.raw", f"{directory}/hdd.raw")]


def agent():
    return ["-chardev", f"socket,path={some('', directory + '/')}agent.sock,server=on,wait=off,id=agent0", "-device", "virtio-serial-pci",
            "-device", "virtserialport,chardev=agent0,name=org.qemu.guest_agent.0"]


def more_of(port):
    """What else administrators have, some of it each."""
    ways = [lambda: as_libvirt(some(False, True)), lambda: of_a_group("g"), lambda: by_config("virtio-rng-pci"), lambda: by_config("pvpanic-pci"),
            plain_disk, agent,
            lambda: ["-net", "nic,model=rtl8139", "-net", "user"],
            lambda: ["-netdev", "user,id=m0,net=10.9.0.0/24,dhcpstart=10.9.0.9,restrict=on", "-device", "virtio-net-pci,netdev=m0,mac=52:54:00:aa:00:77"],
            lambda: ["-netdev", "hubport,id=h0,hubid=0", "-device", "e1000e,netdev=h0"],
            lambda: ["-netdev", f"socket,id=k0,udp=127.0.0.1:{port},localaddr=127.0.0.1:{port + 1}", "-device", "e1000,netdev=k0"],
            lambda: ["-netdev", f"stream,id=r0,server=on,addr.type=unix,addr.path={directory}/net.sock", "-device", "virtio-net-pci,netdev=r0"],
            lambda: ["-nic", f"user,model=e1000e,hostfwd=tcp:127.0.0.1:{port + 2}-:22,hostfwd=udp:127.0.0.1:{port + 2}-:53"],
            lambda: ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
            lambda: ["-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"],
            lambda: ["-device", "qemu-xhci,id=xhci", "-device", "usb-tablet,bus=xhci.0"], lambda: ["-usb", "-device", "usb-kbd"],
            lambda: ["-device", "virtio-balloon-pci"], lambda: ["-device", "i6300esb", "-action", "watchdog=pause"],
            lambda: ["-smp", some("2", "cpus=1,maxcpus=4", "2,sockets=1,cores=2,threads=1")],
            lambda: ["-uuid", "6b6a7dd8-29a8-4a1b-8d3b-0f2fd9a3a5e4", "-msg", "timestamp=on"],
            lambda: ["-D", some("qemu.log", f"{directory}/qemu.log"), "-serial", some("file:console.log", "pty", "null")],
            lambda: ["-global", "virtio-net-pci.romfile=", "-k", "de"]]
    return [word for way in pick.sample(ways, pick.choice((0, 1, 2, 3))) for word in way()]


seed, directory, qemu_img = sys.argv[1:]
if not seed.isdigit():
    print("\n".join(from_real_life(seed, directory, qemu_img)))
    sys.exit(0)
pick = random.Random(int(seed))
some = lambda *of: pick.choice(of)
name = some(f"line{seed}", f"Line {seed}")
words = ["-name", name, "-accel", "tcg", "-m", "64", "-qmp", f"unix:{directory}/q,server=on,wait=off"]
if pick.random() < 0.1:
    print("\n".join(words + microvm()))
    sys.exit(0)
own, property_of_machine = firmware()
words += ["-machine", some("q35", "pc", "q35,smm=off", "pc,hpet=off") + property_of_machine] + own
words += some(["-display", "none"], ["-display", "none", "-vga", "none"], ["-vnc", "none"], ["-nographic"])
words += some(["-nic", "none"], ["-nic", "user,model=virtio"], ["-netdev", "user,id=n0", "-device", "e1000,netdev=n0"],
              ["-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,romfile=own.rom"],
              ["-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{20000 + int(seed) % 20000}-:22", "-device", "virtio-net-pci,netdev=n0"])
shutil.copy(SEABIOS.parents[1] / "qemu/linuxboot.bin", f"{directory}/own.rom")
words += some([], ["-monitor", "none"], ["-monitor", f"unix:{directory}/m,server=on,wait=off"], ["-serial", "mon:unix:s,server=on,wait=off"])
if pick.random() < 0.3:
    Path(f"{directory}/x.iso").write_bytes(b"iso" * 4096)
    words += some(["-cdrom", "x.iso"], ["-drive", f"file={directory}/x.iso,media=cdrom,format=raw"])
    if some(False, True):
        meanwhile(some("rm x.iso", "set -- x.iso; " + REPLACED))
words += some([], ["-sandbox", "on"], ["-rtc", "base=utc"], ["-boot", "menu=on"])
iothread = some(False, True)
if iothread:
    words += ["-object", "iothread,id=io0"]
for i in range(some(1, 1, 2)):
    kind, name = some("raw", "qcow2"), f"d{i}.img"
    file = some(name, f"{directory}/{name}", f"./{name}")
    subprocess.run([qemu_img, "create", "-q", "-f", kind, f"{directory}/{name}", "8M"], check=True)
    throttled = some("", ",throttling.iops-total=500")
    bus = some("virtio", "ide", "scsi", "device", "blockdev", "filtered")
    if bus in ("virtio", "ide"):
        words += ["-drive", f"file={file},format={kind},if={bus}{throttled}"]
    elif bus == "scsi":
        words += ["-device", f"virtio-scsi-pci,id=s{i}", "-drive", f"file={file},format={kind},if=none,id=v{i}{throttled}",
                  "-device", f"scsi-hd,bus=s{i}.0,drive=v{i}"]
    elif bus == "device":
        words += ["-drive", f"file={file},format={kind},if=none,id=v{i},cache={some('writeback', 'unsafe')}{throttled}",
                  "-device", f"virtio-blk-pci,drive=v{i}" + (",iothread=io0" if iothread else "")]
    else:
        words += ["-blockdev", f"driver=file,node-name=f{i},filename={file}", "-blockdev", f"driver={kind},node-name=v{i},file=f{i}"]
        if bus == "filtered":
            words += ["-object", f"throttle-group,id=g{i},x-iops-total=500", "-blockdev", f"driver=throttle,node-name=t{i},throttle-group=g{i},file=v{i}"]
        words += ["-device", f"virtio-blk-pci,drive={'t' if bus == 'filtered' else 'v'}{i}"]
last = some([], [], ["-pidfile", "pid"], *([] if "-nographic" in words else [["-daemonize"], ["-daemonize", "-pidfile", f"{directory}/pid"]]))
pick = random.Random(f"{seed}, and more") # a generator of its own, so that earlier lines stay the same
print("\n".join(words + more_of(30000 + 3 * int(seed) % 20000) + last))
