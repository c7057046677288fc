#!/bin/bash
# A guest is not had back (--revert-within) if another copy of it may run, or if its disks here are not as it left them; and what is held here
# does not end before the destination has said that it has the guest.
# timeout: 400
# takes: 45
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

is_told() { # TEXT
	wait_event "ev['event'] == 'notice' and '$1' in ev['text']" >/dev/null
}

guest_a

# The guest does not go on from there, whatever became of the mark beside its disk.
moved_for_now listener
mkdir "$DIR/onward"
status=0
mv "$TO/.a.raw.vmferry-held" "$DIR/mark"
VMFERRY_STATE_DIR=$DIR/dst-state vmferry migrate "$there" local --disk-dir "$DIR/onward" 2>"$DIR/onward.log" || status=$?
assert_eq "$status" 3 "exit code of a move onward"
said onward.log 'may have it back.*vmferry keep a, there'
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the source's QEMU is held"
mv "$DIR/mark" "$TO/.a.raw.vmferry-held"

# Nor by a vmferry that knows nothing of its move, in whatever way.
refused_elsewhere() { # OPTION...
	status=0
	VMFERRY_STATE_DIR=$DIR/other-state vmferry migrate --disk-dir "$DIR/onward" "$@" 2>"$DIR/onward.log" || status=$?
	assert_eq "$status" 3 "exit code with another state directory"
	said onward.log 'may have it back.*vmferry keep a, there'
}
refused_elsewhere "$there" local
refused_elsewhere "$there" local --how warm

# Nor does what is held here go anywhere, by a vmferry that waits for the end of its QEMU.
status=0
VMFERRY_STATE_DIR=$DIR/other-state VMFERRY_RUNTIME_DIR=$DIR/other-run vmferry migrate "${GUEST_PID[a]}" local --how cold --disk-dir "$DIR/onward" \
	2>"$DIR/onward.log" || status=$?
assert_eq "$status" 3 "exit code of a cold move of what is held"
said onward.log 'a move of this guest is under way already'

# Nor when it is shut down.
kill_now "$there"
refused_elsewhere local --how cold -- "$QEMU" -accel tcg -machine q35 -m 64 -name a -drive "file=$TO/a.raw,format=raw,if=virtio"
status=0
mv "$TO/.a.raw.vmferry-held" "$DIR/mark"
VMFERRY_STATE_DIR=$DIR/dst-state vmferry migrate local --how cold --disk-dir "$DIR/onward" \
	-- "$QEMU" -accel tcg -machine q35 -m 64 -name a -drive "file=$TO/a.raw,format=raw,if=virtio" 2>"$DIR/onward.log" || status=$?
assert_eq "$status" 3 "exit code of a cold move onward"
said onward.log 'may have it back.*vmferry keep a, there'
mv "$DIR/mark" "$TO/.a.raw.vmferry-held"

# Nor when somebody has started it again.
"$QEMU" -accel tcg -machine q35 -m 64 -name a -display none -nodefaults -drive "file=$TO/a.raw,format=raw,if=virtio" \
	-qmp "unix:$DIR/again.qmp,server=on,wait=off" </dev/null &>"$DIR/again.log" &
again=$!
kill_at_exit "$again"
wait_for 60 eval '[[ $(status_of "$DIR/again.qmp") == running ]]' || fail "it does not start again: $(<"$DIR/again.log")"
status=0
VMFERRY_STATE_DIR=$DIR/dst-state vmferry migrate "$again" local --disk-dir "$DIR/onward" 2>"$DIR/onward.log" || status=$?
assert_eq "$status" 3 "exit code of a move onward of what was started again"
said onward.log 'may have it back.*vmferry keep a, there'
end_process "$again"

vmferry revert --no-wait a
move_wait 1
guest_verify "$(orders a)" blocks
moved_for_now listener

# The disk here has another name: its state is unknown.
mv "$DIR/a.raw" "$DIR/elsewhere.raw"
vmferry revert --no-wait a
is_told 'has the name of its disk'
mv "$DIR/elsewhere.raw" "$DIR/a.raw"

# Somebody writes to its disk here, which its QEMU has let go of.
date >>"$DIR/a.raw"
vmferry revert --no-wait a
is_told 'has been written here'
process_is_gone "$there" && fail "the destination's QEMU was ended"
truncate -s 16M "$DIR/a.raw"
vmferry keep --no-wait a
move_wait
assert_moved

