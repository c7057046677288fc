#!/bin/bash
# A guest on a bridge, and the other host's bridge joined to it: the guest's packets go on from there, at another bridge's name,
# after a gap of less than a second, its TCP connection lives on, and the network has been told where it is now. A bridge that is
# not there is refused.
# alone: it measures how long the guest is silent
. "$(dirname "$0")/../../lib/over-ssh.sh"
. "$TOP/tests/lib/collect.sh"
[[ -w /dev/net/tun ]] || skip "no /dev/net/tun"
hosts_start

# The bridge's MAC is set: otherwise it is the lowest of its ports', changes when the guest's tap goes, and the guest talks to the old one
# until it has learnt that.
bridge() { # HOST NAME PORT ADDRESS
	"$1" ip link add "$2" address "02:00:00:00:00:0${4##*.}" type bridge forward_delay 0 mcast_snooping 0
	"$1" ip address del "$4/24" dev "$3"
	"$1" ip link set "$3" master "$2"
	"$1" ip address add "$4/24" dev "$2"
	"$1" ip link set "$2" up
	"$1" mount -t sysfs sysfs /sys # sysfs shows the host's own network
}

bridge on_a br0 to-b "$A_ADDRESS"
bridge on_b br-lan to-a "$B_ADDRESS"
for script in "$VM/up br0" "$(there "$VM/up") br-lan"; do
	printf '#!/bin/sh\nexec ip link set "$1" up master %s\n' "${script#* }" >"${script% *}"
	chmod 755 "${script% *}"
done
COLLECTOR_IN=$HOST_A
collector_start -p 7000
(exec nsenter -t "$HOST_A" -n python3 -S "$TOP/tests/lib/capture.py" to-b "$DIR/wire") >"$DIR/capture" &
CAPTURE=$!
kill_at_exit "$CAPTURE"

WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20 still_mb=16 net=10.231.0.50/24 hb_udp=10.231.0.255:7000 tcp=$A_ADDRESS:7000" GUEST_START=guest_start ssh_guest a \
	-netdev "tap,id=n0,ifname=tap-a,script=$VM/up,downscript=no" -device virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56
is_connected() {
	[[ -n $(on_a ss -Htn state established "sport = :7000") ]]
}
wait_for 60 is_connected || fail "the guest does not connect"
are_up() { # the kernel says so up to a second later
	[[ $(on_a ip -o link show br0) == *"state UP"* && $(on_b ip -o link show br-lan) == *"state UP"* ]]
}
wait_for 60 are_up || fail "the bridges are not up"
collector_greet "$(orders a)"
collector_clear
remember
refused 3 'no such bridge at the destination \(there are: br-lan\)' root@host-b --map-net n0=bridge:br0
ssh_move a root@host-b --map-net "n0=tap:tap-b,script=$VM/up"
[[ $(on_b ip -o link show tap-b) == *"master br-lan"* ]] || fail "the guest is not on br-lan"
[[ -z $(on_a ip -o link show tap-a 2>/dev/null) ]] || fail "its tap is still here"
is_heard_there() {
	(($(on_b cat /sys/class/net/tap-b/statistics/rx_packets) > 100))
}
wait_for 60 is_heard_there || fail "the guest says nothing at the other host"
collector_stop
assert_arrived
end_process "$CAPTURE"
cat "$DIR/heard.json" "$DIR/capture"
result 'r["downtime_ms"]["total"]'
[[ $(<"$DIR/capture") =~ rarp=[1-9] ]] || fail "the guest's new place was not announced"
assert_heard 'h["received"] > 100 and h["lost"] < 1000 and h["gaps"][0]["ms"] < 1000'
assert_heard 't["connected"] and t["connection_first"] == t["connection_last"] == 1 and t["records"] > 0 and t["gap"]["ms"] < 2000'
