#!/bin/bash
# A virtio NIC on a tap goes on at another tap; what QEMU would refuse only with the guest stopped, a virtio NIC that used a
# tap's offloads on a user network, is refused before anything is touched. Taps are QEMU's own, and go with it.
. "$(dirname "$0")/../../lib/move.sh"

[[ -w /dev/net/tun && $(id -u) == 0 ]] || skip "no tap devices here: /dev/net/tun, root"
first=vf$$a second=vf$$b
MEM=256 WITNESS="ram_mb=16" guest_start a \
	-netdev "tap,id=n0,ifname=$first,script=no,downscript=no" -device virtio-net-pci,netdev=n0,id=nic0,mac=52:54:00:00:00:08

move_start a local --map-net n0=user
move_wait 3
assert_result '"uses the offloads of a tap" in r["reason"]'
move_start a local --map-net nic0=switch:1
move_wait 3
assert_result '"bridge:BRIDGE, tap:NAME" in r["reason"]'

move a local --map-net "nic0=tap:$second"
assert_result '"network n0 (tap '"$first"' here) is tap '"$second"' on the destination" in plan["notes"]'
assert_result 'any(f.startswith("NIC n0: there is no tap '"$second"'") for f in plan["cautions"])'
[[ -e /sys/class/net/$second && ! -e /sys/class/net/$first ]] || fail "the guest is not on the other tap"
guest_verify "$(orders a)"
