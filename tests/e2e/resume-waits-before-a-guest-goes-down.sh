#!/bin/bash
# While a network is known to be away no guest is stopped to be moved, or told to shut down, though that was asked for; and a move that has nothing
# to send, as it waits for its time, has as much patience with the second outage as with the first.
# timeout: 300
. "$(dirname "$0")/../lib/over-ssh.sh"
. "$(dirname "$0")/../lib/outage.sh"
hosts_start
WITNESS='ram_mb=32 rate=100 disks=vda disk_mb=8 disk_rate=0 button=1'
ssh_guest
ssh_guest b
ON=(on_a)

goes_away() {
	mapfile -t ports < <(ports_of_move)
	[[ ${#ports[@]} -ge 1 ]] || fail "there is no connection"
	on_b ip link set to-a down
	reset_at on_a "${ports[@]}"
	wait_event 'ev["event"] == "notice" and "no connection to the destination" in ev["text"]' >/dev/null
}

comes_back() { # COUNT
	on_b ip link set to-a up
	wait_for 40 has_outages "$1" || fail "not connected again: $(tail -n 5 "$DIR/move.log")"
}

is_away() { # MS
	wait_event 'ev["event"] == "progress" and ev.get("outages", {}).get("ms", 0) > '"$1" >/dev/null
}

runs_here() { # NAME
	[[ $(status_of "$(free_monitor "$1")") == running ]]
}

ssh_move_start a root@host-b --how quick --at +600 --json=fine
wait_event 'ev["event"] == "notice" and "the guest is stopped at" in ev["text"]' >/dev/null
goes_away
vmferry switch "${GUEST_PID[a]}"
is_away 3000
runs_here a || fail "the guest was stopped for a copy that cannot begin"
comes_back 1
move_wait
assert_result 'r["verified"] and r["outages"]["count"] >= 1'
assert_arrived a

ssh_move_start b root@host-b --how warm --hold --json=fine --reconnect-timeout 20
wait_event 'ev["event"] == "notice" and "until you say: vmferry switch" in ev["text"]' >/dev/null
goes_away
comes_back 1
stood=$SECONDS
wait_for 60 eval '((SECONDS - stood > 31))'
goes_away
vmferry switch "${GUEST_PID[b]}"
is_away 6000
! grep -q 'told to shut down now' "$DIR/move.json" || fail "the guest was told to shut down"
runs_here b || fail "the guest does not run"
comes_back 2
wait_event 'ev["event"] == "notice" and "told to shut down now" in ev["text"]' >/dev/null
move_wait
assert_result 'r["outages"]["count"] >= 2'
