#!/bin/bash
# Six vmferry begin to move one guest at the same time, where one that was killed has left its socket: exactly one goes on, the others
# are refused, and it keeps its socket: status and switch reach it.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

AT_ONCE=6

guest_disk "$DIR/a.raw" raw 32M
MEM=128 WITNESS="ram_mb=16 disks=vda disk_mb=8" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
for round in 1 2; do
	python3 -S -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$VMFERRY_RUNTIME_DIR/move-${GUEST_PID[a]}.sock"
	mkfifo "$DIR/go$round"
	pids=()
	for ((i = 1; i <= AT_ONCE; i++)); do
		mkdir "$DIR/there$round$i"
		sh -c 'read -r go <"$0"; exec "$@"' "$DIR/go$round" "$BIN/vmferry" migrate "${GUEST_PID[a]}" local --disk-dir "$DIR/there$round$i" \
			--json --hold </dev/null >"$DIR/said$round$i" 2>&1 &
		pids[i]=$!
		kill_at_exit $!
	done
	exec 7<>"$DIR/go$round" # also as its reader: those who wait come one after the other
	for ((i = 1; i <= AT_ONCE; i++)); do echo go >&7; done
	wait_for 60 is_moving_with a 's["held"]' || fail "no move is held: $(tail -qn 1 "$DIR/said$round"*)"
	alive() {
		local i n=0
		for i in "${!pids[@]}"; do process_is_gone "${pids[i]}" || n=$((n + 1)); done
		[[ $n -eq 1 ]]
	}
	wait_for 60 alive || fail "more than one goes on, or none does"
	one=
	for i in "${!pids[@]}"; do
		if process_is_gone "${pids[i]}"; then
			status=0
			wait "${pids[i]}" || status=$?
			assert_eq "$status" 3 "exit code of one that is too late"
			grep -q 'under way already\|locked by another' "$DIR/said$round$i" || fail "it is not said why: $(<"$DIR/said$round$i")"
		else
			one=$i
		fi
	done
	vmferry status "${GUEST_PID[a]}" | grep -q held || fail "the move cannot be reached"
	vmferry switch --no-wait "${GUEST_PID[a]}" >/dev/null
	wait "${pids[one]}" || fail "the move that goes on fails: $(tail -n 1 "$DIR/said$round$one")"
	cp "$DIR/said$round$one" "$DIR/move.json"
	guest_adopt a "$(result 'r["destination_pid"]')"
	GUEST_AT[a]=$DIR/there$round$one
	guest_verify "$(orders a)" blocks
	exec 7>&-
	[[ -z $(ls -A "$VMFERRY_RUNTIME_DIR") ]] || fail "left behind in the runtime directory: $(ls -A "$VMFERRY_RUNTIME_DIR")"
done
