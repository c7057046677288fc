#!/bin/bash
# A libvirt guest on a bridge, by a tap that libvirt has made and passed on to its QEMU, runs on as a plain one (--as plain) on a tap of the other host: its card, of which QEMU's
# stream says with which offloads it works, is reached and sends there as before. Onto a network that has none of these it is refused.
# takes: 60
# timeout: 300
. "$(dirname "$0")/../../lib/tap.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"

unset TINY
mac=52:54:00:00:00:08
export MACHINE=q35 MEM=256 WITNESS="ram_mb=16 rate=500 disks=vda disk_mb=4 disk_rate=20 net=$GUEST_ADDRESS/24 hb_udp=10.79.0.1:7777"
libvirt_host a
libvirt_plain_host b
libvirt_way a
ON=("${LIBVIRT_WAY[@]}")
libvirt_way b
DST_ON=("${LIBVIRT_WAY[@]}")
"$QEMU_IMG" create -q -f qcow2 "$(libvirt_at a "$LIBVIRT_GUESTS/a.qcow2")" 8M
LIBVIRT_DEVICES="<interface type='bridge'><source bridge='br0'/><mac address='$mac'/><model type='virtio'/></interface>" \
	libvirt_define a "$NAME" "$LIBVIRT_GUESTS/a.qcow2:qcow2"
libvirt_run a "$NAME"
python3 -S "$TOP/tests/lib/echo.py" "$GUEST_ADDRESS" || fail "the guest cannot be reached here"
HOW_WORDS=(--as plain)
to_listener
libvirt_live_start "$DEST" --map-net $mac=user
libvirt_cold_wait 3
assert_result '"offloads of a tap device" in r["reason"]'

make_tap t1
libvirt_live_start "$DEST" --map-net $mac=tap:t1
libvirt_cold_wait 0
assert_eq "$(defined_at a)" "" "guests of libvirt"
guest_adopt a "$(qemus)"
assert_network t1
GUEST_AT[a]=$TO
ln -s "$NAME.serial2" "$TO/a.orders"
guest_verify "$(orders a)"
assert_nothing_unfinished
