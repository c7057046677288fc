#!/bin/bash
# A guest in a systemd unit that restarts it whenever it ends, and at every boot: once it was moved neither happens. Nor is what shuts it down run, which
# might reach it at the destination.
# tier: gate
. "$(dirname "$0")/../../lib/systemd.sh"

unit_guest a vm-a.service Restart=always RestartSec=100ms "ExecStop=/bin/touch $DIR/told-to-stop"
assert_eq "$(show MainPID vm-a.service)" "${GUEST_PID[a]}" "main process of the unit"

move a local
assert_eq "$(result 'r["disabled"][0]["unit"]')" vm-a.service
assert_result "all(any('unit vm-a.service' in x and '--install-unit' in x for x in e['warnings']) for e in (plan, r))"
guest_verify "$(orders a)" blocks
[[ ! -e $DIR/told-to-stop ]] || fail "the unit has told the guest to shut down, which is the destination's"
unit_is_down() { [[ $(show ActiveState vm-a.service) == inactive ]]; }
wait_for 60 unit_is_down || fail "the unit is $(show ActiveState vm-a.service)"
assert_eq "$(systemctl --user is-enabled vm-a.service || true)" disabled "the unit"
nobody_has_open "$DIR/a.raw" || fail "the old disk is in use again"
[[ ! -e $XDG_RUNTIME_DIR/systemd/user/vm-a.service.d ]] || fail "the runtime drop-in is still there"

[[ ! -e $DIR/told-to-stop ]] || fail "the unit has told the guest to shut down, which is the destination's"

# a reboot of the source, and somebody who starts it by hand
reboot
systemctl --user start vm-a.service || true
unit_is_down || fail "the unit was started again"
nobody_has_open "$DIR/a.raw" || fail "the old disk is in use again"
guest_verify "$(orders a)" blocks

# the commands of the report make everything as it was
guest_stop a
sh -c "$(result 'r["disabled"][0]["again"]')" 2>/dev/null
assert_eq "$(systemctl --user is-enabled vm-a.service)" enabled "the unit"
reboot
unit_guest_adopt a
guest_verify "$DIR/a.orders"
