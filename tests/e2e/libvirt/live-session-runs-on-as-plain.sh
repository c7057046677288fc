#!/bin/bash
# A guest of a user's own libvirt (qemu:///session) runs on as a plain one (--as plain) of that user at another host, without root at either end: memory and disks verified from
# inside, and libvirt here has forgotten it.
# takes: 20
export TINY=yes MACHINE=pc MEM=64 WITNESS="ram_mb=16 rate=500 disks=vda disk_mb=4 disk_rate=50"
. "$(dirname "$0")/../../lib/libvirt-move.sh"

export LIBVIRT_QEMU_USER=libvirt-qemu
web=web-$$
G=$LIBVIRT_GUESTS
libvirt_host a
libvirt_plain_host b
at_a=$(libvirt_at a "$G") at_b=$(libvirt_at b "$G")
"$QEMU_IMG" create -q -f qcow2 "$at_a/web.qcow2" 8M
head -c 2M /dev/urandom >"$at_a/data.raw"
chown 64055:64055 "$at_a"/*
for host in a b; do host_state $host >/dev/null; done
chown -R 64055:64055 "$DIR"/state-* "$DIR"/run-*
libvirt_become_user a
libvirt_define a $web "$G/web.qcow2:qcow2" "$G/data.raw:raw"
libvirt_run a $web
listen_at b

libvirt_move a b $web 0 --as plain
assert_result 'r["verified"]'
assert_eq "$(defined_at a)" "" "guests of libvirt"
grep -q "<name>$web</name>" "$(result 'r["definition_left"]')" || fail "nothing has its definition"
assert_eq "$(find "$(libvirt_at a /run/user)" -name '*vmferry*')" "" "left behind"
guest_adopt $web "$(result 'r["destination_pid"]')"
assert_eq "$(stat -c %u "/proc/${GUEST_PID[$web]}")" 64055 "the user of its QEMU"
GUEST_AT[$web]=$at_b
guest_verify "$at_b/$web.serial2"
cmp "$at_a/data.raw" "$at_b/data.raw"
assert_nothing_unfinished
