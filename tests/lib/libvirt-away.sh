# shellcheck shell=bash
# For cells of the table of faults in which a libvirtd, too, is killed, stopped or started again; to be sourced after faults/cell.sh and one of
# libvirt-cold.sh and libvirt-live.sh.
#
#   hit WHO WHAT                cell.sh's, also with src-libvirtd and dst-libvirtd
#   release_stopped             likewise: a libvirtd that is away is back
#   libvirtd_is_back            so that a person can recover the move; AWAY: the host whose libvirtd is not there, or empty

AWAY= AWAY_BY= # how that came

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

release_stopped() { # Continues the stopped daemons, and ends the outage.
	[[ -z $AWAY ]] || libvirtd_is_back
	cell_release_stopped
}

ask_recover() { # [OPTION...]: sets CODE
	CODE=0 SAID_BY="recover${*:+ $*}"
	"${ON[@]}" timeout 100 "$BIN/vmferry" recover "$NAME" -v "$@" </dev/null >"$DIR/recover.out" 2>>"$DIR/recover.log" || CODE=$?
	! tail -n 1 "$DIR/recover.log" | says 'nothing to recover' || CODE=$NOTHING
}
