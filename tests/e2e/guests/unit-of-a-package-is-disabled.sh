#!/bin/bash
# A guest that runs in no unit would be started, when this host boots, by a unit that is not the administrator's: one that lies where packages put theirs, or an
# instance of a template. It is found and disabled, and the old copy does not start. Beside a unit in which the guest runs it is named, and the old disks
# get other names.
# takes: 70
. "$(dirname "$0")/../../lib/systemd.sh"

PACKAGE=${XDG_DATA_HOME:-$HOME/.local/share}/systemd/user
mkdir -p "$PACKAGE"

by_hand() { # NAME
	setsid "$DIR/$1-start" </dev/null >/dev/null 2>&1 &
	unit_guest_adopt "$1"
}

is_disabled() { # UNIT
	by_hand a
	move a local
	assert_eq "$(result '[d["unit"] for d in r["disabled"]]')" "[\"$1\"]" "units that are disabled"
	systemctl --user start "$1" || true
	[[ $(show ActiveState "$1") == inactive ]] || fail "$1 was started again"
	nobody_has_open "$DIR/a.raw" || fail "the old disk is in use again"
	guest_verify "$(orders a)" blocks
	end_process "${GUEST_PID[a]}"
	unset "GUEST_AT[a]"
}

unit_guest a vm-a.service
systemctl --user stop vm-a.service
systemctl --user disable -q vm-a.service
mv "$UNITS/vm-a.service" "$PACKAGE"
systemctl --user daemon-reload
systemctl --user enable -q vm-a.service
is_disabled vm-a.service

rm "$PACKAGE/vm-a.service"
printf '[Service]\nExecStart=%s/%%i-start\n[Install]\nWantedBy=default.target\n' "$DIR" >"$PACKAGE/vm@.service"
systemctl --user daemon-reload
systemctl --user enable -q vm@a.service
is_disabled vm@a.service

rm -rf "$UNITS/vm@a.service.d"
systemctl --user daemon-reload
systemctl --user enable -q vm@a.service
unit_guest a its-own.service
status=0
vmferry check a local --in-place >"$DIR/check" 2>&1 || status=$?
assert_eq "$status" 3 "exit code of check --in-place"
grep -q 'the guest runs in the unit its-own.service, which ends with its QEMU' "$DIR/check" || fail "check says: $(<"$DIR/check")"
! grep -q 'about to start' "$DIR/check" || fail "the unit in which it runs counts twice: $(<"$DIR/check")"
move a local
assert_eq "$(result '[d["unit"] for d in r["disabled"]]')" '["its-own.service"]' "units that are disabled"
assert_result "any('unit vm@a.service starts the guest' in x and 'get other names' in x for x in plan['afterwards'])"
[[ ! -e $DIR/a.raw ]] || fail "the old disk has its name, and vm@a.service starts it"

# in place: a unit that waits to start its program again, enabled or not, would take the guest's sockets; one that is at rest would not
end_process "${GUEST_PID[a]}"
unset "GUEST_AT[a]"
guest_disk "$DIR/c.raw" raw 16M
tiny_start a $(guest_drive d0 "$DIR/c.raw" raw)
printf '[Service]\nExecStart=/bin/sh -c "exec %s/none/qemu-system-x86_64 -hda %s/c.raw"\nRestart=always\nRestartSec=1h\n' \
	"$DIR" "$DIR" >"$UNITS/again.service"
systemctl --user daemon-reload
systemctl --user start again.service
wait_for 60 eval '[[ $(show SubState again.service) == auto-restart ]]' || fail "again.service is $(show SubState again.service)"
move_refused "^unit again.service may be about to start the guest again" local --in-place
guest_verify "$(orders a)"
systemctl --user stop again.service
move a local --in-place
