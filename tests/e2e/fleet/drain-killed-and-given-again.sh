#!/bin/bash
# A drain that is killed leaves moves under way, which end by themselves, and guests that were not begun, which stay; the same command again takes those. A
# destination that dies meanwhile costs no guest: each runs at one host, whole, and what fails is tried at the other one.
# tier: check-all
. "$(dirname "$0")/../../lib/fleet.sh"

export VMFERRY_HOST=$DIR/host
printf 'out 2\n' >"$VMFERRY_HOST"
mkdir -p "$DIR/there"
WHERE=(--disk-dir "$DIR/there/%n" --to "${HOSTS[0]},${HOSTS[1]}")
GUESTS=(a b c d e f)
for name in "${GUESTS[@]}"; do fleet_guest "$name"; done

sources() { # prints the pids of vmferry migrate that are under way here
	pgrep -f "^$BIN/vmferry migrate " || true
}

gone() { # prints how many guests run there
	local name n=0
	for name in "${GUESTS[@]}"; do ! [[ $(status_of "$THERE/$name/$name.qmp" 2>/dev/null) == running ]] || ((++n)); done
	echo "$n"
}

none_is_lost() { # each runs at one host, and is whole
	local name
	for name in "${GUESTS[@]}"; do
		if [[ $(status_of "$DIR/$name.qmp" 2>/dev/null) == running ]]; then is_here "$name"; else is_there "$name"; fi
	done
}

drain_begins() {
	"$BIN/vmferry" drain "${WHERE[@]}" "$@" </dev/null >"$DIR/fleet.out" 2>"$DIR/fleet.log" &
	DRAIN=$!
	kill_at_exit "$DRAIN"
}

# Killed while two are under way.
drain_begins --bwlimit 2M
wait_for 60 eval '[[ $(sources | wc -l) -eq 2 ]]' || fail "two are not under way: $(cat "$DIR/fleet.log")"
kill -KILL "$DRAIN"
wait_for 60 eval '[[ -z $(sources) ]]' || fail "moves do not end without it"
assert_eq "$(gone)" 2 "guests that have gone"
none_is_lost

# Ctrl-C once: no more begins. Twice: those under way roll back.
drain_begins --bwlimit 500K
wait_for 60 eval '[[ $(sources | wc -l) -eq 2 ]]' || fail "two are not under way: $(cat "$DIR/fleet.log")"
kill -INT "$DRAIN"
kill -0 "$DRAIN" || fail "it has ended at the first Ctrl-C"
wait_for 60 grep -q 'no more begins' "$DIR/fleet.log" || fail "it does not say that it has heard"
kill -INT "$DRAIN"
status=0
wait "$DRAIN" || status=$?
[[ $status -eq 1 || $status -eq 3 || $status -eq 4 ]] || fail "its exit code is $status: $(cat "$DIR/fleet.out")"
says fleet.out 'was not begun, and stays here'
assert_eq "$(gone)" 2 "guests that have gone"
none_is_lost

# One host dies: the moves to it fail, and are tried at the other one.
held() { # prints the pids of the guests that wait to be switched over
	vmferry status --json | python3 -c 'import json, sys
for line in sys.stdin:
	s = json.loads(line)
	if s.get("held"): print(s["pid"], s["destination"])'
}

drain_begins --hold --reconnect-timeout 1
wait_for 60 eval '[[ $(held | wc -l) -eq 2 ]]' || fail "two are not held: $(cat "$DIR/fleet.log"; vmferry status)"
assert_eq "$(held | awk '{ print $2 }' | sort -u | wc -l)" 2 "hosts to which they go"
kill_host 1
while wait_for 60 eval '[[ -n $(held) ]] || process_is_gone "$DRAIN"' && ! process_is_gone "$DRAIN"; do
	for pid in $(held | awk -v host="${HOSTS[1]}" '$2 == host { print $1 }'); do vmferry switch "$pid" >/dev/null || true; done
done
status=0
wait "$DRAIN" || status=$?
assert_eq "$status" 4 "its exit code ($(cat "$DIR/fleet.out" "$DIR/fleet.log"))"
none_is_lost
assert_eq "$(gone)" 5 "guests that have gone ($(cat "$DIR/fleet.out" "$DIR/fleet.log"))"
left=$(sed -n 's/^  \([a-f]\) -> .*: stays here: rolled-back: .*/\1/p' "$DIR/fleet.out")
is_here "$left"
says fleet.out '^first, to settle moves that were cut off: vmferry recover; then the same command again'

# A guest of which that host has a part is settled, and moves, too.
status=0
vmferry recover "$left" --peer-is-fenced >"$DIR/fleet.out" 2>&1 || status=$?
[[ $status -eq 1 || $status -eq 4 ]] || fail "recover: exit code $status: $(cat "$DIR/fleet.out")"
THERE=$DIR/there-again
mkdir "$THERE"
fleet 0 drain --disk-dir "$THERE/%n" --to "${HOSTS[1]}"
is_there "$left"
