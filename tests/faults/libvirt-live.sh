#!/bin/bash
# tests/faults/libvirt-live.sh WHEN src-agent|dst-agent|src-libvirtd|dst-libvirtd|dst-qemu WHAT: at that moment of the live move of a libvirt guest an agent, a
# libvirtd or the QEMU that waits is killed, stopped for five seconds, stopped for ever, or (a libvirtd) started again. A libvirtd that is away is back before
# anybody recovers the move. In the end one QEMU runs the guest, where vmferry says, with all that it had written, and one libvirt has it.
. "$(dirname "$0")/cell.sh"
. "$(dirname "$0")/../lib/libvirt-live.sh"
MOVE_OPTIONS=(--reconnect-timeout 6)
. "$(dirname "$0")/../lib/libvirt-away.sh"

eval "cell_$(declare -f pid_of)"
pid_of() { # WHO
	case $1 in
	dst-qemu) cat "$(libvirt_at b "/run/libvirt/qemu/$NAME.pid")" 2>/dev/null || true ;;
	*) cell_pid_of "$@" ;;
	esac
}

libvirt_guest_runs
to_listener
reach "$1"
hit "$2" "$3"
go_on
settle_one_place migrate
[[ -z $AWAY ]] || libvirtd_is_back

[[ $CODE != 6 || $FENCED != 1 ]] || ask_recover --peer-is-fenced # the QEMU there was killed, and the killer knows that
if [[ -n $(unfinished_journals) ]]; then # at the destination, where libvirt was away when it was to define the guest
	VMFERRY_STATE_DIR=$DIR/dst-state VMFERRY_RUNTIME_DIR=$DIR/dst-run "${DST_ON[@]}" timeout 100 "$BIN/vmferry" recover "$NAME" -v \
		</dev/null >>"$DIR/recover-there.log" 2>&1 || true
	note "recovered there: $(tail -n 1 "$DIR/recover-there.log")"
fi
where=$(where_defined)
[[ $where == source || $where == destination ]] || { wait_for 10 eval '[[ $(where_defined) != both ]]' && where=$(where_defined); }
[[ ! $CODE =~ ^[0-9]+$ || $CODE -ge 128 ]] || assert_eq "$(says_where "$CODE")" "$where" "where the guest is, as $SAID_BY says ($(tail -n 1 "$DIR/recover.log" 2>/dev/null))"
wait_for 10 eval '[[ -z $(unfinished_journals) ]]' || true # the destination's, after its last word
if [[ $where == destination && $MAY_END_THERE == 1 && -z $(qemus) ]]; then
	note "its QEMU was killed there after it had begun: somebody starts it"
	rm -f "$(libvirt_at b "$LIBVIRT_GUESTS")/$NAME.console"
	libvirt_run b "$NAME"
	! grep -qs 'without autostart' "$DIR"/{move.json,move.log,recover.log,recover-there.log} || libvirt_in b virsh -q autostart "$NAME" # as the agent reports
fi
assert_runs_at "$where"
assert_nothing_unfinished
evidence "$where"
