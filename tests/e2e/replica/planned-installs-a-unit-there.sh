#!/bin/bash
# The host of a guest's unit is given up: with --install-unit a unit starts the guest where its replica was, once that host boots, from what it runs from: first
# from overlays of a point, then from the disks that it has got. Without it the way is told.
# takes: 40
# timeout: 300
. "$(dirname "$0")/../../lib/systemd.sh"

export PATH=${QEMU_IMG%/*}:$PATH
TO=$DIR/to
mkdir "$TO"
UNIT=vmferry-a.service

replica() { # SUBCOMMAND [WORD...]
	vmferry replica "$@" </dev/null >"$DIR/out" 2>&1
}

boots_again() { # the guest has ended, and is back with what it had
	guest_adopt a "$(pid_that_listens "$TO/a.mon")"
	guest_stop a
	rm -f "$TO/a.console"
	reboot
	unit_guest_adopt a "$TO"
	GUEST_AT[a]=$TO
	assert_eq "$(show MainPID "$UNIT")" "${GUEST_PID[a]}" "main process of the unit"
	guest_verify "$(orders a)" blocks
}

unit_guest a vm-a.service Restart=always
replica add a local --disk-dir "$TO" || fail "add: $(<"$DIR/out")"

! VMFERRY_FAULT=dst-taken-over:fail replica failover a --planned || fail "nobody has come to dst-taken-over"
grep -q 'nothing starts it when that host boots: --install-unit has it started there' "$DIR/out" || fail "no word of what starts it: $(<"$DIR/out")"
! replica failover a --peer-is-fenced --install-unit || fail "a unit for a guest that is taken over"
grep -q -e '--install-unit is for --planned' "$DIR/out" || fail "it says: $(<"$DIR/out")"

replica failover a --planned --install-unit || fail "failover: $(<"$DIR/out")"
assert_eq "$(show UnitFileState "$UNIT") $(show ActiveState "$UNIT")" "enabled inactive" "the unit there"
assert_eq "$(show UnitFileState vm-a.service)" disabled "the unit here"
boots_again
grep -q "$TO/a.replica/run/disk0.qcow2" <(tr '\0' '\n' <"/proc/${GUEST_PID[a]}/cmdline") || fail "it does not run from its point"

replica failover a --complete || fail "complete: $(<"$DIR/out")"
boots_again
grep -q "$TO/a-disk0.raw" <(tr '\0' '\n' <"/proc/${GUEST_PID[a]}/cmdline") || fail "it does not run from its own disk"
