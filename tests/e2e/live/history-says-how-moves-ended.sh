#!/bin/bash
# How a move ended is known when its terminal is gone: by status, history, and a page of it. What was refused before anything was changed is not
# among that.
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

says() { # TEXT
	grep -qF -- "$1" "$DIR/said" || fail "not '$1': $(<"$DIR/said")"
}

guest_disk "$DIR/a.raw" raw 16M
MEM=128 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=4 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)
move_start a local --disk-dir "$DIR/nowhere/at/all"
move_wait 3
vmferry status >"$DIR/said"
! grep -q ended "$DIR/said" || fail "what was refused is remembered: $(<"$DIR/said")"
vmferry history >"$DIR/said"
says "no move from this host has ended lately"

move_start a local --hold
wait_event 'ev["event"] == "notice" and "vmferry switch" in ev["text"]' >/dev/null
kill -TERM "$MOVE_PID"
move_wait 1
mkdir "$DIR/to"
vmferry migrate "${GUEST_PID[a]}" local --disk-dir "$DIR/to" --detach </dev/null >"$DIR/said" 2>&1 || fail "$(<"$DIR/said")"
wait_for 60 eval '[[ $(vmferry history a | wc -l) -eq 2 ]]' || fail "the history is: $(vmferry history)"
vmferry history >"$DIR/said"
says "a -> local, "
says ": rolled-back (live) in "
says ": migrated (live) in "
vmferry status >"$DIR/said"
says "ended: a -> local, "
[[ $(vmferry history nobody) == "no move of that guest"* ]] || fail "nobody has moved: $(vmferry history nobody)"
vmferry history --json | python3 -S -c '
import json, sys
first, last = map(json.loads, sys.stdin)
assert first["result"]["outcome"] == "rolled-back" and last["result"]["outcome"] == "migrated", (first, last)
assert last["plan"]["guest"] == last["guest"] == "a" and "command_line" not in last["plan"] and last["at"] > 1e9, last
' || fail "$(vmferry history --json)"
(cd "$DIR" && vmferry report --last a) >"$DIR/said" 2>&1 || fail "$(<"$DIR/said")"
says "a-move.html"
grep -q "<html" "$DIR/a-move.html" || fail "that is no page"
pid=$(vmferry history --json a | tail -n 1 | sed 's/.*"destination_pid":\([0-9]*\).*/\1/')
guest_adopt a "$pid"
guest_verify "$DIR/to/a.orders" blocks
guest_stop a
