#!/bin/bash
# A guest that an error stops during its move (its disk's file system is full; it panics) stays at the source, as it is, and the reason is
# told: live, quick, warm. Disks that go to other images of the same host go on, and the result says how the guest is. An export with memory ends.
# timeout: 300
. "$(dirname "$0")/../../lib/storage.sh"

mkdir "$DIR/full" "$DIR/new"
mount -t tmpfs -o size=80M none "$DIR/full" 2>/dev/null || skip "no right to mount a tmpfs"
at_exit "umount -l $DIR/full"
guest() {
	head -c 24M /dev/urandom >"$DIR/full/a.raw"
	truncate -s 64M "$DIR/full/a.raw"
	MEM=128 WITNESS="ram_mb=8 rate=100 disks=vda disk_mb=60 disk_rate=15 button=1" tiny_start a $(guest_drive d0 "$DIR/full/a.raw" raw) \
		$(second_monitor a) -device pvpanic -action panic=pause
}

fills_up() { # returns when the guest has been stopped for that
	head -c 80M /dev/zero >"$DIR/full/filler" 2>/dev/null || true
	wait_for 60 eval '[[ $(status_of "$DIR/a.mon") == io-error ]]' || fail "the guest is not stopped: $(status_of "$DIR/a.mon")"
}

goes_on() {
	rm -f "$DIR/full/filler"
	qmp "$DIR/a.mon" '{"execute": "cont"}' RESUME >/dev/null
	wait_for 60 has_disk_ops a $(($(disk_ops a) + 5)) || fail "the guest does not write any more"
}

stays() { # RUN-STATE
	move_wait 1
	assert_result "r['stopped_by'] == '$1' and r['where'] == 'source' and '$1' in r['reason']" "what stopped the guest"
	assert_result "'an error has stopped it' in r['guest_text']" "words for the guest"
	wait_event "ev['event'] == 'notice' and 'run state $1' in ev['text']" >/dev/null
	assert_eq "$(status_of "$DIR/a.mon")" "$1" "run state after the move"
}

# while it is copied
guest
for how in live warm; do
	move_start a local --how $how --bwlimit 1M
	wait_for 60 is_moving_with a 's["stage"] == "copy"' || fail "it is not copied"
	fills_up
	stays io-error
	goes_on
done

# stopped first: it is so before its move can stop it
fault src-stop-noted stop
move_start a local --how quick
fault_wait
fills_up
fault_continue
stays io-error
goes_on

# the disk alone, to where there is room
storage_start "${GUEST_PID[a]}" --disk "d0-dev=$DIR/new/a.raw" --bwlimit 1M
wait_event 'ev["event"] == "stage" and ev["stage"] == "copy"' >/dev/null
fills_up
vmferry set "${GUEST_PID[a]}" bwlimit=0 >/dev/null
storage_wait
assert_result "'stands, stopped by an I/O error' in r['guest_text'] and r['exit_code'] == 0" "words for the guest"
goes_on

# panicked
move_start a local --bwlimit 1M
wait_for 60 is_moving_with a 's["stage"] == "copy"' || fail "it is not copied"
qmp "$DIR/a.mon" '{"execute": "human-monitor-command", "arguments": {"command-line": "o /b 0x505 1"}}' >/dev/null
stays guest-panicked
guest_stop a

# told to shut down: it may do so later, and is said to
guest
fault src-power-noted stop
move_start a local --how warm
fault_wait
fills_up
fault_continue
stays io-error
wait_event 'ev["event"] == "notice" and "if it still does so later, nothing starts it again" in ev["text"]' >/dev/null
