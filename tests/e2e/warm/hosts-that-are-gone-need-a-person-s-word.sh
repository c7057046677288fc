#!/bin/bash
# A host is gone for good while the guest is shut down between the two: a person's word boots it at the other one, and nothing else does.
. "$(dirname "$0")/../../lib/warm.sh"

# The destination, once the guest was handed over.
warm_guest
move_until listener before-DST_START:stop --how warm
kill_now "$MOVE_PID"
there=$(qemu_dst)
kill_at_exit "$there"
for pid in "$FAULT_PID" "$DST_PID" "$there"; do kill_now "$pid"; done
rm -rf "$DIR/dst-state"/*.journal "$DIR/dst-run"/* "${TO:?}"/* "$TO"/.[!.]*
DST_PID=
address=$DST_ADDRESS
to_listener --listen "$address"
recover 6
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the QEMU that is held"
recover 1 --peer-is-fenced
runs_at_source 2

# The source, once the destination has promised.
move_until there src-ready:stop --how warm
there=$(qemu_dst)
kill_at_exit "$there"
for pid in $(pgrep -f "^vmferry --guard $DIR/") "$MOVE_PID" "${GUEST_PID[a]}" $(pgrep -f "^$BIN/vmferry-dst .*$DIR/"); do kill_now "$pid"; done
settle() { # STATUS [OPTION...]
	local status=0
	timeout 60 "$BIN/vmferry-dst" recover a --state-dir "$DIR/dst-state" --runtime-dir "$DIR/dst-run" "${@:2}" >"$DIR/recover.out" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of vmferry-dst recover ($(tail -n 2 "$DIR/recover.out"))"
}
VMFERRY_STATE_DIR=$DIR/dst-state vmferry journal | grep -q "^a <- $(hostname), attempt [0-9a-f]*: " || fail "where does it come from?"
settle 6
[[ ! -s $TO/a.console ]] || fail "it has begun to boot"
settle 0 --peer-is-fenced
guest_is_there "$there"
wait_for 60 grep -aq '^witness ready' "$TO/a.console" || fail "it does not boot at the destination"
goes_on a
[[ -x $TO/a.sh ]] || fail "nothing starts it again"
