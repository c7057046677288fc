#!/bin/bash
# tests/faults/libvirt-plain.sh WHEN src-agent|dst-agent|src-libvirtd|dst-qemu WHAT: at that moment of the live move of a libvirt guest that is to be a plain one (--as plain)
# an agent, the source's libvirtd or the QEMU that waits is killed, stopped for five seconds, stopped for ever, or (the libvirtd) started again. A libvirtd that is away
# is back before anybody recovers the move. In the end one QEMU runs the guest, where vmferry says, with all that it had written: under libvirt here, or as a plain guest there.
. "$(dirname "$0")/cell.sh"
. "$(dirname "$0")/../lib/libvirt-live.sh"
. "$(dirname "$0")/../lib/libvirt-plain.sh"
MOVE_OPTIONS=(--reconnect-timeout 6)
. "$(dirname "$0")/../lib/libvirt-away.sh"

eval "cell_$(declare -f pid_of)"
pid_of() { # WHO
	case $1 in
	dst-qemu) qemus | grep -vx "${GUEST_PID[$NAME]}" || true ;;
	*) cell_pid_of "$@" ;;
	esac
}

starts_there() {
	libvirt_way b
	"${LIBVIRT_WAY[@]}" setsid "$LIBVIRT_GUESTS/$NAME.sh" </dev/null >"$DIR/started.out" 2>&1 &
	kill_at_exit "$!"
	wait_for 60 "$ASK" order "$TO/$NAME.serial2" ping 1 >/dev/null 2>&1 || fail "its script does not start it: $(tail -n 3 "$DIR/started.out")"
}

libvirt_guest_runs
to_listener
reach "$1"
hit "$2" "$3"
go_on
settle_one_place migrate
[[ -z $AWAY ]] || libvirtd_is_back

[[ $CODE != 6 || $FENCED != 1 ]] || ask_recover --peer-is-fenced # the QEMU there was killed, and the killer knows that
where=$(where_defined)
[[ $where == source ]] || { wait_for 10 is_nowhere_defined || fail "libvirt has the guest: $(where_defined)"; where=destination; }
[[ ! $CODE =~ ^[0-9]+$ || $CODE -ge 128 ]] || assert_eq "$(says_where "$CODE")" "$where" "where the guest is, as $SAID_BY says ($(tail -n 1 "$DIR/recover.log" 2>/dev/null))"
wait_for 10 eval '[[ -z $(unfinished_journals) ]]' || true # the destination's, after its last word
if [[ $where == destination && $MAY_END_THERE == 1 && -z $(qemus) ]]; then
	note "its QEMU was killed there after it had begun: somebody starts it"
	starts_there
fi
if [[ $where == destination ]]; then assert_runs_plain; else assert_runs_at source; fi
assert_nothing_unfinished
evidence "$where"
