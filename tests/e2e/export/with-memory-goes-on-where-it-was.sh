#!/bin/bash
# A busy guest is exported with its memory while it runs, and imported it goes on where it was: every page and every block is what its memory says that
# it last wrote, so memory and disks are of one moment. The original runs on, with its QEMU's settings as they were; also if the exporter is
# killed at the moment in which it stands, or told to end before, or is stopped (SIGSTOP) then and nobody lets it go on.
# timeout: 300
# takes: 45
# tier: gate
. "$(dirname "$0")/../../lib/export.sh"
exports_memory

settings() {
	qmp "$DIR/$A.mon" '{"execute": "query-migrate-parameters"}'
	qmp "$DIR/$A.mon" '{"execute": "query-migrate-capabilities"}'
}

runs_on() {
	local at
	wait_for 60 eval '[[ $(status_of "$DIR/$A.mon") == running ]]' || fail "the guest stands: $(status_of "$DIR/$A.mon")"
	at=$(pair_written "$DIR/$A.orders")
	wait_for 60 pair_has_written "$DIR/$A.orders" $((at + 20)) || fail "the guest does not write any more"
	guest_verify "$DIR/$A.orders" blocks >/dev/null
}

went_on() { # WRITTEN-BEFORE: the imported guest, whose memory knows what it has written
	assert_eq "$(pair_says "$VMS/$A.orders" found)" "$found" "what it found at its start"
	[[ $(pair_written "$VMS/$A.orders") -ge $1 ]] || fail "it has not gone on where it was"
	guest_verify "$VMS/$A.orders" blocks >/dev/null
	! grep -aqs 'witness ready' "$VMS/$A.console" || fail "it has started anew"
}

guest_disk "$DIR/$A.c" qcow2 32M
WITNESS="rate=1000 disks=vdc disk_mb=16 disk_rate=60" pair_start "$A" $(guest_drive d2 "$DIR/$A.c" qcow2) \
	-netdev user,id=n0 -device virtio-net-pci,netdev=n0
wait_for 60 pair_has_written "$DIR/$A.orders" 50 || fail "the guest does not write"
before=$(settings)
found=$(pair_says "$DIR/$A.orders" found)
written=$(pair_written "$DIR/$A.orders")
export_guest "$A" "$DIR/bundle" --with-memory
runs_on
assert_eq "$(settings)" "$before" "settings"
assert_eq "$(of_ours "$DIR/$A.mon")" "" "what is left in QEMU"

