# shellcheck shell=bash
# For tests of guests that are no more what their command line says; to be sourced. Everything of move.sh, and the tiny guest `a` with a free monitor.
. "$(dirname "${BASH_SOURCE[0]}")/move.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tiny.sh"

ask() { # COMMAND-JSON [EVENT]: of guest a, wherever it is
	qmp "${GUEST_AT[a]:-$DIR}/a.mon" "$@" >/dev/null || fail "QEMU refuses $1"
}

human() { # COMMAND: of the human monitor; prints what it says
	qmp "${GUEST_AT[a]:-$DIR}/a.mon" '{"execute": "human-monitor-command", "arguments": {"command-line": "'"$1"'"}}'
}

refused_because() { # TEXT [OPTION...]: a move of it, before anything is touched
	move_start a local "${@:2}"
	move_wait 3
	assert_result "'''$1''' in r['reason']"
	[[ -z $(ls -A "$TO") ]] || fail "left at the destination: $(ls -A "$TO")"
}
