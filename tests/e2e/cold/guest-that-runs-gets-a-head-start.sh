#!/bin/bash
# A guest that runs without any monitor goes cold by its pid: its disk is copied while a database writes to it, and grows; then it is waited for until it is
# down. What has changed since follows, it boots there with all rows that it had committed, and has a QMP monitor there. One that is told to shut down by its
# QMP monitor needs nobody, also where it came by a live move, and what does not go down in time runs on here.
# timeout: 240
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"

NAME=cold-$$ # unique, as the socket in /run has this name

rows() { # prints how many were checked
	local said
	said=$(guest_verify "$(orders "$NAME")" blocks) || fail "the database is damaged"
	sed -n 's/.* blocks_checked=\([0-9]*\) .*/\1/p' <<<"$said"
}

start_cold() { # [OPTION...]
	move_start "$NAME" local --how cold "$@"
	wait_event 'ev["event"] == "notice" and "disks are at the destination:" in ev["text"]' >/dev/null
}

wait_cold() { # [STATUS]
	local status=0
	wait_for 120 process_is_gone "$MOVE_PID" || fail "the move does not end"
	wait "$MOVE_PID" || status=$?
	assert_eq "$status" "${1:-0}" "exit code ($(tail -n 2 "$DIR/move.json"))"
	assert_result 'len([ev for ev in events if ev["event"] == "result"]) == 1' "one result"
}

# --- without a monitor: its owner shuts it down --------------------------------------------------

guest_ext4 "$DIR/a.qcow2" qcow2 64M
NO_QMP=yes MEM=256 WITNESS="ram_mb=8 rate=0 db=vda db_rate=0" guest_start "$NAME" $(guest_drive d0 "$DIR/a.qcow2" qcow2)
at_exit "rm -f /run/$NAME.qmp"
OLD=${GUEST_PID[$NAME]}
vmferry check "$OLD" local --disk-dir "$DIR/d1" --how cold >"$DIR/check" || fail "check refuses it: $(cat "$DIR/check")"
grep -q "(pid $OLD), which runs, cold to" "$DIR/check" || fail "check says: $(cat "$DIR/check")"
[[ ! -e $DIR/d1 ]] || fail "check has made something"
start_cold
vmferry status "$NAME" | grep -q "$NAME (pid $OLD).*, waiting for the guest to be shut down$" || fail "status says: $(vmferry status "$NAME")"
before=$(rows)
guest_order "$(orders "$NAME")" poweroff >/dev/null || true
wait_cold
guest_adopt "$NAME" "$(result 'r["started_pid"]')" # the QEMU's orders socket has its old name, which no file has any more
wait_for 120 grep -aqs '^witness ready' "$TO/$NAME.console" || fail "it does not boot there: $(tail -n 3 "$TO/$NAME.console")"
after=$(rows)
echo "rows: $before before, $after after"
[[ $before -gt 0 && $after -ge $before ]] || fail "rows are gone"
assert_result 'r["away_ms"] > 0 and r["disks"][0]["bytes_kept"] > 0 and r["ahead"]["passes"] > 1 and r["ahead"]["bytes_wire"] > 0'
! grep -q 'the old copy .* was read in' "$DIR/move.log" || fail "it is told what it has sent itself"
vmferry history "$NAME" | grep -q 'migrated (cold) in .* after a head start of' || fail "history: $(vmferry history)"
tr '\0' ' ' <"/proc/${GUEST_PID[$NAME]}/cmdline" | grep -q -- "-qmp unix:/run/$NAME.qmp" || fail "it has no monitor there"
[[ -z $(find "$TO" -name '*partial*') ]] || fail "something is left: $(ls "$TO")"

# --- with one that can tell it, and that it does not obey: it came here as it ran ----------------------

move "$NAME" local
start_cold --shutdown-timeout 1
wait_cold 4
assert_result '"did not shut down within 1 s" in r["reason"] and r["guest"] == "source"'
wait_for 60 has_disk_ops "$NAME" $(($(disk_ops "$NAME") + 10)) || fail "the guest does not run on"
[[ -n $(find "$TO" -name '*partial*') ]] || fail "what has arrived is not kept"
vmferry recover "$NAME" >"$DIR/recover" 2>&1 || true
[[ -z $(find "$TO" -name '*partial*') ]] || fail "recover does not remove it: $(cat "$DIR/recover")"
