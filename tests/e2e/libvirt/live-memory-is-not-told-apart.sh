#!/bin/bash
# A libvirt guest whose memory has several blocks of one size (NUMA), of which nothing tells which is which in the QEMU that waits: it goes as QEMU's own stream,
# and over one channel, as libvirt there was asked for no more. Nothing of it is lost.
export TINY=yes MACHINE=pc MEM=64 WITNESS="ram_mb=16 rate=500 disks=vda disk_mb=4 disk_rate=50"
. "$(dirname "$0")/../../lib/libvirt-move.sh"

web=web-$$
libvirt_host a
libvirt_host b
"$QEMU_IMG" create -q -f qcow2 "$(libvirt_at a "$LIBVIRT_GUESTS")/web.qcow2" 8M
cells="<cpu><numa><cell id='0' cpus='0' memory='32' unit='MiB'/><cell id='1' cpus='1' memory='32' unit='MiB'/></numa></cpu>"
SMP=2 libvirt_xml $web "$LIBVIRT_GUESTS/web.qcow2:qcow2" | sed "s|<features>|$cells&|" >"$DIR/web.xml"
libvirt_in a virsh -q define "$DIR/web.xml" >/dev/null
libvirt_run a $web
listen_at a
listen_at b

libvirt_move a b $web 1 # without KVM, whose QEMU loses some of what such a guest writes: pages are asked for
assert_result '"memory blocks apart, as several of them have one size" in r["reason"] and "--how quick" in r["reason"] and r["guest"] == "source"'
libvirt_move a b $web 0 --how quick --channels 3
assert_result 'r["ram"]["mode"] == "opaque" and any("have one size" in n for n in notices)'
assert_is_at b a $web
guest_adopt $web "$(<"$(libvirt_at b "/run/libvirt/qemu/$web.pid")")"
GUEST_AT[$web]=$(libvirt_at b "$LIBVIRT_GUESTS")
guest_verify "$(orders $web)"
assert_nothing_unfinished
