#!/bin/bash
# A qcow2 image's data file that is given to QEMU by another name than the image's, in whichever way, is told apart from the one that the image names: the move
# is refused, as nothing would look whether that file was written to here once the guest is elsewhere.
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

"$QEMU_IMG" create -q -f qcow2 -o "data_file=$DIR/a.data,data_file_raw=on,preallocation=falloc" "$DIR/a.qcow2" 16M
mv "$DIR/a.data" "$DIR/other.data"
json='json:{"driver":"qcow2","file":{"driver":"file","filename":"'$DIR/a.qcow2'"},"data-file":{"driver":"file","filename":"'$DIR/other.data'"}}'

is_refused() { # QEMU OPTION...
	MEM=64 WITNESS="ram_mb=8 rate=200 disks=vda disk_mb=8 disk_rate=40" tiny_start a "$@" -device virtio-blk-pci,drive=d0,id=d0-dev
	move_start a local --drop data-file --revert-within 1h
	move_wait 3
	assert_result "'$DIR/other.data' in r['reason']"
	end_process "${GUEST_PID[a]}"
}

is_refused -blockdev "driver=file,node-name=data,filename=$DIR/other.data" -blockdev "driver=file,node-name=file,filename=$DIR/a.qcow2" \
	-blockdev driver=qcow2,node-name=d0,file=file,data-file=data
is_refused -drive "file=$DIR/a.qcow2,format=qcow2,if=none,id=d0,data-file.driver=file,data-file.filename=$DIR/other.data"
is_refused -drive "file=${json//,/,,},if=none,id=d0"
