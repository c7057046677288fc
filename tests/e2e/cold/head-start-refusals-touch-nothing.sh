#!/bin/bash
# A guest whose QEMU has other images than its command line says, or that something starts again as soon as it is down, gets no head start: booted by its
# line, it would be without what it wrote since, or run twice. Nor does one that another vmferry moves, whichever directories that has, or holds. One whose agent is killed while it waits runs on, and nothing is left once that is settled.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

refused() { # PATTERN
	local status=0
	vmferry migrate "${GUEST_PID[a]}" local --disk-dir "$DIR/to" --how cold >"$DIR/said" 2>&1 || status=$?
	assert_eq "$status" 3 "exit code ($(tail -n 2 "$DIR/said"))"
	grep -q -- "$1" "$DIR/said" || fail "the reason is not '$1': $(cat "$DIR/said")"
	[[ ! -e $DIR/to && $(status_of "$(free_monitor a)") == "${RUNS:-running}" ]] || fail "something was touched"
}

head -c 4M /dev/urandom >"$DIR/a.raw"
tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)

# --- something starts it again -----------------------------------------------------------------

guest_stop a
cat >"$DIR/loop.sh" <<-END
	while :; do
		"\$@"
	done
END
ON=(bash "$DIR/loop.sh")
tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)
ON=()
LOOP=${GUEST_PID[a]}
GUEST_PID[a]=$(pgrep -P "$LOOP" -f qemu-system)
kill_at_exit "${GUEST_PID[a]}"
refused "process $LOOP (bash .*) runs the guest's QEMU.*--starter-stopped"
kill -KILL "$LOOP"

# --- its QEMU is held, as a move holds one that has been handed over -------------------------------

kill -STOP "${GUEST_PID[a]}"
status=0
vmferry migrate "${GUEST_PID[a]}" local --disk-dir "$DIR/to" --how cold >"$DIR/said" 2>&1 || status=$?
kill -CONT "${GUEST_PID[a]}"
assert_eq "$status" 3 "exit code where its QEMU is held ($(tail -n 2 "$DIR/said"))"
grep -q "a signal stopped the guest's QEMU .*, as vmferry does when a guest was handed over" "$DIR/said" || fail "it says: $(<"$DIR/said")"

# --- other images than those of its line -----------------------------------------------------------

mv "$DIR/a.raw" "$DIR/b.raw"
cp "$DIR/b.raw" "$DIR/a.raw"
refused "does not have $DIR/a.raw open"
mv "$DIR/b.raw" "$DIR/a.raw"
qmp "$(free_monitor a)" "{\"execute\": \"blockdev-snapshot-sync\", \"arguments\": {\"device\": \"d0\", \"snapshot-file\": \"$DIR/over.qcow2\"}}" >/dev/null
refused "writes to $DIR/over.qcow2, which its command line does not name"
guest_stop a

# --- what is only in a temporary file --------------------------------------------------------------

tiny_start a -snapshot $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)
refused "in a temporary file (-snapshot)"
guest_stop a

# --- a guest that another program is to migrate here -----------------------------------------------

tiny_launch a -incoming defer $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)
wait_for 60 monitor_answers "$(free_monitor a)" || fail "QEMU does not start"
RUNS=inmigrate refused "waits for the guest, which another program migrates here"
guest_stop a

# --- a snapshot is made while the guest is waited for ----------------------------------------------

rm -f "$DIR/over.qcow2"
tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)
move_start a local --how cold --hold
wait_event 'ev["event"] == "notice" and "until it is shut down" in ev["text"]' >/dev/null
VMFERRY_STATE_DIR=$DIR/other-state VMFERRY_RUNTIME_DIR=$DIR/other-run refused "a move of this guest is under way already"
qmp "$(free_monitor a)" "{\"execute\": \"blockdev-snapshot-sync\", \"arguments\": {\"device\": \"d0\", \"snapshot-file\": \"$DIR/over.qcow2\"}}" >/dev/null
move_wait 4
assert_result '"which its command line does not name" in r["reason"] and r["guest"] == "source"'
vmferry recover a >/dev/null 2>&1 || true
guest_stop a

# --- somebody migrates the guest away by QEMU itself, and ends its QEMU at once ---------------------

tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)
move_start a local --how cold --hold
wait_event 'ev["event"] == "notice" and "until it is shut down" in ev["text"]' >/dev/null
kill -STOP "$MOVE_PID" # the move looks once a second, and all of this may lie between two looks
qmp "$(free_monitor a)" '{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}' >/dev/null
wait_for 60 eval '[[ $(status_of "$(free_monitor a)") == postmigrate ]]' || fail "it is not migrated: $(status_of "$(free_monitor a)")"
qmp "$(free_monitor a)" '{"execute": "quit"}' >/dev/null
wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "its QEMU does not end"
kill -CONT "$MOVE_PID"
move_wait 6
assert_result '"may have migrated it away" in r["reason"] and r["guest"] == "undecided"'
bash -n "$(result 'r["start_here"]')" || fail "no script starts it here"

# --- the agent is killed while it waits --------------------------------------------------------------

tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)
move_start a local --how cold --hold
wait_event 'ev["event"] == "notice" and "until it is shut down" in ev["text"]' >/dev/null
kill -KILL "$MOVE_PID"
wait_for 60 process_is_gone "$MOVE_PID" || fail "it is not killed"
[[ $(status_of "$(free_monitor a)") == running ]] || fail "the guest does not run on"
vmferry recover a >"$DIR/said" 2>&1 || true
wait_for 30 eval '! pgrep -f "vmferry-dst.*$DIR" >/dev/null' || true
vmferry recover a >>"$DIR/said" 2>&1 || true
[[ -z $(ls "$TO") ]] || fail "something is left: $(ls "$TO"), and recover says: $(cat "$DIR/said")"
[[ $(status_of "$(free_monitor a)") == running ]] || fail "the guest does not run on"
