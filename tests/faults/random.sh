#!/bin/bash
# tests/faults/random.sh SEED: one to four faults, of any kind and at any time of a move, as SEED has it. Times are those of this machine: what is
# the same with the same seed is what happens in which order, and how long after what.
. "$(dirname "$0")/cell.sh"
SEED=$1
RECONNECT_S=6
RANDOM=$((SEED % 32768))

one_of() { # WORD...: sets CHOSEN
	CHOSEN=${*:RANDOM % $#+1:1}
}

strike() { # WHAT
	local pid who=${1#*-}
	case $1 in
	kill-* | stop-*)
		pid=$(pid_of "$who")
		[[ -n $pid ]] && ! is_stopped "$pid" && kill -0 "$pid" 2>/dev/null || return 0
		;;&
	kill-*) kill_it "$who" "$pid" ;;
	stop-*)
		kill -STOP "$pid" 2>/dev/null || return 0
		if ((RANDOM % 3 == 0)); then
			STOPPED+=("$pid")
			return
		fi
		wait_ms $((RANDOM % 6000))
		kill -CONT "$pid" 2>/dev/null || true
		;;
	reset) ss -KtnH "sport = :${DST_ADDRESS##*:} or dport = :${DST_ADDRESS##*:}" >/dev/null 2>&1 || true ;;
	cont | stop) timeout 5 "$ASK" qmp "$(free_monitor a)" "{\"execute\": \"$1\"}" >/dev/null 2>&1 || true ;;
	system_reset) timeout 5 "$ASK" qmp "$(free_monitor a)" '{"execute": "system_reset"}' >/dev/null 2>&1 || true ;;
	cancel) timeout 20 "$BIN/vmferry" cancel --no-wait "${GUEST_PID[a]}" >/dev/null 2>&1 || true ;;
	term) kill -TERM "$MOVE_PID" 2>/dev/null || true ;;
	listener)
		kill_now "$DST_PID"
		listen_again
		;;
	esac
}

POINTS=(dst-prepare dst-qemu-noted src-migrate src-pre-switchover src-completed before-DST_PREPARED after-DST_PREPARED src-ready
	src-held before-SRC_COMMITTED after-SRC_COMMITTED before-DST_START after-DST_START before-DST_STARTED after-DST_STARTED after-SRC_RELEASED begun
	disks memory)
FAULTS=(kill-src-agent kill-dst-agent kill-src-qemu kill-dst-qemu stop-src-agent stop-dst-agent stop-src-qemu stop-dst-qemu
	stop-src-agent stop-dst-agent kill-src-agent kill-dst-agent reset reset reset cont stop system_reset cancel term listener)

# In one of four runs a QEMU does not answer a command as it should, besides.
HERE=(query-block-2 query-migrate-2 query-migrate-6 migrate-set-capabilities migrate-set-capabilities-2 migrate-set-parameters-2 transaction-2
	block-export-add-2 block-export-del migrate migrate-continue migrate_cancel query-yank-2 nbd-server-stop block-dirty-bitmap-remove cont)
THERE=(query-status query-status-2 migrate-set-capabilities-2 migrate-incoming blockdev-set-active stop cont quit)
misanswers() {
	local n=$((SEED / 4)) answers=(error event late later) commands=("${HERE[@]}")
	((n % 2)) || commands=("${THERE[@]}")
	qmp_shim "${commands[n / 2 % ${#commands[@]}]}" "${answers[n / 2 / ${#commands[@]} % 4]}"
	note "QEMU $( ((n % 2)) && echo here || echo there): ${SHIM[1]#*=}"
	if ((n % 2)); then ON=(env "${SHIM[@]}"); else DST_ON=(env "${SHIM[@]}"); fi
}
((SEED % 4)) || misanswers

WITNESS_MORE=button=2
cell_begins
ON=()
qmp_misanswers
one_of "${POINTS[@]}"
moment=$CHOSEN
note "at $moment"
reach "$moment" $([[ $moment =~ ^(disks|memory)$ ]] || echo --codec none)
for ((i = RANDOM % 4; i >= 0; i--)); do
	one_of "${FAULTS[@]}"
	ms=$((RANDOM % 3 == 0 ? RANDOM % 3000 : RANDOM % 200))
	note "$CHOSEN, then $ms ms"
	strike "$CHOSEN"
	((RANDOM % 2)) || go_on
	wait_ms $ms
done
go_on
settle
qmp_answers
somebody_resumes
verdict
