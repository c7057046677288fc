#!/bin/bash
# tests/faults/libvirt-cold.sh WHEN src-agent|dst-agent|src-libvirtd|dst-libvirtd WHAT: at that moment of the cold move of a libvirt guest an agent or a libvirtd
# is killed, stopped for five seconds, stopped for ever, or (a libvirtd) started again. A libvirtd that is away is back before anybody recovers the move. At no
# time have both libvirts the guest, and in the end the one has it that vmferry says, as it was.
. "$(dirname "$0")/cell.sh"
. "$(dirname "$0")/../lib/libvirt-cold.sh"
MOVE_OPTIONS=(--reconnect-timeout 6)
AWAY= AWAY_BY= # the host whose libvirtd is, and how that came

eval "cell_$(declare -f hit)"
eval "cell_$(declare -f release_stopped)"

hit_libvirtd() { # HOST WHAT
	local pid=${LIBVIRT_DAEMON[$1]}
	AWAY=$1 AWAY_BY=$2
	case $2 in
	kill) kill_now "$pid" ;;
	restart)
		kill_now "$pid"
		libvirtd_is_back
		;;
	stop | stop5) kill -STOP "$pid" ;;
	esac
	[[ $2 != stop5 ]] || {
		go_on
		wait_ms 5000
		libvirtd_is_back
	}
}

libvirtd_is_back() {
	case $AWAY_BY in
	kill | restart) libvirt_start_daemon "$AWAY" ;;
	stop | stop5) kill -CONT "${LIBVIRT_DAEMON[$AWAY]}" ;;
	esac
	AWAY= AWAY_BY=
}

hit() { # WHO WHAT
	case $1 in
	src-libvirtd) hit_libvirtd a "$2" ;;
	dst-libvirtd) hit_libvirtd b "$2" ;;
	*) cell_hit "$@" ;;
	esac
}

release_stopped() { # and what is away
	[[ -z $AWAY ]] || libvirtd_is_back
	cell_release_stopped
}

ask_recover() { # [OPTION...]: sets CODE
	CODE=0 SAID_BY="recover${*:+ $*}"
	"${ON[@]}" timeout 100 "$BIN/vmferry" recover "$NAME" -v "$@" </dev/null >"$DIR/recover.out" 2>>"$DIR/recover.log" || CODE=$?
	! tail -n 1 "$DIR/recover.log" | says 'nothing to recover' || CODE=$NOTHING
}

libvirt_guest_at_rest
to_listener
reach "$1"
hit "$2" "$3"
go_on
settle_one_place migrate
[[ -z $AWAY ]] || libvirtd_is_back

where=$(where_defined)
[[ ! $CODE =~ ^[0-9]+$ || $CODE -ge 128 ]] || assert_eq "$(says_where "$CODE")" "$where" "where the guest is, as $SAID_BY says ($(tail -n 1 "$DIR/recover.log" 2>/dev/null))"
wait_for 10 eval '[[ -z $(unfinished_journals) ]]' || true # the destination's, after its last word
assert_whole "$where"
assert_nothing_unfinished
assert_never_two_books
if [[ $where == source ]]; then # the proof that nothing of that is in its way
	unset VMFERRY_FAULT
	to_listener
	libvirt_cold_start "$DEST"
	libvirt_cold_wait
	assert_whole destination
fi
evidence "$where"
