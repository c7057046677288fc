#!/bin/bash
# A guest that a full file system has stopped moves as it stands, with the request that failed, and goes on at the destination, where there is room;
# a move that fails leaves it as it stood. Disks go to other images of the same host likewise. A guest of which nothing has run yet (-S) moves, too.
# timeout: 300
. "$(dirname "$0")/../../lib/storage.sh"

mkdir "$DIR/full" "$DIR/new"
mount -t tmpfs -o size=64M none "$DIR/full" 2>/dev/null || skip "no right to mount a tmpfs"
at_exit "umount -l $DIR/full"

stopped_guest() { # NAME
	head -c 24M /dev/urandom >"$DIR/full/a.raw"
	truncate -s 64M "$DIR/full/a.raw"
	MEM=128 WITNESS="ram_mb=8 rate=100 disks=vda disk_mb=60 disk_rate=15" tiny_start $1 $(guest_drive d0 "$DIR/full/a.raw" raw) $(second_monitor $1)
	head -c 80M /dev/zero >"$DIR/full/filler" 2>/dev/null || true
	wait_for 60 eval '[[ $(status_of "$DIR/'$1'.mon") == io-error ]]' || fail "the guest is not stopped: $(status_of "$DIR/$1.mon")"
}

goes_on() { # NAME MONITOR
	qmp "$2" '{"execute": "cont"}' >/dev/null
	wait_for 60 has_disk_ops $1 $(($(disk_ops $1) + 5)) || fail "the guest does not write any more"
	guest_verify "$(orders $1)" blocks
}

for mode in pages opaque; do
	stopped_guest a
	for point in src-pre-switchover before-SRC_COMMITTED; do # a move that fails leaves it as it stood
		move_until local $point:stop --ram-mode $mode
		kill_now "$(qemu_dst)"
		fault_continue
		move_wait 1
		assert_result 'r["guest_text"] == "on the source, paused as it was"' "where it is"
		# QEMU may forget with the end of a migration why the guest stood (7.2 always does): the same request fails once more
		[[ $(status_of "$DIR/a.mon") == io-error ]] || qmp "$DIR/a.mon" '{"execute": "cont"}' >/dev/null
		wait_for 60 eval '[[ $(status_of "$DIR/a.mon") == io-error ]]' || fail "its state is $(status_of "$DIR/a.mon")"
	done
	move a local --ram-mode $mode
	wait_event 'ev["event"] == "notice" and "let it go on (QMP cont)" in ev["text"]' >/dev/null
	assert_eq "$(status_of "$(monitor a)")" io-error "run state after the move"
	goes_on a "$(monitor a)"
	guest_stop a
	rm -rf "$DIR"/full/*
done

stopped_guest c
storage "${GUEST_PID[c]}" --disk "d0-dev=$DIR/new/a.raw"
assert_result "'stands, stopped by an I/O error' in r['guest_text']" "words for the guest"
goes_on c "$DIR/c.mon"
guest_stop c

truncate -s 16M "$DIR/b.raw"
MEM=128 WITNESS="ram_mb=8 disks=vda disk_mb=8" tiny_launch b $(guest_drive d0 "$DIR/b.raw" raw) $(second_monitor b) -S
wait_for 60 monitor_answers "$DIR/b.mon"
move b local
assert_eq "$(status_of "$(monitor b)")" prelaunch "run state after the move"
qmp "$(monitor b)" '{"execute": "cont"}' >/dev/null
wait_for 60 grep -aq "witness ready" "$(dirname "$(orders b)")/b.console" || fail "the guest does not boot"
guest_verify "$(orders b)" blocks
