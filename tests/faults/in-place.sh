#!/bin/bash
# tests/faults/in-place.sh WHEN WHO WHAT: at that moment of a guest's going on in another QEMU of its host, one of its processes is killed, stopped for
# five seconds, or stopped for ever. Both QEMUs have the same disk, sockets and pidfile, one after the other.
. "$(dirname "$0")/cell.sh"
RECONNECT_S=8 MOVE_OPTIONS=(--in-place) TO_DESTINATION=to_local WATCHED_BY=lock

qemu_dst() {
	the_other_qemu
}

where_it_is() { # prints its QEMU
	qemus | head -n 1
}

names_lead_to() { # QEMU
	local name
	for name in qmp mon orders; do assert_eq "$(who_listens "$DIR/a.$name")" "$1" "who listens at a.$name"; done
	assert_eq "$(<"$DIR/a.pid")" "$1" "the pidfile"
}

# The guest's sockets may have no names at that moment, so it cannot be asked whether it runs.
somebody_acts() {
	note "the move waits: it is cancelled"
	timeout 20 "$BIN/vmferry" cancel --no-wait "${GUEST_PID[a]}" >/dev/null 2>&1 || true
}

verdict() {
	local has where=source settings=$SETTINGS
	wait_for 60 eval '[[ $(qemus | wc -l) -le 1 ]]' || fail "$(qemus | wc -l) QEMUs, $SAID_BY says $CODE ($(tail -n 1 "$DIR/recover.log"))"
	has=$(where_it_is)
	[[ -n $has || $MAY_BE_NOWHERE == 1 ]] || fail "it is nowhere, and $SAID_BY says $CODE"
	if [[ -z $has ]]; then
		where=nowhere
	elif [[ $has != "${GUEST_PID[a]}" ]]; then
		where=destination
	fi
	[[ $where == nowhere && $CODE == 0 && $MAY_END_THERE == 1 ]] ||
		assert_eq "$(says_where "$CODE")" "$where" "where the guest is, as $SAID_BY says ($(tail -n 1 "$DIR/recover.log" 2>/dev/null))"
	[[ $where != destination ]] || { guest_adopt a "$has" && settings_may_stay "$DIR/a.mon"; }
	wait_for 10 eval '[[ -z $(unfinished_journals) ]]' || true
	assert_eq "$(find "$DIR" -name '*.vmferry-*')" "" "what is left of the move"
	if [[ $where == nowhere ]]; then
		assert_nothing_unfinished
	else
		wait_for 60 is_alone || fail "not alone: $(ours | xargs -r ps -o pid=,args= -p)"
		names_lead_to "$has"
		assert_settled
	fi
	assert_beats_once
	assert_never_two
	SETTINGS=$settings
	[[ $where == nowhere ]] || { to_local && move a local --in-place && names_lead_to "${GUEST_PID[a]}" && assert_settled; }
	evidence "$where"
}

cell_begins -pidfile "$DIR/a.pid"
reach "$1"
hit "$2" "$3"
go_on
settle
verdict
