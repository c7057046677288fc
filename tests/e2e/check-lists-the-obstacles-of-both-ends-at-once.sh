#!/bin/bash
# Whatever is in a guest's way at its source, in its command line and at the destination stands in one list: who puts right what is in it finds nothing
# new. `migrate` says the same.
# tier: gate
. "$(dirname "$0")/../lib/aftermath.sh"
PORT=$((20000 + $$ % 20000)) # has the guest itself

try() { # COMMAND [OPTION...]
	local status=0
	vmferry "$1" ${GUEST_PID[a]:+"${GUEST_PID[a]}"} local "${@:2}" >"$DIR/said" 2>&1 </dev/null || status=$?
	assert_eq "$status" "${STATUS:-3}" "exit code of $* ($(<"$DIR/said"))"
}

lists() { # PATTERN...
	local pattern
	for pattern; do
		grep -qE "^  [0-9]  .*$pattern" "$DIR/said" || fail "'$pattern' is not listed: $(<"$DIR/said")"
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

# In its command line: all options that cannot go; what they leave of it has a card without its network, and is not tried.
exec 9<>/dev/udp/127.0.0.1/9
touch "$DIR/there/a.raw" "$DIR/there/d1.qcow2"
launch -chardev null,id=c0 -device qemu-xhci -device "usb-mtp,rootdir=$DIR/there" -device usb-serial,chardev=c0 -fsdev "local,id=f0,path=$DIR/there,security_model=none" \
	-netdev socket,id=n1,fd=9 -device e1000,netdev=n1 -object throttle-group,id=g0,x-iops-total=500 \
	-blockdev "driver=throttle,node-name=t0,throttle-group=g0,file.driver=raw,file.file.driver=file,file.file.filename=$DIR/t.raw" -device virtio-blk-pci,drive=t0
exec 9<&-
try check --disk-dir "$DIR/there"
lists 'd1.qcow2 has internal snapshots' "t.raw is seen through the filter 'throttle'" 'uses a file descriptor' 'there/a.raw exists already' \
	'there/d1.qcow2 exists already' 'QEMU [0-9.]* cannot migrate this guest: .*serial' 'QEMU [0-9.]* cannot migrate this guest: .*mtp'
guest_stop a
rm "$DIR"/there/*
launch
STATUS=0 try check --disk-dir "$DIR/there" --drop snapshots
guest_stop a

# Of one that is shut down likewise.
exec 9<"$DIR/a.raw"
touch "$DIR/there/d1.qcow2"
GUEST_PID[a]=
try check --how cold --disk-dir "$DIR/there" --chain flatten -- "$QEMU" -name a -device vhost-user-fs-pci -fsdev proxy,id=f \
	-drive "file=$DIR/a.raw,format=raw" -drive "file=$DIR/d1.qcow2,format=qcow2"
lists '--chain flatten needs a guest that runs' "a.raw is open in process" '-device vhost-user-fs-pci' '-fsdev proxy' 'there/d1.qcow2 exists already'
exec 9<&-
rm "$DIR"/there/*
STATUS=0 try check --how cold --disk-dir "$DIR/there" -- "$QEMU" -name a -drive "file=$DIR/a.raw,format=raw" -drive "file=$DIR/d1.qcow2,format=qcow2"