# QEMU itself has migrated it on.
migrated_on() { # [COMMAND BEFORE]
	moved_for_now listener
	[[ $# -eq 0 ]] || qmp "$TO/a.mon" "{\"execute\": \"$1\"}" >/dev/null
	qmp "$TO/a.mon" '{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [{"capability": "return-path", "state": false}]}}' >/dev/null
	qmp "$TO/a.mon" '{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}' >/dev/null
	wait_for 60 eval '[[ $(status_of "$TO/a.mon") == postmigrate ]]' || fail "it is not migrated away: $(status_of "$TO/a.mon")"
}

migrated_on
vmferry revert --no-wait a
move_wait 6
assert_result '"migrated away" in r["reason"]'
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the source's QEMU is held"
process_is_gone "$there" && fail "the destination's QEMU was ended"
kill_now "$there" # a person ends what stands there, and knows that nothing came of it
end_agents_there
DST_PID=
recover 4 --peer-is-fenced
guest_verify "$(orders a)" blocks
rm -rf "$DIR/dst-state" "$DIR/dst-run"

# Memory is on its way there, and QEMU says that the guest runs.
gone_on() { "$BIN/vmferry" journal "$DIR"/dst-state/*-dst.journal | grep gone-on | tail -n 1; }
moved_for_now listener
qmp "$TO/a.mon" '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 4096}}' >/dev/null
qmp "$TO/a.mon" '{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}' >/dev/null
wait_for 60 eval '[[ $(gone_on) == *true* ]]' || fail "it is not noted that it goes on: $(gone_on)"
assert_eq "$(status_of "$TO/a.mon")" running "what QEMU says of the guest"
vmferry revert --no-wait a
move_wait 6
assert_result '"migrated away" in r["reason"]'
assert_eq "$(status_of "$TO/a.mon")" running "what QEMU says of the guest"
kill_now "$there"
end_agents_there
DST_PID=
recover 4 --peer-is-fenced
guest_verify "$(orders a)" blocks
rm -rf "$DIR/dst-state" "$DIR/dst-run"

# The QEMU has ended then; it had been stopped first.
migrated_on stop
qmp "$TO/a.mon" '{"execute": "quit"}' >/dev/null
is_told 'its QEMU there has ended since'
vmferry revert --no-wait a
move_wait 6
assert_result '"migrated away" in r["reason"]'
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the source's QEMU is held"
end_agents_there
DST_PID=
recover 4 --peer-is-fenced
guest_verify "$(orders a)" blocks
rm -rf "$DIR/dst-state" "$DIR/dst-run"

# A QEMU that hangs there, and did not migrate it before, is ended; a migration that came to nothing is none.
moved_for_now listener
qmp "$TO/a.mon" '{"execute": "migrate", "arguments": {"uri": "exec:exit 1"}}' >/dev/null
wait_for 60 eval '[[ $(gone_on) == *false* ]]' || fail "it is not noted that it has stayed: $(gone_on)"
kill -STOP "$there"
vmferry revert --no-wait a
move_wait 1
process_is_gone "$there" || fail "the destination's QEMU is still there"
guest_verify "$(orders a)" blocks
end_agents_there
DST_PID=
rm -rf "$DIR/dst-state" "$DIR/dst-run"

# No agent there knows the guest any more: the held guest here stays.
moved_for_now listener
kill_now "$DST_PID"
end_agents_there
rm -f "$DIR"/dst-state/*.journal*
DST_PID=
listen_dst --listen "$DEST"
vmferry keep --no-wait a || true # the agent may have asked there by itself, and ended
move_wait 6
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the source's QEMU is held"
kill_now "$there"
recover 1 --peer-is-fenced
assert_eq "$(status_of "$(free_monitor a)")" running "QEMU's run state"
guest_verify "$(orders a)" blocks

# The guest has ended there, and the time is over: a person has to decide.
WITHIN=10s moved_for_now listener
kill_now "$there"
is_told 'old QEMU here until you decide'
does_not_come 3 process_is_gone "$MOVE_PID" || fail "the move has ended by itself"
vmferry keep --no-wait a
move_wait 0
process_is_gone "${GUEST_PID[a]}" || fail "the source QEMU is still there"
end_agents_there
DST_PID=
rm -rf "$DIR/dst-state" "$DIR/dst-run"
unset 'GUEST_AT[a]'
rm -f "$DIR"/a.*
guest_a

# The guest has ended there, and its image has another name there: it may have been started from that.
moved_for_now listener
kill_now "$there"
is_told 'its QEMU there has ended since'
mv "$TO/a.raw" "$TO/elsewhere.raw"
vmferry revert --no-wait a
move_wait 6
assert_result '"have other names" in r["reason"]'
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the source's QEMU is held"
rm "$TO/elsewhere.raw"
end_agents_there
DST_PID=
recover 4 --peer-is-fenced
guest_verify "$(orders a)" blocks
rm -rf "$DIR/dst-state" "$DIR/dst-run"

# The guest has ended there, and another process has its disk.
moved_for_now listener
kill_now "$there"
hold_open "$TO/a.raw"
is_told 'its QEMU there has ended since'
vmferry revert --no-wait a
move_wait 6
assert_result '"may have been started again" in r["reason"]'
end_process "$HOLDER"
recover 0 --dest "$DST_ADDRESS"
process_is_gone "${GUEST_PID[a]}" || fail "the source QEMU is still there"
