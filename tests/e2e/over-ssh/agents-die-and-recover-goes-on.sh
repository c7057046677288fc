#!/bin/bash
# Over SSH, where no agent stands: vmferry dies while a disk is copied, and `recover --resume`, wherever it is called, logs in with the key that was
# named from where the move was begun, and goes on with what has arrived. Then the agent there dies; the same again.
# timeout: 240
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
on_b umount "$TOP/build/guest"
ssh_guest
guest_order "$(orders a)" quiesce # later writes would travel, too
on_a mkdir -m 700 "$HOME_A/keys"
mv "$(at_a "$HOME_A/.ssh/id_ed25519")" "$(at_a "$HOME_A/keys/mine")"

has_arrived() { # MIB
	[[ -e $TO/a.raw && $(written "$TO/a.raw") -ge $(($1 << 20)) ]]
}

WD=$(at_a "$HOME_A") ssh_move_start a root@host-b -i keys/mine --keep-partial 1h --reconnect-timeout 1 --bwlimit 4M
wait_for 60 has_arrived 6 || fail "nothing arrives: $(tail -n 3 "$DIR/move.log")"
kill_now "$MOVE_PID"

vmferry_on_a recover a --resume --json </dev/null >"$DIR/move.json" 2>"$DIR/recover.log" &
MOVE_PID=$!
kill_at_exit "$MOVE_PID"
wait_for 60 has_arrived 10 || fail "it is not begun again: $(tail -n 3 "$DIR/recover.log")"
kill -KILL "$(agent_on_b)"
move_wait 4
assert_result 'len(r["leftovers"]) == 1 and "is kept until" in r["leftovers"][0]'

status=0
vmferry_on_a recover a --resume --json </dev/null >"$DIR/move.json" 2>"$DIR/recover.log" || status=$?
assert_eq "$status" 0 "exit code of recover --resume ($(tail -n 3 "$DIR/recover.log"))"
adopt_on_b
assert_arrived
assert_result 'r["disks"][0]["bytes_kept"] > 5 << 20 and r["disks"][0]["bytes_wire"] < 11 << 20'
assert_eq "$(ls "$TO" | grep -F vmferry || true)" "" "what is left"
