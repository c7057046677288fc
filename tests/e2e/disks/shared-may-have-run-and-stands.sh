#!/bin/bash
# A guest beside a disk that both hosts see begins to run at the destination, whose agent dies before it has noted that; and then it stands (an error has stopped it,
# or somebody). Nobody knows whether it ran: both QEMUs stay, with its memory, and a person is told how it goes on there.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener before-DST_STARTED:stop --disk d0=shared
there=$(qemu_dst)
kill_at_exit "$there"
before=$(stat -c %y "$DIR/a.raw")
wait_for 60 eval '[[ $(stat -c %y "$DIR/a.raw") != "$before" ]]' || fail "the guest does not write there"
kill_now "$DST_PID"
kill_now "$FAULT_PID"
DST_PID=
qmp "$(compgen -G "$TO/.vmferry-*/a.mon")" '{"execute": "stop"}' STOP >/dev/null
move_wait 6

recover_there 6
said recover.log "process $there\) was told to run the guest, which stands now"
to_listener
recover 6 --dest "$DEST"
said recover.log "cannot tell whether the guest has run at the destination: .*QEMU $there"
at=$(grep -om1 'QMP cont at [^ )]*' "$DIR/recover.log")
assert_eq "$(state_of "$there")$(state_of "${GUEST_PID[a]}")" ST "the states of both QEMUs"

qmp "${at##* }" '{"execute": "cont"}' RESUME >/dev/null
recover 0 --dest "$DEST"
guest_is_there "$there"
guest_verify "$(orders a)" blocks
assert_nothing_unfinished
