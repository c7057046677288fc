#!/bin/bash
# Twelve guests, three hosts, two moves at a time: drains whose command, agents and destinations are killed at random, for an hour (S: seconds). None is lost,
# none runs twice, each is whole, and the same command, after recover, finishes. Prints a line a round.
# timeout: 7200
FLEET_HOSTS=3
. "$(dirname "$0")/../lib/fleet.sh"

export VMFERRY_HOST=$DIR/host
printf 'out 2\n' >"$VMFERRY_HOST"
TO=$(IFS=,; echo "${HOSTS[*]}")
GUESTS=(g1 g2 g3 g4 g5 g6 g7 g8 g9 g10 g11 g12)
RANDOM=${SEED:-$$}
until_s=$((SECONDS + ${S:-3600})) kills=0 round=0

sources() { # prints the pids of vmferry migrate that are under way here
	pgrep -f "^$BIN/vmferry migrate " || true
}

runs_there() { # NAME
	[[ $(status_of "$THERE/$1/$1.qmp" 2>/dev/null) == running ]]
}

runs_at_source() { # NAME
	! process_is_gone "${GUEST_PID[$1]}" && [[ $(status_of "$DIR/$1.qmp" 2>/dev/null) == running ]]
}

runs_somewhere() { # NAME
	runs_there "$1" || runs_at_source "$1"
}

what_is_known() { # NAME
	vmferry jobs --all | grep " $1 "
	vmferry journal 2>&1
	echo "here: $(status_of "$DIR/$1.qmp" 2>&1); there: $(status_of "$THERE/$1/$1.qmp" 2>&1)"
	tail -n 5 "$DIR/$1.stderr" "$DIR"/dst*.out 2>/dev/null
}

one_of_each() {
	local name
	for name in "${GUESTS[@]}"; do
		! { runs_there "$name" && runs_at_source "$name"; } || fail "$name runs twice"
		wait_for 60 runs_somewhere "$name" || fail "$name runs nowhere: $(what_is_known "$name")"
		if runs_there "$name"; then
			guest_verify "$THERE/$name/$name.orders" blocks >/dev/null
		else
			guest_verify "$DIR/$name.orders" blocks >/dev/null
		fi
	done
}

here() { # prints how many have not gone
	local name n=0
	for name in "${GUESTS[@]}"; do runs_there "$name" || ((++n)); done
	echo "$n"
}

harm() {
	local pids
	mapfile -t pids < <(sources)
	case $((RANDOM % 6)) in
	0 | 1) [[ ${#pids[@]} -eq 0 ]] || kill -KILL "${pids[RANDOM % ${#pids[@]}]}" 2>/dev/null || true ;;
	2) kill_host $((RANDOM % FLEET_HOSTS + 1)) restart ;;
	3) kill -KILL "$DRAIN" 2>/dev/null || true ;;
	4) kill -TERM "$DRAIN" 2>/dev/null || true ;;
	5) [[ ${#pids[@]} -eq 0 ]] || kill -STOP "${pids[0]}" 2>/dev/null || true ;;
	esac
	((++kills))
}

some_time() { # between 0.1 and 4 s
	read -rt "$((RANDOM % 4)).$((RANDOM % 9 + 1))" <> <(:) || true
}

settle() { # until no journal is unfinished
	local pid
	for pid in $(sources); do kill -CONT "$pid" 2>/dev/null || true; done
	wait_for 300 eval '[[ -z $(sources) ]]' || fail "moves do not end: $(vmferry jobs)"
	wait_for 180 nothing_undecided || fail "undecided: $(cat "$DIR/recover.log"; vmferry jobs)"
}

nothing_undecided() {
	vmferry recover >"$DIR/recover.log" 2>&1 </dev/null || true
	vmferry jobs --metrics | grep -Fxq 'vmferry_jobs{state="undecided"} 0'
}

drain_under_fire() {
	"$BIN/vmferry" drain --to "$TO" --disk-dir "$THERE/%n" --bwlimit 3M --reconnect-timeout 2 </dev/null >"$DIR/fleet.out" 2>"$DIR/fleet.log" & # no function, whose process would be another
	DRAIN=$!
	kill_at_exit "$DRAIN"
	wait_for 900 eval '[[ -n $(sources) ]] || process_is_gone "$DRAIN"' || fail "nothing moves: $(cat "$DIR/fleet.log")"
	for ((harms = 0; harms < 5; harms++)); do
		some_time
		! process_is_gone "$DRAIN" && [[ $SECONDS -lt $until_s ]] || break # when its time is up the last drain goes on in peace
		harm
	done
	for pid in $(sources); do kill -CONT "$pid" 2>/dev/null || true; done
	wait_for 1200 process_is_gone "$DRAIN" || fail "the drain does not end: $(cat "$DIR/fleet.log")"
	settle
	one_of_each
}

while [[ $SECONDS -lt $until_s ]]; do
	THERE=$DIR/there-$((++round)) drains=0
	mkdir -p "$THERE"
	for name in "${GUESTS[@]}"; do fleet_guest "$name"; done
	while [[ $(here) -gt 0 && $drains -lt 100 ]]; do
		drain_under_fire
		((++drains))
	done
	assert_eq "$(here)" 0 "guests that are left after $drains drains ($(tail -n 20 "$DIR/fleet.out"))"
	echo "round $round: 12 guests have gone by $drains drains, $kills kills so far"
	for name in "${GUESTS[@]}"; do guest_order "$THERE/$name/$name.orders" ping >/dev/null; "$ASK" quit "$THERE/$name/$name.qmp" 2>/dev/null || qmp "$THERE/$name/$name.qmp" '{"execute": "quit"}' >/dev/null 2>&1 || true; done
	rm -rf "$THERE" "$DIR"/*.raw
done
