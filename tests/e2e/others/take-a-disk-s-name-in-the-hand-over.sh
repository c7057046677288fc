#!/bin/bash
# Somebody puts another file where the disk of a guest lies, when QEMU has let go of that to hand the guest over, and the guest does not come to the destination.
# QEMU opens its disks by their names as it takes a guest back: it does not go on over that other file, a person is told where its own is, and what to do.
# timeout: 400
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

comes_back() { # WHO: the guest stands, and a person gives its disk the name NAME (a.raw) again
	local name=${2:-a.raw}
	has_its_own "$1"
	[[ $(status_of "$(free_monitor a)") == postmigrate ]] || fail "$1: the guest is $(status_of "$(free_monitor a)")"
	cp --sparse=always "$(cat "$DIR/move.json" "$DIR/move.log" | grep -aoE "/proc/${GUEST_PID[a]}/fd/[0-9]+" | tail -n 1)" "$DIR/new"
	mv "$DIR/new" "$DIR/$name"
	qmp "$(free_monitor a)" '{"execute": "cont"}' RESUME >/dev/null
	guest_verify "$(orders a)" blocks
}

is_told() {
	move_wait 5
	assert_result "r['guest'] == 'source-paused' and 'another file has the name' in r['guest_text']" "how it is"
	assert_result "any('must not go on as it is' in n for n in notices)" "what is told"
}

for who in destination agents paused; do
	begins
	[[ $who != paused ]] || qmp "$(free_monitor a)" '{"execute": "stop"}' STOP >/dev/null # a person lets it go on again, some day
	to_local
	fault before-DST_PREPARED stop
	move_start a local
	fault_wait
	put_another
	end_agents_there
	if [[ $who == agents ]]; then
		kill_now "$MOVE_PID"
		guard_ends
		grep -q 'must not go on as it is' "$DIR/move.log" || fail "the guard says nothing: $(<"$DIR/move.log")"
	else
		is_told
	fi
	comes_back "$who"
	ends
done

# the file that a qcow2 image keeps its data in has a name of its own, which QEMU reads where it was started
cd "$DIR" || exit
"$QEMU_IMG" create -q -f qcow2 -o data_file=a.data "$DIR/a.qcow2" 16M
"${QEMU_IMG%/*}/qemu-io" -f qcow2 -c 'write -P 7 0 12M' "$DIR/a.qcow2" >/dev/null
MEM=256 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.qcow2" qcow2) $(second_monitor a)
cd "$OLDPWD" || exit
inode=$(stat -c %i "$DIR/a.data")
to_local
fault before-DST_PREPARED stop
move_start a local --drop=data-file
fault_wait
cp "$DIR/a.data" "$DIR/other"
mv "$DIR/other" "$DIR/a.data"
end_agents_there
is_told
comes_back "data file" a.data
ends

# once it was given up here, and has not come there: held, with all that it wrote
begins
to_local
fault after-SRC_COMMITTED stop
move_start a local
fault_wait
put_another
kill_now "$(qemu_dst)"
fault_continue
move_wait 6
assert_result "'another file has the name of its disk' in r['reason'] and '/fd/' in r['reason']" "given up: why"
has_its_own "given up"