rests "$A"
imports "$DIR/bundle" --name "$ID-new" --start
went_on "$written"
end_process "$IMPORTED"
rm "$VMS"/*
if beyond_gate e2e/export/of-a-running-guest-is-of-one-moment; then
	imports "$DIR/bundle" --name "$ID-new" --paused # again: the bundle is as it was
	assert_eq "$(status_of "$VMS/$A.mon")" paused "state with --paused"
	qmp "$VMS/$A.mon" '{"execute": "cont"}' RESUME >/dev/null
	went_on "$written"
	end_process "$IMPORTED"
	rm "$VMS"/*
	imports "$DIR/bundle" --name "$ID-new" --start --no-memory
	ready_again
	end_process "$IMPORTED"
	rm "$VMS"/*
fi
refuses 3 'goes on where it was: --start' "$DIR/bundle" --name "$ID-new"
refuses 3 '--clone: the guest goes on' "$DIR/bundle" --name "$ID-new" --start --clone
cp -r "$DIR/bundle" "$DIR/bad"
printf x | dd of="$DIR/bad/memory" bs=1 seek=100000 conv=notrunc status=none
refuses 3 'memory is damaged' "$DIR/bad" --name "$ID-new" --start
# a stream of a QEMU that is none, with the right digest: nothing is left of the start that fails
head -c 100000 /dev/urandom >"$DIR/bad/memory"
python3 -S - "$DIR/bad/vmferry-bundle.json" "$(sha256sum "$DIR/bad/memory" | cut -d' ' -f1)" <<-'END'
	import json, sys
	m = json.load(open(sys.argv[1]))
	m["memory"].update(sha256=sys.argv[2], bytes=100000)
	json.dump(m, open(sys.argv[1], "w"))
END
refuses 1 "nothing is left" "$DIR/bad" --name "$ID-new" --start

# through a pipe
goes_on "$A"
written=$(pair_written "$DIR/$A.orders")
vmferry export "$A" - --with-memory --compress 2>"$DIR/export.err" </dev/null | try_import - --name "$ID-piped" --start ||
	fail "$(cat "$DIR/export.err" "$DIR/import.err")"
find_imported
went_on "$written"
end_process "$IMPORTED"
rm "$VMS"/*
runs_on

# killed while the guest stands (without KVM from the beginning), with all its group
mkfifo "$DIR/pipe"
for moment in export-stops-first:paused export-stopped:postmigrate; do
	rm -f "$DIR/stopped"
	cat "$DIR/pipe" >"$DIR/export.out" &
	reader=$!
	kill_at_exit $reader
	set -m
	VMFERRY_FAULT="${moment%:*}:stop:$DIR/stopped" "$BIN/vmferry" export "$A" "$DIR/other" --with-memory </dev/null >"$DIR/pipe" 2>&1 &
	exporter=$!
	set +m
	kill_at_exit $exporter
	wait_for 60 test -s "$DIR/stopped" || fail "the export does not come to its moment: $(<"$DIR/export.out")"
	assert_eq "$(status_of "$DIR/$A.mon")" "${moment#*:}" "state at that moment"
	kill -STOP "${GUEST_PID[$A]}" # the guard waits for it, and keeps nobody else waiting
	kill -KILL -- -$exporter
	wait_for 60 process_is_gone "$reader" || fail "who reads what the exporter writes is kept waiting"
	kill -CONT "${GUEST_PID[$A]}"
	runs_on
	wait_for 60 eval '[[ $(settings) == "$before" ]]' || fail "its QEMU's settings are others now: $(diff <(settings) <(echo "$before"))"
	rm -rf "$DIR/other"
done
# stopped for ever while the guest stands: its guard kills it
rm -f "$DIR/stopped"
VMFERRY_FAULT="export-stops-first:stop:$DIR/stopped" "$BIN/vmferry" export "$A" "$DIR/other" --with-memory </dev/null >"$DIR/export.out" 2>&1 &
exporter=$!
kill_at_exit $exporter
wait_for 60 test -s "$DIR/stopped" || fail "the export does not come to its moment: $(<"$DIR/export.out")"
assert_eq "$(status_of "$DIR/$A.mon")" paused "state while its exporter is stopped"
wait_for 60 process_is_gone $exporter || fail "an exporter that is stopped keeps its guest standing"
runs_on
wait_for 60 eval '[[ $(settings) == "$before" ]]' || fail "its QEMU's settings are others now: $(diff <(settings) <(echo "$before"))"
rm -rf "$DIR/other"
vmferry recover "$A" 2>"$DIR/recover.err" || fail "$(<"$DIR/recover.err")"
assert_eq "$(of_ours "$DIR/$A.mon")" "" "what is left in QEMU"

# killed, and told to end, while memory is copied
for signal in KILL TERM; do
	[[ $signal == TERM ]] || beyond_gate e2e/export/that-fails-harms-no-guest || continue
	export_start "$A" "$DIR/$signal" --with-memory --bwlimit 4M
	wait_for 60 eval '[[ $(qmp "$DIR/$A.mon" "{\"execute\": \"query-migrate\"}") == *\"active\"* ]]' || fail "no memory is copied: $(<"$DIR/export.err")"
	kill -$signal "$EXPORT_PID"
	if [[ $signal == TERM ]]; then
		export_wait 1
		says 'interrupted; nothing is left' "$DIR/export.err"
		[[ ! -e $DIR/TERM ]] || fail "something of it is left"
	else
		wait "$EXPORT_PID" || true
		wait_for 60 eval '[[ $(qmp "$DIR/$A.mon" "{\"execute\": \"query-migrate\"}") == *\"cancelled\"* ]]' || fail "its copying goes on"
	fi
	runs_on
	wait_for 60 eval '[[ $(settings) == "$before" ]]' || fail "its QEMU's settings are others now"
done
vmferry recover "$A" 2>"$DIR/recover.err" || fail "$(<"$DIR/recover.err")"

# a guest that another client has stopped stays stopped
qmp "$DIR/$A.mon" '{"execute": "stop"}' >/dev/null
status=0
vmferry export "$A" "$DIR/paused" --with-memory </dev/null >/dev/null 2>"$DIR/export.err" || status=$?
assert_eq $status 3 "exit code of a paused guest with its memory"
assert_eq "$(status_of "$DIR/$A.mon")" paused "state of a paused guest"
