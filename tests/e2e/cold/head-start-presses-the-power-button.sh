#!/bin/bash
# A guest that has a human monitor and no QMP goes cold by itself: it is told to shut down there, which one that somebody is connected to is not asked.
# takes: 6
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

cold_start_of() { # NAME
	move_start "$1" local --how cold
	wait_event 'ev["event"] == "notice" and "its disks are there" in ev["text"]' >/dev/null
}

head -c 4M /dev/urandom >"$DIR/a.raw"
at_exit "rm -f /run/a.qmp"
NO_QMP=yes MEM=64 WITNESS="ram_mb=8 rate=100 disks=vda disk_rate=20 button=1" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) -monitor "unix:$DIR/a.hmp,server=on,wait=off"

# --- while a person is connected ------------------------------------------------------------------

python3 -S - "$DIR/a.hmp" <<-'END' &
	import socket, sys, time
	s = socket.socket(socket.AF_UNIX)
	s.connect(sys.argv[1])
	s.recv(1)
	open(sys.argv[1] + ".taken", "w").close()
	time.sleep(1000)
END
PERSON=$!
kill_at_exit "$PERSON"
wait_for 20 test -e "$DIR/a.hmp.taken" || fail "nobody is connected to the monitor"
cold_start_of a
grep -q "shut the guest down now, from inside" "$DIR/move.json" || fail "a monitor that somebody has was asked: $(cat "$DIR/move.json")"
kill "$MOVE_PID"
wait_for 60 process_is_gone "$MOVE_PID" || fail "the move does not end"
has_disk_ops a 1 || fail "the guest does not run on"
end_process "$PERSON"

# --- and afterwards ----------------------------------------------------------------------------------

cold_start_of a
grep -q "told to shut down now (the ACPI power button, by its human monitor)" "$DIR/move.json" || fail "it is not told: $(tail -n 2 "$DIR/move.json")"
wait_for 120 process_is_gone "$MOVE_PID" || fail "the move does not end"
assert_result 'r["outcome"] == "migrated" and r["started_pid"] > 0'
guest_adopt a "$(result 'r["started_pid"]')"
wait_for 60 grep -aqs '^witness ready' "$TO/a.console" || fail "it does not boot there"
