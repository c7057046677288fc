#!/usr/bin/env python3
"""tests/lib/launch-line.py SEED DIR QEMU_IMG: a launch line of a guest as administrators write them, by a seed.

Makes its disks in DIR, in which it is to be started, and prints its words, a line each, without the program. QMP is at DIR/q.
"""
import random
import subprocess
import sys

seed, directory, qemu_img = sys.argv[1:]
pick = random.Random(int(seed))
some = lambda *of: pick.choice(of)
words = ["-name", f"line{seed}", "-accel", "tcg", "-m", "64", "-qmp", f"unix:{directory}/q,server=on,wait=off"]
words += ["-machine", some("q35", "pc", "q35,smm=off", "pc,hpet=off")]
words += some(["-display", "none"], ["-display", "none", "-vga", "none"], ["-vnc", "none"])
words += some(["-nic", "none"], ["-nic", "user,model=virtio"], ["-netdev", "user,id=n0", "-device", "e1000,netdev=n0"],
              ["-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{20000 + int(seed) % 20000}-:22", "-device", "virtio-net-pci,netdev=n0"])
words += some([], ["-monitor", "none"], ["-monitor", f"unix:{directory}/m,server=on,wait=off"], ["-serial", "mon:unix:s,server=on,wait=off"])
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
words += some([], ["-daemonize"], ["-daemonize", "-pidfile", f"{directory}/pid"], ["-pidfile", "pid"])
print("\n".join(words))
