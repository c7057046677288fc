#!/bin/bash
# A guest that has a human monitor and no QMP goes cold by itself: it is told to shut down there, which one that somebody is connected to is not asked.
# Once it is down its move is tried again while somebody reads its disk, or has replaced it; and if it cannot be moved at all, that is said, and a script starts
# it here as it was.
# takes: 65
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

NAME=cold-$$ # unique, as the socket in /run has this name

cold_start_of() { # NAME
	move_start "$1" local --how cold
	wait_event 'ev["event"] == "notice" and "disks are at the destination:" in ev["text"]' >/dev/null
}

head -c 4M /dev/urandom >"$DIR/a.raw"
at_exit "rm -f /run/$NAME.qmp"
NO_QMP=yes MEM=64 WITNESS="ram_mb=8 rate=100 disks=vda disk_rate=20 button=1" tiny_start "$NAME" $(guest_drive d0 "$DIR/a.raw" raw) -monitor "unix:$DIR/a.hmp,server=on,wait=off"

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
wait_for 60 test -e "$DIR/a.hmp.taken" || fail "nobody is connected to the monitor"
cold_start_of "$NAME"
grep -q "shut the guest down now, from inside" "$DIR/move.json" || fail "a monitor that somebody has was asked: $(cat "$DIR/move.json")"
kill "$MOVE_PID"
wait_for 60 process_is_gone "$MOVE_PID" || fail "the move does not end"
has_disk_ops "$NAME" 1 || fail "the guest does not run on"
end_process "$PERSON"

# --- and afterwards ----------------------------------------------------------------------------------

cold_start_of "$NAME"
grep -q "told to shut down now (the ACPI power button, by its human monitor)" "$DIR/move.json" || fail "it is not told: $(tail -n 2 "$DIR/move.json")"
wait_for 120 process_is_gone "$MOVE_PID" || fail "the move does not end"
assert_result 'r["outcome"] == "migrated" and r["started_pid"] > 0'
guest_adopt "$NAME" "$(result 'r["started_pid"]')"
wait_for 60 grep -aqs '^witness ready' "$TO/$NAME.console" || fail "it does not boot there"

# --- what is in its way once it is down ----------------------------------------------------------------

# A reader that holds the disk for a moment makes the start repeat; if the disk is replaced, the move ends with a script that starts the
# guest here.
start_waiting() {
	move_start "$NAME" local --how cold --hold
	wait_event 'ev["event"] == "notice" and "until it is shut down" in ev["text"]' >/dev/null
}

start_waiting
sleep 1000 9<"$DIR/d2/a.raw" &
READER=$!
kill_at_exit "$READER"
guest_stop "$NAME"
wait_event 'ev["event"] == "notice" and "It is tried again" in ev["text"]' >/dev/null
end_process "$READER"
wait_for 120 process_is_gone "$MOVE_PID" || fail "the move does not end"
assert_result 'r["outcome"] == "migrated" and len([ev for ev in events if ev["event"] == "result"]) == 1'
guest_adopt "$NAME" "$(result 'r["started_pid"]')"
[[ -z $(ls "$VMFERRY_STATE_DIR"/start-*.sh 2>/dev/null) ]] || fail "a script is left: $(ls "$VMFERRY_STATE_DIR")"

image=$DIR/d3/a.raw
start_waiting
kill -STOP "$MOVE_PID" # the move does not see what happens just before the end
guest_stop "$NAME"
mv "$image" "$DIR/b.raw"
cp "$DIR/b.raw" "$image"
kill -CONT "$MOVE_PID"
wait_event 'ev["event"] == "notice" and "is not the file that" in ev["text"]' >/dev/null
mv "$DIR/b.raw" "$image"
wait_for 120 process_is_gone "$MOVE_PID" || fail "the move does not end"
assert_result 'r["outcome"] == "migrated"'
guest_adopt "$NAME" "$(result 'r["started_pid"]')"

# --- the destination is away for good -------------------------------------------------------------------

MOVE_PID=
listen_dst
move_start "$NAME" "$DST_ADDRESS" --how cold --hold
wait_event 'ev["event"] == "notice" and "until it is shut down" in ev["text"]' >/dev/null
guest_stop "$NAME"
kill -KILL "$DST_PID"
wait_for 180 process_is_gone "$MOVE_PID" || fail "the move does not end"
assert_result 'r["exit_code"] == 8 and r["guest"] == "shut-down"'
script=$(result 'r["start_here"]')
grep -q "^exec .*qemu-system-x86_64" "$script" || fail "no script that starts it: $(cat "$script")"
[[ $(stat -c %a "$script") == 700 ]] || fail "others may read what starts it"
sh "$script" >"$DIR/again" 2>&1 &
guest_adopt "$NAME" $!
wait_for 60 monitor_answers /run/$NAME.qmp || fail "it does not start here again: $(cat "$DIR/again")"
