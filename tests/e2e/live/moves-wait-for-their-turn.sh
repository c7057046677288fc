#!/bin/bash
# No more moves leave a host, or come to one, than its file says: the others wait in the order in which they came, can be watched and cancelled meanwhile,
# and look anew at their guest when it is their turn. --now waits for nobody. Without a place for tickets a move goes on, and says so.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

guest() { # NAME
	truncate -s 1M "$DIR/$1.raw"
	MEM=32 WITNESS="ram_mb=4 rate=100" tiny_start "$1" $(guest_drive d0 "$DIR/$1.raw" raw) $(second_monitor "$1")
}

go() { # NAME [OPTION...]: a move beside others: its pid is PIDS[NAME], what it says is in DIR/NAME.json
	mkdir -p "$DIR/to-$1"
	rm -f "$DIR/$1.json"
	"$BIN/vmferry" migrate "${GUEST_PID[$1]}" "$DEST" --disk-dir "$DIR/to-$1" --json "${@:2}" </dev/null >"$DIR/$1.json" 2>"$DIR/$1.log" &
	PIDS[$1]=$!
	kill_at_exit "$!"
}

has_said() { # NAME TEXT
	grep -qF -- "$2" "$DIR/$1.json" 2>/dev/null
}

says() { # NAME TEXT
	wait_for 60 has_said "$1" "$2" || fail "$1 does not say '$2': $(cat "$DIR/$1.json" "$DIR/$1.log")"
}

ends() { # NAME STATUS
	local status=0
	wait_for 60 process_is_gone "${PIDS[$1]}" || fail "the move of $1 does not end: $(tail -n 2 "$DIR/$1.json")"
	wait "${PIDS[$1]}" || status=$?
	assert_eq "$status" "$2" "exit code of the move of $1 ($(tail -n 1 "$DIR/$1.json"))"
	[[ $status -ne 0 ]] || kill_at_exit "$(sed -n 's/.*"destination_pid": *\([0-9]*\).*/\1/p' "$DIR/$1.json" | tail -n 1)"
}

declare -A PIDS=()
export VMFERRY_HOST=$DIR/host
for name in a b c d e f; do guest "$name"; done
DEST=local

# One guest leaves at a time.
printf 'out 1\nin any\n' >"$DIR/host"
go a --hold
says a 'vmferry switch'
go b
says b 'waits for its turn: 1 move leaves this host before it'
vmferry status "${GUEST_PID[b]}" >"$DIR/said"
grep -q 'waits for its turn: 1 before it to leave this host' "$DIR/said" || fail "status: $(<"$DIR/said")"
is_moving_with b 's["waits"] == {"for": "out", "ahead": 1} and s["stage"] == "connect"' || fail "status: $(vmferry status "${GUEST_PID[b]}" --json)"
vmferry jobs >"$DIR/said"
[[ $(grep -c '^[0-9a-f]* *a *live *local *copy ' "$DIR/said") -eq 1 && $(grep -c '^- *b *live *local *waits for its turn, 1 before it$' "$DIR/said") -eq 1 ]] ||
	fail "jobs: $(<"$DIR/said")"
[[ $(vmferry jobs --metrics | grep -Fxc -e 'vmferry_jobs{state="waiting"} 1' -e 'vmferry_jobs{state="under-way"} 1') -eq 2 ]] || fail "metrics: $(vmferry jobs --metrics)"
go c
says c 'waits for its turn: 2 moves leave this host before it'
vmferry cancel "${GUEST_PID[b]}" >/dev/null || [[ $? -eq 3 ]] || fail "it cannot be cancelled"
ends b 3
says c 'waits for its turn: 1 move leaves'
! has_said c '"plan"' || fail "it was planned before its turn"
go d --now
ends d 0
! has_said d 'waits for' || fail "--now has waited: $(<"$DIR/d.json")"
kill -KILL "${PIDS[a]}" # a killed move gives its place up once its guard has taken the guest back
ends c 0

# One guest comes at a time; the destination says so.
printf 'out any\nin 1\n' >"$DIR/host"
wait_for 60 runs_here a || fail "a does not run here"
vmferry recover a >"$DIR/said" 2>&1 || [[ $? -eq 1 ]] || fail "$(<"$DIR/said")"
rm -rf "$DIR"/to-[ab]
touch "$VMFERRY_RUNTIME_DIR/out" # a file in place of the directory of tickets
to_listener
go a --hold
says a 'vmferry switch'
says a 'this move does not wait for others, nor others for it: '
rm "$VMFERRY_RUNTIME_DIR/out"
go b
says b 'waits for its turn: 1 move comes to the destination before it'
is_moving_with b 's["waits"] == {"for": "in", "ahead": 1} and s["stage"] == "preflight"' || fail "status: $(vmferry status "${GUEST_PID[b]}" --json)"
vmferry switch "${GUEST_PID[a]}" >/dev/null
ends a 0
ends b 0
wait_for 60 eval '! [[ -e $DIR/dst-run/in ]]' || fail "left: $(ls -A "$DIR/dst-run/in")"
touch "$DIR/dst-run/in"
go e
ends e 0
has_said e 'at the destination this move does not wait for others, nor others for it: ' || fail "it does not say so: $(<"$DIR/e.json")"
rm "$DIR/dst-run/in"
printf 'in two\n' >"$DIR/host"
go f
ends f 3
has_said f "/host, line 1: 'two' is not a number" || fail "it does not say so: $(<"$DIR/f.json")"
wait_for 60 eval '[[ -z $(ls -A "$VMFERRY_RUNTIME_DIR" "$DIR/dst-run" | grep -v ":$") ]]' || fail "left: $(ls -AR "$VMFERRY_RUNTIME_DIR" "$DIR/dst-run")"
