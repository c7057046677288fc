#!/bin/bash
# Either agent dies at each step of bringing the disks of a guest that stays (--only-disks): the guest runs on as if nothing had been, what is said to be
# there is there, once, and the same command again brings it up to date; the move that follows is whole.
# timeout: 300
. "$(dirname "$0")/../../lib/partial.sh"

it_stays() {
	wait_for 60 is_alone || fail "not alone: $(ours | xargs -r ps -o pid=,args= -p)"
	assert_eq "$(settings_of a)" "$SETTINGS" "settings of QEMU"
	assert_eq "$(status_of "$(free_monitor a)")" running "QEMU's run state"
}

begins() {
	move_start a "$DEST" --disk-dir "$DIR/there" --only-disks
	TO=$DIR/there
	fault_wait
}

ends() { # sets STATUS
	STATUS=0
	wait_for 60 process_is_gone "$MOVE_PID" || fail "it does not end"
	wait "$MOVE_PID" || STATUS=$?
}

is_there() {
	assert_result 'r["outcome"] == "disks-copied" and len(r["leftovers"]) == 2'
	assert_eq "$(cd "$TO" && ls -A | sed 's/vmferry-[0-9a-f]*/ID/' | sort | xargs)" "a.raw.ID-partial b.qcow2.ID-partial" "what is kept"
}

up_to_date() {
	to_listener
	move_start a "$DEST" --disk-dir "$DIR/there" --only-disks
	TO=$DIR/there
	move_wait
	is_there
	it_stays
}

mkdir "$DIR/there"
head -c 12M /dev/urandom >"$DIR/a.raw"
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/a.raw" "$DIR/b.qcow2"
MEM=256 WITNESS="ram_mb=16 rate=200 disks=vda,vdb disk_mb=4 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) \
	$(guest_drive d1 "$DIR/b.qcow2" qcow2) $(second_monitor a)
SETTINGS=$(settings_of a)

for point in before-SRC_ABORTED after-SRC_ABORTED; do
	to_listener
	fault "$point"
	begins
	wait_for 60 process_is_gone "$MOVE_PID" || fail "$point: the agent lives on"
	guard_ends
	it_stays
	resume 0
	is_there
	it_stays
done

for point in dst-prepare dst-helper-noted before-DST_ABORTED dst-partial-kept after-DST_ABORTED; do
	to_local
	fault "$point"
	to_listener
	begins
	ends
	case $STATUS in
	0) is_there ;;
	1 | 4) assert_result 'r["outcome"] == "rolled-back" and r["where"] == "source"' ;;
	*) fail "$point: exit code $STATUS: $(tail -n 1 "$DIR/move.json")" ;;
	esac
	it_stays
	up_to_date
done

move_start a "$DEST" --disk-dir "$DIR/there" "${KEEPING[@]}"
TO=$DIR/there
move_wait
assert_result "all(d['bytes_kept'] > (7 << 20) for d in r['disks'])"
guest_verify "$(orders a)" blocks
assert_nothing_unfinished
assert_eq "$(ls "$TO" | grep -c partial || true)" 0 "what is kept beside it"
