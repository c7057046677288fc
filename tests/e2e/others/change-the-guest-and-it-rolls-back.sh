#!/bin/bash
# timeout: 400
# Backup tools and people act on the guest while it is copied: a snapshot, a job, another medium, a larger disk, devices in and out.
# None of it may end in "verified" over what was not copied: the move is rolled back, says what was done, and the guest goes on.
# takes: 30
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

ask() { # COMMAND-JSON [EVENT]
	qmp "$(free_monitor a)" "$@" >/dev/null || fail "QEMU refuses $1"
}

rolled_back() { # TEXT
	move_wait 1
	assert_result "'$1' in r['reason']"
	wait_for 10 is_alone || true
	assert_nothing_left
	assert_nothing_unfinished
	assert_eq "$(settings_of a | grep -vE "^(node|jobs)")" "$(grep -vE "^(node|jobs)" <<<"$SETTINGS")" "settings of QEMU"
	[[ $(settings_of a) != *vmferry* ]] || fail "left in QEMU: $(settings_of a)"
	guest_verify "$(orders a)" blocks >/dev/null
}

begin() { # while_disks|while_ram [OPTION...]
	to_local
	if [[ $1 == while_disks ]]; then move_start a local "${SLOW_DISKS[@]}" "${@:2}"; else move_start a local "${SLOW_RAM[@]}" "${@:2}"; fi
	"$1"
}

goes_on() { # to where it is noticed, unless it has been
	vmferry set "${GUEST_PID[a]}" bwlimit=0 >/dev/null 2>&1 || true
}

newest_without_id() {
	qmp "$(free_monitor a)" '{"execute": "qom-list", "arguments": {"path": "/machine/peripheral-anon"}}' | grep -o 'device\[[0-9]*\]' | sort -V | tail -n 1
}

truncate -s 1M "$DIR/first.iso" "$DIR/second.iso"
guest_a -device qemu-xhci -device usb-tablet,id=tablet -device virtio-scsi-pci,id=bus -drive "file=$DIR/first.iso,format=raw,if=none,id=cd0,media=cdrom" -device scsi-cd,drive=cd0,id=cd

snapshot='{"execute": "blockdev-snapshot-sync", "arguments": {"device": "d0", "snapshot-file": "'$DIR'/snapN.qcow2", "format": "qcow2"}}'
commit='{"execute": "block-commit", "arguments": {"device": "d0", "job-id": "backN"}}'
end_job='{"execute": "block-job-complete", "arguments": {"device": "backN"}}'

n=0
for stage in while_disks while_ram; do
	[[ $stage == while_disks ]] || beyond_gate e2e/others/migrate-the-guest-away-while-it-is-copied || continue # the change is told from memory's copy, too
	n=$((n + 1))
	begin "$stage"
	ask "${snapshot/snapN/snap$n}"
	rolled_back "another client changed drive"
	ask "${commit/backN/back$n}" BLOCK_JOB_READY
	ask "${end_job/backN/back$n}" BLOCK_JOB_COMPLETED
done

# In the blackout itself.
n=$((n + 1))
move_until local src-pre-switchover:stop
ask "${snapshot/snapN/snap$n}"
fault_continue
rolled_back "another client changed drive"
ask "${commit/backN/back$n}" BLOCK_JOB_READY
ask "${end_job/backN/back$n}" BLOCK_JOB_COMPLETED

begin while_ram
ask '{"execute": "drive-mirror", "arguments": {"device": "d0", "job-id": "copy", "target": "'$DIR'/copy.raw", "format": "raw", "sync": "full"}}'
rolled_back "another client began a block job (copy"
ask '{"execute": "block-job-cancel", "arguments": {"device": "copy", "force": true}}'
wait_for 60 eval '[[ $(qmp "$(free_monitor a)" "{\"execute\": \"query-block-jobs\"}") == "[]" ]]' || fail "the job does not end"

