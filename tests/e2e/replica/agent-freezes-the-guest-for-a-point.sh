#!/bin/bash
# With --freeze the guest's agent freezes it for the moment of each point, which then has pairs that are whole, and thaws it at once. A guest whose agent does not answer has
# its points all the same, which are told to be not frozen.
. "$(dirname "$0")/../../lib/replica.sh"

agent_port() { # SOCKET-NAME: prints QEMU options
	echo "-device virtio-serial-pci -chardev socket,id=qga0,path=$DIR/$1,server=on,wait=off" \
		"-device virtserialport,chardev=qga0,name=org.qemu.guest_agent.0"
}

WITNESS="agent=1" replica_start $(agent_port qga)
replica_add --freeze
for _ in 1 2 3; do
	sync
	assert_eq "$(of_primary 'p["frozen"], p["health"]')" "(True, 'normal')" "what the primary knows"
	newest=$(slots | tail -n 1)
	assert_eq "$(in_point "$newest" 'p["frozen"]')" True "frozen"
	disk_of "$newest" 0
	first=$(pair_number "$DIR/point.raw")
	disk_of "$newest" 1
	assert_eq "$(pair_number "$DIR/point.raw")" "$first" "the pair, whose guest was frozen between two"
	writes_on
	assert_eq "$(pair_says "$DIR/$A.orders" frozen)" 0 "frozen still"
done
guest_stop "$A"

replica_start
sync
grep -q 'not frozen for this point' "$DIR/sync.json" || fail "that it is not frozen is not told"
assert_eq "$(of_primary 'p["frozen"], p["health"]')" "(False, 'warning')" "what the primary knows"
assert_points_are_of_one_moment
