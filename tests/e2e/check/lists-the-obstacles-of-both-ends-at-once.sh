#!/bin/bash
# One list has every obstacle of a guest at its source, in its command line and at the destination: whoever removes those finds no new one.
# `migrate` reports the same.
# takes: 15
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"
PORT=$((20000 + $$ % 20000)) # has the guest itself

try() { # COMMAND [OPTION...]
	local status=0
	vmferry "$1" ${GUEST_PID[a]:+"${GUEST_PID[a]}"} local "${@:2}" >"$DIR/said" 2>&1 </dev/null || status=$?
	assert_eq "$status" "${STATUS:-3}" "exit code of $* ($(<"$DIR/said"))"
}

lists() { # PATTERN...
	local pattern
	for pattern; do
		grep -qE "^  [0-9]+  .*$pattern" "$DIR/said" || fail "'$pattern' is not listed: $(<"$DIR/said")"
	done
	grep -q "^refused: $# things stand in the way" "$DIR/said" || fail "$# things, and said are: $(<"$DIR/said")"
}

launch() { # [QEMU OPTION...]
	guest_a $(guest_drive d1 "$DIR/d1.qcow2" qcow2) "$@"
}

guest_disk "$DIR/d1.qcow2" qcow2 16M
guest_disk "$DIR/t.raw" raw 16M
"$QEMU_IMG" snapshot -c one "$DIR/d1.qcow2"
mkdir "$DIR/there"
touch "$DIR/there/a.raw" "$DIR/there/d1.qcow2"

# At the source: a disk, an option. There: both disks' places, and what its QEMU would fail at.
launch -netdev "user,id=n0,hostfwd=tcp:127.0.0.1:$PORT-:22" -device e1000,netdev=n0
for command in check migrate; do
	try $command --disk-dir "$DIR/there" --disk nosuch=/x --reuse nosuch=/x
	lists 'd1.qcow2 has internal snapshots' '--disk nosuch=/x: no disk' '--reuse nosuch=/x: no disk' 'there/a.raw exists already' 'there/d1.qcow2 exists already' \
		'another process has that port'
done
rm "$DIR"/there/*
STATUS=0 try check --disk-dir "$DIR/there" --drop snapshots --map-net n0=user
guest_stop a

# While it ran: jobs of others, what was plugged in and out. Each is told, and what hangs on one of them is not; who ends them all is done.
ask() { # COMMAND ARGUMENTS [EVENT]
	qmp "$DIR/a.mon" '{"execute": "'"$1"'", "arguments": {'"$2"'}}' ${3:+"$3"} >/dev/null || fail "QEMU refuses $1 $2"
}

plug() { # TYPE ID [ARGUMENTS]
	ask device_add '"driver": "'"$1"'", "id": "'"$2"'"'"${3:+, $3}"
}

truncate -s 1M "$DIR"/{one,two}.iso
cp "$DIR/t.raw" "$DIR/t0.raw"
launch -device pcie-root-port,id=p1,chassis=1 -device pcie-root-port,id=p2,chassis=2 -device pcie-root-port,id=p3,chassis=3 \
	$(guest_drive d2 "$DIR/t.raw" raw) -device qemu-xhci,id=x -device usb-mouse,id=m1,bus=x.0,port=1 -device usb-kbd,id=m2,bus=x.0,port=2 \
	-device virtio-scsi-pci,id=s -device scsi-cd,id=cd1,bus=s.0 -device scsi-cd,id=cd2,bus=s.0 -device virtio-serial-pci,id=ser
ask drive-backup '"job-id": "b", "device": "d0", "sync": "full", "target": "'"$DIR/backup.raw"'", "format": "raw", "speed": 1'
ask drive-mirror '"job-id": "m", "device": "d1", "sync": "full", "target": "'"$DIR/mirror.raw"'", "format": "raw"' BLOCK_JOB_READY
ask blockdev-add '"driver": "file", "node-name": "n", "filename": "'"$DIR/t0.raw"'"'
ask blockdev-mirror '"job-id": "f", "device": "d2", "sync": "full", "target": "n", "speed": 1, "filter-node-name": "above"'
plug ioh3420 late1 '"bus": "p1", "chassis": 9'
plug nec-usb-xhci late2 '"bus": "p2"'
plug usb-tablet late3 '"bus": "late2.0", "port": "1"'
plug virtserialport late4 '"bus": "ser.0", "name": "late"'
for id in m1 m2; do ask device_del '"id": "'$id'"' DEVICE_DELETED; done
ask blockdev-change-medium '"id": "cd1", "filename": "'"$DIR/one.iso"'", "format": "raw", "force": true'
ask blockdev-change-medium '"id": "cd2", "filename": "'"$DIR/two.iso"'", "format": "raw", "force": true'
try check --disk-dir "$DIR/there"
lists 'd1.qcow2 has internal snapshots' 'a block job .b, backup. is running' 'a block job .m, mirror. is running.* complete it .block-job-complete.' \
	'a block job .f, mirror. is running' 'device late1 .ioh3420. was plugged in' 'device late2 .nec-usb-xhci. was plugged in' \
	'device late4 .virtserialport. was plugged in' 'device m1 was unplugged' 'device m2 was unplugged' 'medium .*one.iso was inserted' 'medium .*two.iso was inserted'
guest_stop a
rm -f "$DIR"/{backup,mirror}.raw

# In its command line: all options that cannot go; what they leave of it has a card without its network, and is not tried.
exec 9<>/dev/udp/127.0.0.1/9
touch "$DIR/there/a.raw" "$DIR/there/d1.qcow2"
launch -chardev null,id=c0 -device qemu-xhci -device "usb-mtp,rootdir=$DIR/there" -device usb-serial,chardev=c0 -fsdev "local,id=f0,path=$DIR/there,security_model=none" \
	-netdev socket,id=n1,fd=9 -device e1000,netdev=n1 \
	-blockdev "driver=preallocate,node-name=t0,file.driver=raw,file.file.driver=file,file.file.filename=$DIR/t.raw" -device virtio-blk-pci,drive=t0
exec 9<&-
try check --disk-dir "$DIR/there"
lists 'd1.qcow2 has internal snapshots' "t.raw is seen through the filter 'preallocate'" 'uses a file descriptor' 'there/a.raw exists already' \
	'there/d1.qcow2 exists already' 'QEMU [0-9.]* cannot migrate this guest: .*serial' 'QEMU [0-9.]* cannot migrate this guest: .*mtp'
guest_stop a
rm "$DIR"/there/*
launch
STATUS=0 try check --disk-dir "$DIR/there" --drop snapshots
guest_stop a

# A guest that is shut down has the same list.
exec 9<"$DIR/a.raw"
touch "$DIR/there/d1.qcow2"
GUEST_PID[a]=
try check --how cold --disk-dir "$DIR/there" --chain flatten -- "$QEMU" -name a -fsdev proxy,id=f \
	-drive "file=$DIR/a.raw,format=raw" -drive "file=$DIR/d1.qcow2,format=qcow2"
lists '--chain flatten needs a guest that runs' "a.raw is open in process" '-fsdev proxy' 'there/d1.qcow2 exists already'
exec 9<&-
rm "$DIR"/there/*
STATUS=0 try check --how cold --disk-dir "$DIR/there" -- "$QEMU" -name a -drive "file=$DIR/a.raw,format=raw" -drive "file=$DIR/d1.qcow2,format=qcow2"