# A job that is over when the guest stops was there all the same.
begin while_ram
ask '{"execute": "drive-backup", "arguments": {"device": "d0", "job-id": "backup", "target": "'$DIR'/backup.raw", "format": "raw", "sync": "full"}}' \
	BLOCK_JOB_COMPLETED
rolled_back "another client began a block job (backup"

if beyond_gate; then # another node under a drive, as a snapshot is
	begin while_disks
	ask '{"execute": "blockdev-change-medium", "arguments": {"id": "cd", "filename": "'"$DIR/second.iso"'", "format": "raw", "force": true}}'
	rolled_back "another client changed drive"
	ask '{"execute": "blockdev-change-medium", "arguments": {"id": "cd", "filename": "'"$DIR/first.iso"'", "format": "raw", "force": true}}'
fi

# While a disk is exported QEMU refuses: between two rounds it does not.
begin while_ram --hold
resize='{"execute": "block_resize", "arguments": {"device": "d0", "size": 33554432}}'
if wait_for 10 eval 'qmp "$(free_monitor a)" "$resize" >/dev/null 2>&1'; then
	vmferry switch --no-wait "${GUEST_PID[a]}" >/dev/null 2>&1 || true # the move may have noticed it by then
	rolled_back "33554432 bytes"
	ask "${resize/33554432/16777216}"
else
	vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
	move_wait 1
fi

if beyond_gate; then # either by itself: what comes next is both
	begin while_disks
	ask '{"execute": "device_add", "arguments": {"driver": "scsi-cd", "id": "late", "bus": "bus.0"}}'
	goes_on
	move_wait 1
	assert_result '"late" in r["reason"]'
	ask '{"execute": "device_del", "arguments": {"id": "late"}}' DEVICE_DELETED

	begin while_disks
	ask '{"execute": "device_del", "arguments": {"id": "tablet"}}' DEVICE_DELETED # a device whose removal no guest has to agree to
	goes_on
	rolled_back tablet
	ask '{"execute": "device_add", "arguments": {"driver": "usb-tablet", "id": "tablet", "port": "1"}}' # the same device again
fi

begin while_disks
ask '{"execute": "device_del", "arguments": {"id": "tablet"}}' DEVICE_DELETED
ask '{"execute": "device_add", "arguments": {"driver": "usb-tablet", "id": "tablet", "port": "3"}}' # the same name, and another place
goes_on
rolled_back "took the device tablet out"
ask '{"execute": "device_del", "arguments": {"id": "tablet"}}' DEVICE_DELETED
ask '{"execute": "device_add", "arguments": {"driver": "usb-tablet", "id": "tablet", "port": "1"}}'

# A device without an id has no name but its place in QEMU.
begin while_disks
ask '{"execute": "device_add", "arguments": {"driver": "usb-tablet", "port": "2"}}'
goes_on
rolled_back "plugged a device in or out"
ask '{"execute": "device_del", "arguments": {"id": "/machine/peripheral-anon/'"$(newest_without_id)"'"}}' DEVICE_DELETED

if beyond_gate e2e/others/migrate-the-guest-away-while-it-is-copied; then
	begin while_ram
	ask '{"execute": "migrate_cancel"}'
	rolled_back "another client cancelled"
fi

# A harmless change lets the move go on. Limits of a disk's I/O do not go along, which is reported.
begin while_disks
ask '{"execute": "block_set_io_throttle", "arguments": {"device": "d0", "bps": 0, "bps_rd": 0, "bps_wr": 500000000, "iops": 0, "iops_rd": 0, "iops_wr": 0}}'
state=running
if beyond_gate e2e/others/stop-the-guest-and-it-arrives-paused; then
	ask '{"execute": "stop"}'
	qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null || state=paused # a guest that stands is handed over at once
fi
goes_on
move_wait
assert_result "len([n for n in notices if 'changed the I/O limits of disk $DIR/a.raw' in n]) == 1" "what is told of limits"
assert_eq "$(status_of "$(free_monitor a)")" $state "the guest at the destination"
[[ $state == running ]] || qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
guest_verify "$(orders a)" blocks
