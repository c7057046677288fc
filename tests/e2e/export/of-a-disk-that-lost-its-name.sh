#!/bin/bash
# A guest's memory is not exported once another file has the name of its disk, before or in the middle of that: QEMU would open that one as it lets go of its
# disks, and the guest would go on over it. The guest is as before, with its own. Without its memory it is exported as it is.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"
exports_memory

put_another() {
	cp "$DIR/a.raw" "$DIR/other.raw"
	mv "$DIR/other.raw" "$DIR/a.raw"
}

exports() { # [OPTION...]: sets STATUS
	STATUS=0
	timeout 120 "$BIN/vmferry" export "${GUEST_PID[a]}" "$DIR/bundle" "$@" </dev/null >"$DIR/out" 2>"$DIR/err" || STATUS=$?
}

as_before() {
	assert_eq "$(settings_of a)" "$SETTINGS" "settings of QEMU"
	assert_eq "$(status_of "$DIR/a.mon")" running "state"
	guest_verify "$(orders a)" blocks
}

guest_a
before=$(stat -c %i "$DIR/a.raw")

# in the middle
fault export-memory stop
exports --with-memory &
exporter=$!
fault_wait
put_another
fault_continue
wait "$exporter"
grep -q 'a.raw was replaced by another file since' "$DIR/out" "$DIR/err" || fail "not refused: $(tail -n 3 "$DIR/out" "$DIR/err")"
[[ ! -e $DIR/bundle ]] || fail "left there: $(ls -A "$DIR/bundle")"
as_before

# before
exports --with-memory
assert_eq "$STATUS" 3 "exit code"
grep -q 'was replaced, or removed, since the guest started' "$DIR/out" "$DIR/err" || fail "not refused: $(tail -n 3 "$DIR/out" "$DIR/err")"
as_before

# a bundle of disks only
exports
assert_eq "$STATUS" 0 "exit code without memory ($(tail -n 3 "$DIR/out" "$DIR/err"))"
as_before
for fd in "/proc/${GUEST_PID[a]}/fd"/*; do
	[[ $(stat -L -c %i "$fd" 2>/dev/null) != "$before" ]] || found=1
done
[[ -n ${found:-} ]] || fail "QEMU has not the guest's own disk any more"
