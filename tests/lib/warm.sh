# shellcheck shell=bash
# For end-to-end tests of guests that are shut down for their move, and boot at the other end; to be sourced. Everything of aftermath.sh, and a guest
# `a` that no live move takes: it has a serial line on USB, which no QEMU migrates. It obeys the power button, unless BUTTON is 0, or 2: then it may be reset all the same.
#
#   warm_guest                     starts it: a raw disk and a qcow2 one that it writes to all the time, and one on SCSI, which it does not use
#   warm [OPTION...]; move_wait    to $DEST (to_local, to_listener)
#   runs_at_source                 what a rollback leaves behind: it runs, from its disks there, and nothing of the move is left
. "$(dirname "${BASH_SOURCE[0]}")/aftermath.sh"

QEMU_IO=${QEMU_IMG%/*}/qemu-io

warm_guest() { # [QEMU OPTION...]
	local a_mb=16 b_mb=24 ram_mb=8
	[[ $ACCEL != kvm ]] || a_mb=4 b_mb=4 ram_mb=2 # a host that is emulated itself is slow to look at all of it
	head -c ${a_mb}M /dev/urandom >"$DIR/a.raw"
	guest_disk "$DIR/b.qcow2" qcow2 ${b_mb}M
	guest_disk "$DIR/c.qcow2" qcow2 8M
	"$QEMU_IO" -f qcow2 -c 'write -P 0x5a 1M 2M' "$DIR/c.qcow2" >/dev/null
	MEM=128 WITNESS="ram_mb=$ram_mb rate=100 disks=vda,vdb disk_mb=$((a_mb / 2)) disk_rate=15 button=${BUTTON:-1}" \
		tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(guest_drive d1 "$DIR/b.qcow2" qcow2) $(guest_drive d2 "$DIR/c.qcow2" qcow2 scsi) \
		-device qemu-xhci -chardev null,id=nobody -device usb-serial,chardev=nobody \
		$(second_monitor a) "$@"
	SETTINGS=$(settings_of a)
}

warm() { # [OPTION...]
	move_start a "$DEST" --how warm "$@"
}

is_shut_down() { # guest a, whose QEMU is there still
	[[ $(status_of "$(free_monitor a)") == shutdown ]]
}

somebody_starts_it_again() { # here, when it has shut down and its QEMU is there still
	qmp "$(free_monitor a)" '{"execute": "system_reset"}' RESET >/dev/null
	wait_for 60 eval '[[ $(status_of "$(free_monitor a)") == prelaunch ]]' || fail "it is not reset"
	qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
}

is_told() { # returns when the guest has been told to shut down
	wait_event 'ev["event"] == "notice" and "told to shut down now" in ev["text"]' >/dev/null
}

boots() { # NAME: how often it has come up, wherever it is now
	grep -ac '^witness ready' "${GUEST_AT[$1]:-$DIR}/$1.console" || true
}

# Two ends that stand still, one of which may run it: whatever the guest wrote before it went down is on both.
assert_same_disks() {
	assert_same_content "$DIR/a.raw" raw "$TO/a.raw" raw
	assert_same_content "$DIR/b.qcow2" qcow2 "$TO/b.qcow2" qcow2
	assert_same_content "$DIR/c.qcow2" qcow2 "$TO/c.qcow2" qcow2
}

goes_on() { # NAME
	wait_for 60 has_disk_ops "$1" 10 || fail "the guest $1 does not write to its disks"
	guest_verify "$(orders "$1")" blocks
}

assert_arrived() {
	wait_for 60 is_alone || fail "not alone: $(ours | xargs -r ps -o pid=,args= -p)"
	assert_eq "$(cd "$TO" && ls -aU | sort | xargs)" ". .. a.console a.mon a.orders a.qmp a.raw a.sh b.qcow2 c.qcow2" "files at the destination"
	assert_nothing_unfinished
	wait_for 60 grep -aq '^witness ready' "$TO/a.console" || fail "it does not boot at the destination: $(tail -n 3 "$TO/a.console")"
	goes_on a
	assert_eq "$(boots a)" 1 "boots at the destination"
}

runs_at_source() { # BOOTS: so often it must have come up by now
	wait_for 60 eval '[[ $(boots a) == '"$1"' ]]' || fail "it came up $(boots a) times, not $1"
	goes_on a
	assert_at_source
}
