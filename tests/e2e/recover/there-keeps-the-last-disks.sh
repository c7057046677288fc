#!/bin/bash
# The last disks are at the destination when both hosts lose everything that runs, the destination has promised, and the source never comes
# back: the memory is lost, but the disks are whole. No word of a person's has them removed; with that word they are this host's, the script
# that boots the guest from them has its name, and nothing is left to settle.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener src-ready:stop
there=$(qemu_dst)
cp "$DIR/a.raw" "$DIR/promised.raw"
# some end by themselves when others have ended
for pid in $(pgrep -f "^vmferry --guard $DIR/") "$there" $(pgrep -f "^$BIN/vmferry-dst .*$DIR/") "$MOVE_PID" "${GUEST_PID[a]}"; do
	[[ -n ${PID_BORN[$pid]:-} ]] || kill_at_exit "$pid"
	kill -KILL "$pid" 2>/dev/null || true
	wait_for 60 process_is_gone "$pid" || fail "process $pid does not die"
done
for options in "" "--peer-is-fenced"; do
	status=0
	"$BIN/vmferry-dst" recover a $options --state-dir "$DIR/dst-state" --runtime-dir "$DIR/dst-run" </dev/null >"$DIR/out" 2>&1 || status=$?
	assert_eq "$status" 6 "exit code of vmferry-dst recover a $options: $(<"$DIR/out")"
	cmp "$DIR/promised.raw" "$TO/a.raw" || fail "the disk is not what was promised"
	[[ -n $options || ! -e $TO/a.sh ]] || fail "it can be started here, though its source may live"
done
grep -q "Its disks here are complete, and are kept: $TO/a.sh" "$DIR/out" || fail "it does not say so: $(<"$DIR/out")"
[[ -x $TO/a.sh ]] || fail "nothing starts it"
[[ -z $(ls -A "$DIR/dst-run") && -z $(find "$DIR/dst-state" -name '*.journal') ]] || fail "left: $(ls -A "$DIR/dst-run" "$DIR/dst-state")"
