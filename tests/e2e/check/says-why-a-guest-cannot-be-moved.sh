#!/bin/bash
# A disk that is a part of its file, an external data file, an internal snapshot, a persistent bitmap that is not sound, a format that QEMU cannot migrate, encryption, a block job
# and an NBD server in use: each refused in words, and the guest is as before.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

not_moved() { # STATUS WORD NAME
	move_start "$3" local
	move_wait "$1"
	result 'r["reason"]' >"$DIR/reason"
	grep -q "$2" "$DIR/reason" || fail "the reason is not '$2': $(<"$DIR/reason")"
	assert_nothing_left
	assert_eq "$(settings_of "$3")" "$before" "settings of QEMU"
}

guest_b() { # [OPTION...]: it need not come up
	tiny_launch b $(second_monitor b) "$@"
	wait_for 60 monitor_answers "$DIR/b.mon"
	before=$(settings_of b)
}

image=$DIR/b.qcow2
guest_disk "$image" qcow2 64M
"$QEMU_IMG" create -q -f qcow2 -o data_file="$DIR/outside.raw" "$DIR/inside.qcow2" 64M
guest_b $(guest_drive d0 "$DIR/inside.qcow2" qcow2)
not_moved 3 "inside.qcow2 keeps its data in an external file" b
guest_stop b

"$QEMU_IMG" snapshot -c one "$image"
guest_b $(guest_drive d0 "$image" qcow2)
not_moved 3 "b.qcow2 has internal snapshots" b
guest_stop b

"$QEMU_IMG" snapshot -d one "$image"
"$QEMU_IMG" bitmap --add "$image" kept
guest_b $(guest_drive d0 "$image" qcow2)
kill_now "${GUEST_PID[b]}" # the guest is gone, so writes to its disk since are unknown
guest_b $(guest_drive d0 "$image" qcow2)
not_moved 3 "persistent dirty bitmap kept of disk .*b.qcow2 is in use by another client or job, or no longer sound" b
guest_stop b

"$QEMU_IMG" bitmap --remove "$image" kept
"$QEMU_IMG" create -q -f vmdk "$DIR/b.vmdk" 64M
guest_b -drive "file=$DIR/b.vmdk,format=vmdk,if=none,id=d0" -device virtio-blk-pci,drive=d0
not_moved 3 "QEMU .* cannot migrate this guest: The vmdk format .* does not support live migration" b
guest_stop b

guest_b $(guest_drive d0 "$image" qcow2) -device pvpanic -action panic=pause
qmp "$DIR/b.mon" '{"execute": "human-monitor-command", "arguments": {"command-line": "o /b 0x505 1"}}' >/dev/null
not_moved 3 "is in state 'guest-panicked'.*reset it (QMP system_reset, then cont)" b
guest_stop b

secret=(--object secret,id=key,data=hush)
"$QEMU_IMG" create -q "${secret[@]}" -f qcow2 -o encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10 "$DIR/luks.qcow2" 16M
guest_b "${secret[@]/#--/-}" -drive "file=$DIR/luks.qcow2,format=qcow2,encrypt.key-secret=key,if=none,id=d0" -device virtio-blk-pci,drive=d0
not_moved 3 "luks.qcow2 is encrypted by QEMU" b
guest_stop b

guest_b $(guest_drive d0 "$image" qcow2)
qmp "$DIR/b.mon" '{"execute": "drive-backup", "arguments": {"job-id": "theirs", "device": "d0", "sync": "full",
	"target": "'"$DIR/backup.raw"'", "format": "raw", "speed": 1}}' >/dev/null
before=$(settings_of b)
not_moved 3 "a block job (theirs, backup) is running" b
qmp "$DIR/b.mon" '{"execute": "block-job-cancel", "arguments": {"device": "theirs", "force": true}}' >/dev/null
guest_stop b

guest_b $(guest_drive d0 "$image" qcow2)
qmp "$DIR/b.mon" '{"execute": "nbd-server-start", "arguments":
	{"addr": {"type": "unix", "data": {"path": "'"$DIR/nbd"'"}}}}' >/dev/null
qmp "$DIR/b.mon" '{"execute": "block-export-add", "arguments": {"type": "nbd", "id": "theirs", "node-name": "'"$(
	qmp "$DIR/b.mon" '{"execute": "query-block"}' | sed 's/.*"node-name": "\([^"]*\)".*/\1/')"'"}}' >/dev/null
before=$(settings_of b)
not_moved 3 "exports a disk already (block export theirs)" b
qmp "$DIR/b.mon" '{"execute": "block-export-del", "arguments": {"id": "theirs"}}' >/dev/null
move_start b local
move_wait 1
assert_result '"NBD server" in r["reason"] and r["guest"] == "source"'
assert_nothing_left
qmp "$DIR/b.mon" '{"execute": "nbd-server-stop"}' >/dev/null || fail "the NBD server of someone else is gone"
