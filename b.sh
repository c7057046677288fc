#!/bin/sh
# Starts the guest b again, as it was moved here from vm on 2026-11-28 22:38:28 UTC by vmferry 0.1.0.
# QEMU stays in the foreground. Do not run this while the guest runs, here or anywhere else.
# As long as nobody edits it, vmferry gives it another name when it moves the guest away from here, and
# replaces it when the guest comes back. An edited one is yours: it is renamed only if you name it to move
# the guest while it is shut down, and changed only as the guest's disks move here (vmferry storage).
# Not edited since vmferry wrote it: 17be0323fb7a8c0b
cd / || exit
exec /srv/w/hosts/build/qemu72/bin/qemu-system-x86_64 \
    -name b \
    -accel tcg \
    -machine q35,smm=off \
    -m 64 \
    -display none \
    -drive file=/srv/w/hosts//a.raw,format=raw,if=virtio \
    -qmp unix:/run/b.qmp,server=on,wait=off
