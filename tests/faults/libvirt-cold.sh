#!/bin/bash
# tests/faults/libvirt-cold.sh WHEN src-agent|dst-agent|src-libvirtd|dst-libvirtd WHAT: at that moment of the cold move of a libvirt guest an agent or a libvirtd
# is killed, stopped for five seconds, stopped for ever, or (a libvirtd) started again. A libvirtd that is away is back before anybody recovers the move. At no
# time have both libvirts the guest, and in the end the one has it that vmferry says, as it was.
. "$(dirname "$0")/cell.sh"
. "$(dirname "$0")/../lib/libvirt-cold.sh"
MOVE_OPTIONS=(--reconnect-timeout 6)
. "$(dirname "$0")/../lib/libvirt-away.sh"

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
