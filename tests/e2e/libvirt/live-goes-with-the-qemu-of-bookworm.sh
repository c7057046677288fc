#!/bin/bash
# A libvirt guest of QEMU 7.2 (Debian 12), which tells how large its blocks of memory are, and not where it has them: its pages are placed in the QEMU that waits,
# and nothing of it is lost.
export TINY=yes MACHINE=pc MEM=64 WITNESS="ram_mb=16 rate=0 disks=vda disk_mb=4 disk_rate=50" QEMU=7.2
. "$(dirname "$0")/../../lib/libvirt-move.sh"

web=web-$$
libvirt_host a
libvirt_host b
"$QEMU_IMG" create -q -f qcow2 "$(libvirt_at a "$LIBVIRT_GUESTS")/web.qcow2" 8M
libvirt_xml $web "$LIBVIRT_GUESTS/web.qcow2:qcow2" >"$DIR/web.xml"
libvirt_in a virsh -q define "$DIR/web.xml" >/dev/null
libvirt_run a $web
listen_at b

libvirt_move a b $web 0
assert_result 'r["ram"]["mode"] == "pages"'
assert_is_at b a $web
guest_adopt $web "$(<"$(libvirt_at b "/run/libvirt/qemu/$web.pid")")"
GUEST_AT[$web]=$(libvirt_at b "$LIBVIRT_GUESTS")
guest_verify "$(orders $web)" blocks
assert_nothing_unfinished
