#!/bin/bash
# The unit's script starts QEMU again and again by itself: it is ended before its QEMU, so that the guest does not come back.
# timeout: 120
. "$(dirname "$0")/../lib/systemd.sh"

START_WITH='again() { "$0" again; }; [ "$1" = again ] || while :; do again; done; exec' unit_guest a vm-a.service Restart=always
[[ $(show MainPID vm-a.service) != "${GUEST_PID[a]}" ]] || fail "the QEMU is the unit's main process"

move a local
wait_for 10 nobody_has_open "$DIR/a.raw" || fail "the old disk is in use again"
[[ -z $(pgrep -f "^[^ ]*/qemu-system-[^ ]* .*$DIR/a[.]raw") ]] || fail "the guest was started again"
assert_eq "$(systemctl --user is-enabled vm-a.service || true)" disabled "the unit"
guest_verify "$(orders a)" blocks
