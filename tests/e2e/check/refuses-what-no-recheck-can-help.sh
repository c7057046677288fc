#!/bin/bash
# QEMU's TCG ends over an assertion in its own migration of a guest whose second block of memory is larger than its first: that is refused,
# and the guest stays; also while it is paused, as its owner may let it go on. Stopped first it survives.
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 16M
MEM=256 WITNESS="ram_mb=160 rate=5000 disks=vda disk_mb=4 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) \
	-object memory-backend-ram,id=m0,size=64M -object memory-backend-ram,id=m1,size=192M \
	-numa node,memdev=m0 -numa node,memdev=m1 $(second_monitor a)
refused() {
	move_start a local
	move_wait 3
	grep -q 'does not survive its own migration of this guest: of its memory, m1 (192 MiB) is larger than m0 (64.0 MiB)' "$DIR/move.log" ||
		fail "it does not say why: $(tail -n 3 "$DIR/move.log")"
}
refused
qmp "$DIR/a.mon" '{"execute": "stop"}' STOP >/dev/null
refused
qmp "$DIR/a.mon" '{"execute": "cont"}' RESUME >/dev/null
guest_verify "$DIR/a.orders" blocks
move a local --how quick
guest_verify "$(orders a)" blocks
guest_stop a
