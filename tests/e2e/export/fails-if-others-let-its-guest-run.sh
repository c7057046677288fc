#!/bin/bash
# While a guest stands so that its memory and its disks are of one moment, somebody lets it run: the export fails, as they would be of two. Who has stopped
# it himself, before the export does, keeps it stopped.
# timeout: 240
. "$(dirname "$0")/../../lib/export.sh"
exports_memory

fails() { # FAULT BEFORE DO AFTER TEXT: at that point, where it is BEFORE, somebody does that; it is AFTER then
	rm -f "$DIR/stopped"
	VMFERRY_FAULT="$1:stop:$DIR/stopped" "$BIN/vmferry" export "$A" "$DIR/bundle" --with-memory </dev/null >"$DIR/export.out" 2>"$DIR/export.err" &
	EXPORT_PID=$!
	kill_at_exit $EXPORT_PID
	wait_for 60 test -s "$DIR/stopped" || fail "the export does not come to $1: $(<"$DIR/export.err")"
	assert_eq "$(status_of "$DIR/$A.mon")" "$2" "state at $1"
	for what in $3; do qmp "$DIR/$A.mon" "{\"execute\": \"$what\"}" >/dev/null; done
	kill -CONT $EXPORT_PID
	export_wait 1
	says "$5.*; nothing is left behind" "$DIR/export.err"
	assert_eq "$(status_of "$DIR/$A.mon")" "$4" "state after the export, which $1"
	[[ ! -e $DIR/bundle ]] || fail "left there: $(ls -A "$DIR/bundle")"
	assert_eq "$(of_ours "$DIR/$A.mon")" "" "what is left in QEMU"
	assert_eq "$(qmp "$DIR/$A.mon" '{"execute": "query-migrate-parameters"}')" "$settings" "settings"
}

pair_start "$A"
settings=$(qmp "$DIR/$A.mon" '{"execute": "query-migrate-parameters"}')
fails export-stops-first paused cont running 'another client resumed the guest'
fails export-stops-first paused "cont stop" paused 'another client resumed the guest'
goes_on "$A"
fails export-stopped postmigrate cont running 'another client resumed the guest'
fails export-memory running stop paused "another client stopped the guest: its state is 'paused'"
goes_on "$A"
export_guest "$A" "$DIR/bundle" --with-memory
guest_verify "$DIR/$A.orders" >/dev/null

# Somebody migrates it away while it stands for the export, whose agent dies then: that migration is not the export's to end, nor is the guest let run after
# it.
rm -rf "$DIR/stopped" "$DIR/bundle"
VMFERRY_FAULT="export-stops-first:stop:$DIR/stopped" "$BIN/vmferry" export "$A" "$DIR/bundle" --with-memory </dev/null &>"$DIR/export.out" &
EXPORT_PID=$!
kill_at_exit $EXPORT_PID
wait_for 60 test -s "$DIR/stopped" || fail "the export does not stop the guest: $(<"$DIR/export.out")"
qmp "$DIR/$A.mon" '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 100000}}' >/dev/null # until the guard puts that back
qmp "$DIR/$A.mon" '{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}' >/dev/null
kill -KILL $EXPORT_PID
wait_for 60 eval '[[ $(status_of "$DIR/$A.mon") == postmigrate ]]' || fail "it is not migrated away: $(status_of "$DIR/$A.mon")"
assert_eq "$(status_of "$DIR/$A.mon")" postmigrate "the guest that is elsewhere"
