#!/bin/bash
# A full disk at the bundle's place, a signal, or SIGKILL in the middle of an export: the guest runs on, loses nothing, and no write of its
# fails. What a killed exporter leaves in its QEMU the next export, or recover, removes; not what one that lives has there. An export and a move
# of the same guest do not go together.
# timeout: 300
# takes: 35
# tier: gate
. "$(dirname "$0")/../../lib/export.sh"

runs_on() {
	local at
	at=$(pair_written "$DIR/$A.orders")
	wait_for 60 pair_has_written "$DIR/$A.orders" $((at + 50)) || fail "the guest does not write any more"
	assert_eq "$(status_of "$DIR/$A.mon")" running "state"
	guest_verify "$DIR/$A.orders" blocks >/dev/null
}

begins() { # TO [OPTION...]
	export_start "$A" "$@" --bwlimit 1M
	wait_for 60 is_copying "$A" || fail "nothing is copied: $(cat "$DIR/export.err")"
}

# one more disk, written everywhere: a write of a block that is not copied yet waits for the bundle's file
guest_disk "$DIR/$A.c" raw 32M
head -c 32M /dev/urandom >"$DIR/$A.c"
WITNESS="disks=vdc disk_mb=0 disk_rate=60 discard=0" pair_start "$A" $(guest_drive d2 "$DIR/$A.c" raw)

# full
mkdir "$DIR/small"
if mount -t tmpfs -o size=120M none "$DIR/small" 2>/dev/null; then
	at_exit "umount $DIR/small"
	for how in "" --compress; do
		begins "$DIR/small/bundle" $how
		! head -c 120M /dev/zero 2>/dev/null >"$DIR/small/filler" || fail "the tmpfs is not full"
		runs_on
		export_wait 1
		says 'cannot be written: No space left' "$DIR/export.err"
		[[ ! -e $DIR/small/bundle ]] || fail "left there: $(ls -A "$DIR/small/bundle")"
		assert_eq "$(of_ours "$DIR/$A.mon")" "" "what is left in QEMU"
		[[ -z $how ]] || break
		rm "$DIR/small/filler"
	done
	status=0
	vmferry export "$A" "$DIR/small/bundle" </dev/null >"$DIR/export.out" 2>"$DIR/export.err" || status=$?
	assert_eq $status 3 "exit code where it is full already"
else
	echo "skipped: no right to mount a tmpfs"
fi

is_not_synced() { # no node of the bundle's disks is by QEMU, whose main loop would wait for that
	qmp "$DIR/$A.mon" '{"execute": "query-named-block-nodes", "arguments": {"flat": true}}' | python3 -S -c 'import json, sys
ours = [n for n in json.load(sys.stdin) if sys.argv[1] in n.get("file", "") and n["drv"] in ("file", "qcow2")]
assert len(ours) == 6 and all(n["cache"]["no-flush"] for n in ours), ours' "$DIR/one/"
}

# somebody ends a job: what it has copied is no disk
begins "$DIR/one"
job=$(qmp "$DIR/$A.mon" '{"execute": "query-jobs"}' | grep -o 'vmferry-x[^"]*-j1')
qmp "$DIR/$A.mon" "{\"execute\": \"job-cancel\", \"arguments\": {\"id\": \"$job\"}}" >/dev/null
export_wait 1
says 'cannot be copied: its job was cancelled' "$DIR/export.err"
[[ ! -e $DIR/one ]] || fail "left there: $(ls -A "$DIR/one")"
assert_eq "$(of_ours "$DIR/$A.mon")" "" "what is left in QEMU"
runs_on

# a signal
begins "$DIR/one"
is_not_synced || fail "QEMU syncs a disk of the bundle"
kill -TERM "$EXPORT_PID"
export_wait 1
says 'interrupted; nothing is left' "$DIR/export.err"
[[ ! -e $DIR/one ]] || fail "left there: $(ls -A "$DIR/one")"
assert_eq "$(of_ours "$DIR/$A.mon")" "" "what is left in QEMU"
runs_on

# killed
for how in recover export; do
	begins "$DIR/$how"
	kill -KILL "$EXPORT_PID"
	wait "$EXPORT_PID" || true
	[[ -n $(of_ours "$DIR/$A.mon") ]] || fail "there is nothing in QEMU that could be removed"
	runs_on
	status=0
	vmferry import "$DIR/$how" --disk-dir "$VMS" </dev/null >/dev/null 2>"$DIR/import.err" || status=$?
	assert_eq $status 3 "exit code of the import of what was not finished"
	says 'not finished' "$DIR/import.err"
	if [[ $how == recover ]]; then
		status=0
		vmferry recover "$A" >"$DIR/recover.out" 2>"$DIR/recover.err" || status=$?
		assert_eq $status 0 "exit code of recover"
		says 'recovered: ' "$DIR/recover.out"
		[[ ! -e $DIR/$how ]] || fail "left there: $(ls -A "$DIR/$how")"
	else
		export_guest "$A" "$DIR/after"
		says 'an export that was cut off had left' "$DIR/export.out"
	fi
	assert_eq "$(of_ours "$DIR/$A.mon")" "" "what is left in QEMU"
	runs_on
done

# a live process's remnants stay
begins "$DIR/lives"
status=0
vmferry recover "$A" 2>"$DIR/recover.err" || status=$?
assert_eq $status 4 "exit code of recover while an export is under way"
says "is still under way: vmferry status" "$DIR/recover.err"
says "an export of this guest is under way" "$DIR/recover.err" # remnants of the other, killed export may look alike
status=0
vmferry migrate "$A" local --disk-dir "$VMS" </dev/null >/dev/null 2>"$DIR/move.log" || status=$?
assert_eq $status 3 "exit code of a move while an export is under way"
kill -INT "$EXPORT_PID"
export_wait 1
runs_on

# a job of somebody else's
qmp "$DIR/$A.mon" "{\"execute\": \"drive-backup\", \"arguments\": {\"job-id\": \"theirs\", \"device\": \"d0\", \"target\": \"$DIR/theirs\", \"sync\": \"full\", \"speed\": 65536}}" >/dev/null
status=0
vmferry export "$A" "$DIR/second" </dev/null >/dev/null 2>"$DIR/export.err" || status=$?
assert_eq $status 3 "exit code while a block job runs"
says 'a block job is running' "$DIR/export.err"
[[ $(qmp "$DIR/$A.mon" '{"execute": "query-jobs"}') == *theirs* ]] || fail "the job of somebody else's is gone"
runs_on
