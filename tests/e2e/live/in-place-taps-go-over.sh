#!/bin/bash
# A guest that goes on in another QEMU of its host keeps its tap, whoever made it: the same interface in the same bridge, and its network goes on.
# A second time, too, as the line of a QEMU that took a tap over does not name it; and then to another host's tap.
. "$(dirname "$0")/../../lib/tap.sh"

in_place() { # TAP [OPTION...]
	local tap=$1 index listens persists=no
	index=$(index_of "$tap")
	! is_persistent "$tap" || persists=yes
	python3 -S "$TOP/tests/lib/heartbeat.py" udp:10.79.0.1:7777 >"$DIR/beats" &
	listens=$!
	kill_at_exit $listens
	move a local --in-place "${@:2}"
	assert_result '"network n0 goes over to the new QEMU with tap '"$tap"', once the one that has it has ended" in "; ".join(plan["notes"])'
	python3 -S "$TOP/tests/lib/echo.py" "$GUEST_ADDRESS" || fail "the guest cannot be reached"
	kill "$listens"
	wait "$listens"
	echo "nothing from the guest for $(sed -n 's/.*longest_gap_ms=\([0-9.]*\).*/\1/p' "$DIR/beats") ms"
	assert_network "$tap"
	assert_eq "$(index_of "$tap")" "$index" "the interface"
	assert_eq "$(! is_persistent "$tap" || echo yes)" "$([[ $persists == no ]] || echo yes)" "whether $tap stays without a process"
	assert_settled
}

# a tap that was made for the guest, and stays without it
make_tap tap0
guest_on tap0 script=no downscript=no
to_local
assert_network tap0
in_place tap0
in_place tap0 --how quick
ip link set br0 type bridge stp_state 1 forward_delay 200
vmferry check "${GUEST_PID[a]}" local --in-place >"$DIR/out" 2>&1 || fail "it could not be moved: $(<"$DIR/out")"
grep -q 'the bridge of tap tap0 has STP: for 4 s after' "$DIR/out" || fail "of STP nothing is said: $(<"$DIR/out")"
ip link set br0 type bridge stp_state 0
mkdir "$DIR/other"
vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/other" --map-net n0=user >"$DIR/out" 2>&1 || true
grep -q "n0=user: .*uses the offloads of a tap" "$DIR/out" || fail "its NIC is not on a tap: $(<"$DIR/out")"
ip tuntap add tap1 mode tap vnet_hdr
into_bridge tap1
move a local --map-net n0=tap:tap1
assert_result '"network n0 (tap tap0 here) is tap tap1 on the destination" in plan["notes"]'
assert_network tap1
assert_settled
guest_stop a
[[ -e /sys/class/net/tap0 && -e /sys/class/net/tap1 ]] || fail "a tap of the user's is gone"

# a tap that its QEMU has made, and that goes with the guest; with scripts, of which the user says that the guest goes on without
printf '#!/bin/sh\nip link set "$1" master br0 up\n' >"$DIR/up"
chmod +x "$DIR/up"
unset "GUEST_AT[a]"
rm -f "$DIR"/a.*
guest_on tap2 "script=$DIR/up" downscript=no
assert_network tap2
in_place tap2 --map-net n0=tap:tap2
in_place tap2
guest_stop a
[[ ! -e /sys/class/net/tap2 ]] || fail "the tap of a guest that is gone is still there"
