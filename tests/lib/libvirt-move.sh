# shellcheck shell=bash
# Moves of libvirt's guests between hosts with a libvirtd each; to be sourced. Everything of move.sh and libvirt.sh. Both hosts share this
# machine's network; each has a state directory of its own, as source and as destination.
#
#   listen_at HOST [OPTION...]                  a vmferry-dst there, at ADDRESS_AT[HOST]
#   libvirt_move FROM TO GUEST STATUS [OPTION...]      to its end; what it said is in DIR/move.json (result, wait_event)
#   libvirt_move_start FROM TO GUEST [OPTION...]; libvirt_move_wait [STATUS]
#   vmferry_at HOST COMMAND...                  vmferry there
#   defined_at HOST                             prints the guests that libvirt defines there
. "$(dirname "${BASH_SOURCE[0]}")/move.sh"
. "$(dirname "${BASH_SOURCE[0]}")/libvirt.sh"

declare -A ADDRESS_AT=() LISTENER_AT=()

host_state() { # HOST: its directory, made
	mkdir -p -m 700 "$DIR/state-$1" "$DIR/run-$1"
	if [[ ! -e $DIR/token ]]; then # the right to move guests to either
		(umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$DIR/token")
	fi
	[[ -e $DIR/state-$1/token ]] || cp -p "$DIR/token" "$DIR/state-$1/token"
	echo "$DIR/state-$1"
}

listen_at() { # HOST [OPTION...]
	local out=$DIR/listen-$1.out
	host_state "$1" >/dev/null
	libvirt_way "$1"
	rm -f "$out"
	# the same umask as an agent that comes by SSH
	"${LIBVIRT_WAY[@]}" bash -c 'umask 077; exec "$@"' - "$BIN/vmferry-dst" --listen 127.0.0.1:0 --state-dir "$DIR/state-$1" --runtime-dir "$DIR/run-$1" -v "${@:2}" </dev/null \
		>"$out" 2>>"$DIR/listen-$1.log" &
	LISTENER_AT[$1]=$!
	kill_at_exit "$!"
	wait_for 60 grep -qs '^listening on' "$out" || fail "vmferry-dst does not listen at $1: $(tail -n 3 "$DIR/listen-$1.log")"
	ADDRESS_AT[$1]=$(sed -n 's/^listening on //p' "$out")
}

vmferry_at() { # HOST COMMAND...
	local state
	state=$(host_state "$1")
	libvirt_way "$1"
	"${LIBVIRT_WAY[@]}" VMFERRY_STATE_DIR="$state" VMFERRY_RUNTIME_DIR="$DIR/run-$1" "$BIN/vmferry" "${@:2}" </dev/null
}

libvirt_move_start() { # FROM TO GUEST [OPTION...]
	local state
	state=$(host_state "$1")
	rm -f "$DIR/move.json" "$DIR/move.log"
	libvirt_way "$1"
	"${LIBVIRT_WAY[@]}" VMFERRY_STATE_DIR="$state" VMFERRY_RUNTIME_DIR="$DIR/run-$1" "$BIN/vmferry" migrate "$3" "${ADDRESS_AT[$2]}" --json -v \
		"${@:4}" </dev/null >"$DIR/move.json" 2>"$DIR/move.log" &
	MOVE_PID=$!
	kill_at_exit "$MOVE_PID"
}

libvirt_move_wait() { # [STATUS (0)]
	local status=0
	wait_for 180 process_is_gone "$MOVE_PID" || fail "the move does not end"
	wait "$MOVE_PID" || status=$?
	assert_eq "$status" "${1:-0}" "exit code ($(result 'r.get("reason", r["outcome"])' 2>/dev/null || tail -n 3 "$DIR/move.log"))"
}

libvirt_move() { # FROM TO GUEST STATUS [OPTION...]
	libvirt_move_start "${@:1:3}" "${@:5}"
	libvirt_move_wait "$4"
}

defined_at() { # HOST
	libvirt_in "$1" virsh -q list --all --name | sort | xargs
}

assert_is_at() { # HOST OTHER GUEST: in the books of one of them
	assert_eq "$(defined_at "$1")" "$3" "guests of libvirt at $1"
	assert_eq "$(defined_at "$2")" "" "guests of libvirt at $2"
}

assert_nothing_unfinished() {
	local left
	left=$(find "$DIR"/state-* \( -name '*.journal' -o -name '*.definition' \))
	[[ -z $left ]] || fail "unfinished: $left"
}
