#!/bin/bash
# The destination agent dies during the copy: rolled back. vmferry dies before and after COMMITTED: `vmferry recover` knows
# from its journal how host-b is reached, wherever it is called.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
on_b umount "$TOP/build/guest"
ssh_guest
on_a mkdir -m 700 "$HOME_A/keys"
mv "$(at_a "$HOME_A/.ssh/id_ed25519")" "$(at_a "$HOME_A/keys/mine")"
remember

start() { # OPTION...: with a key that is named from where we are
	WD=$(at_a "$HOME_A") ssh_move_start a root@host-b -i keys/mine "$@"
}

start "${SLOW_DISKS[@]}"
while_disks
kill -KILL "$(agent_on_b)"
move_wait 1
assert_result '"lost the destination" in r["reason"] or "data connection to the destination" in r["reason"]'
assert_as_remembered

if beyond_gate e2e/kill/guard-takes-the-guest-back; then
	start "${SLOW_DISKS[@]}"
	while_disks
	kill_now "$MOVE_PID"
	ssh_recover 1
	assert_as_remembered
fi

fault after-SRC_COMMITTED
start
fault_wait
assert_eq "$(find "$VMFERRY_STATE_DIR" -name '*.journal' | wc -l)" 1 "unfinished journals"
ssh_recover 0
adopt_on_b
assert_arrived
