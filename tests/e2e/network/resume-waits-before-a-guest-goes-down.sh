#!/bin/bash
# While a network is known to be away no guest is stopped to be moved, or told to shut down, though that was asked for; and a move that has nothing
# to send, as it waits for its time, has as much patience with the second outage as with the first.
# timeout: 300
. "$(dirname "$0")/../../lib/over-ssh.sh"
. "$(dirname "$0")/../../lib/outage.sh"
hosts_start
WITNESS='ram_mb=32 rate=100 disks=vda disk_mb=8 disk_rate=0 button=1'
ssh_guest
ssh_guest b
ON=(on_a)

progress() { # MEMBER EXPRESSION: what the first progress says of which that is true; o: its outages
	wait_event 'ev["event"] == "progress" and (o := {"count": 0, "now": False, "ms": 0, **ev.get("outages", {})}) and ('"$2)" |
		python3 -S -c 'import json, sys; ev = json.load(sys.stdin); print(int({**ev, **ev.get("outages", {})}[sys.argv[1]]))' "$1"
}

goes_away() { # COUNT: and is away for three seconds
	local ms
	mapfile -t ports < <(ports_of_move)
	[[ ${#ports[@]} -ge 1 ]] || fail "there is no connection"
	on_b ip link set to-a down
	reset_at on_a "${ports[@]}"
	ms=$(progress ms "o['now'] and o['count'] >= $1")
	vmferry "${@:2}" "${GUEST_PID[$MOVING]}"
	progress ms "o['ms'] > $ms + 3000" >/dev/null
}

comes_back() {
	on_b ip link set to-a up
}

ssh_move_start a root@host-b --how quick --at +600 --json=fine
wait_event 'ev["event"] == "notice" and "the guest is stopped at" in ev["text"]' >/dev/null
goes_away 1 switch --no-wait
runs_here a || fail "the guest was stopped for a copy that cannot begin"
comes_back
move_wait
assert_result 'r["verified"] and r["outages"]["count"] >= 1'
assert_arrived a

ssh_move_start b root@host-b --how warm --hold --json=fine --reconnect-timeout 20
wait_event 'ev["event"] == "notice" and "until you say: vmferry switch" in ev["text"]' >/dev/null
goes_away 1 status
comes_back
stands=$(progress t_ms "not o['now'] and o['count'] >= 1")
progress t_ms "ev['t_ms'] > $stands + 31000" >/dev/null # longer than one that carries nothing would
goes_away 2 switch --no-wait
! grep -q 'told to shut down now' "$DIR/move.json" || fail "the guest was told to shut down"
runs_here b || fail "the guest does not run"
comes_back
wait_event 'ev["event"] == "notice" and "told to shut down now" in ev["text"]' >/dev/null
move_wait
assert_result 'r["outages"]["count"] >= 2'
