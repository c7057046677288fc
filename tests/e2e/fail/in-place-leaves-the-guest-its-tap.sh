#!/bin/bash
# A guest's tap belongs to the QEMU that has the guest, in its bridge and as persistent as before, whatever fails while the tap goes over to
# another QEMU of this host, or before; `vmferry recover` may be needed. Another process that takes the tap meanwhile keeps it, and the user
# is told that the guest is without.
# timeout: 400
. "$(dirname "$0")/../../lib/tap.sh"

in_place() { # [OPTION...]
	move_start a local --in-place "$@"
}

settled() { # WHEN
	unset VMFERRY_FAULT
	assert_network tap0 "$1"
	! is_persistent tap0 || fail "$1: the tap stays without a process"
	assert_settled >/dev/null
}

at_source() { # WHEN
	wait_for 60 is_alone || fail "$1: not alone: $(ours | xargs -r ps -o pid=,args= -p)"
	settled "$1"
}

guest_on tap0 script=no downscript=no
into_bridge tap0
to_local
settled "before"

# before it is given up here
in_place "${SLOW_RAM[@]}"
while_ram
is_persistent tap0 || fail "the tap would go with the QEMU that ends"
"$BIN/vmferry" cancel --no-wait a >/dev/null
move_wait 1
at_source cancelled
in_place "${SLOW_RAM[@]}"
while_ram
kill -KILL "$(the_other_qemu)"
move_wait 1
at_source "the other QEMU died"
for point in dst-taps-held dst-qemu-launched after-DST_PREPARED; do
	move_until local $point --in-place
	move_wait 1
	at_source "$point"
done

# somebody else's interface has the name
ip tuntap add "vmft$(index_of tap0)" mode tap
in_place
move_wait 3
assert_result '"stand in for tap tap0, already exists" in r["reason"]'
ip link del "vmft$(index_of tap0)"
at_source "the name is taken"

# after it: the destination's agent dies, or what it has pass the tap on
for point in after-DST_STARTED before-DST_DONE after-DST_DONE dst-tap-removed dst-tap-taken; do
	move_until local $point --in-place
	move_wait
	settled "$point"
done
# both agents die
for point in after-SRC_COMMITTED before-SRC_RELEASED; do
	move_until local $point --in-place
	wait "$MOVE_PID" || true
	recover 0
	guest_adopt a "$(the_other_qemu)"
	settled "$point"
done

# somebody takes it as soon as it is free, and uses it in another way
move_until local before-DST_DONE:stop --in-place
wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "the source QEMU does not end"
python3 -S -c 'import fcntl, struct, time
tap = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"tap0", 0x1002))
print("has it", flush=True)
time.sleep(1000)' >"$DIR/thief.out" &
thief=$!
kill_at_exit $thief
wait_for 60 grep -qs 'has it' "$DIR/thief.out" || fail "the tap is not free"
fault_continue
move_wait
assert_result 'any("without its network on tap tap0 (vmferry recover a tries again): tap tap0 is open in process '$thief'" in l for l in r["leftovers"])'
guest_verify "$(orders a)" blocks
assert_eq "$(on_tap "${GUEST_PID[a]}")" "vmft$(index_of tap0)" "the tap that it has meanwhile"
end_process $thief
recover 0
settled "somebody had it"
