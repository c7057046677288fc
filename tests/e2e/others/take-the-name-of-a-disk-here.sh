#!/bin/bash
# Somebody puts another file where the disk of a guest lies that is being moved (a backup that is restored, a copy that is renamed). QEMU opens its disks by
# their names as it hands a guest over: the guest never goes on over that other file, here or there, and has what it wrote last.
# timeout: 400
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

put_another() { # the guest's own has no name then
	cp "$DIR/a.raw" "$DIR/other.raw"
	mv "$DIR/other.raw" "$DIR/a.raw"
}

has_its_own() { # by what the guest's QEMU has open
	local fd
	for fd in "/proc/${GUEST_PID[a]}/fd"/*; do
		[[ $(stat -L -c %i "$fd" 2>/dev/null) != "$inode" ]] || return 0
	done
	fail "$1: QEMU has not the guest's own disk any more"
}

begins() {
	guest_a
	inode=$(stat -c %i "$DIR/a.raw")
}

ends() {
	guest_stop a
	rm -rf "$DIR"/a.* "$DIR"/d[0-9]*
}

# before QEMU lets go of it: the guest has not even stood
for how in --ram-mode=pages --in-place --disk=d0=shared; do
	begins
	if [[ $how == --disk* ]]; then to_listener; else to_local; fi
	move_start a "$DEST" "$how" "${SLOW_RAM[@]}" --hold
	while_ram
	put_another
	"$BIN/vmferry" set "${GUEST_PID[a]}" bwlimit=0 >/dev/null
	"$BIN/vmferry" switch --no-wait "${GUEST_PID[a]}" >/dev/null
	move_wait 1
	assert_result "'a.raw was replaced by another file since' in r['reason'] and r['guest'] == 'source'" "$how: why"
	has_its_own "$how"
	guest_verify "$(orders a)" blocks
	ends
done

# a change in the very moment of the hand-over
begins
to_local
fault src-pre-switchover stop
move_start a local
fault_wait
put_another
fault_continue
move_wait 1
assert_result "'a.raw was replaced by another file since' in r['reason']" "at the switchover: why"
has_its_own "at the switchover"
guest_verify "$(orders a)" blocks
ends
