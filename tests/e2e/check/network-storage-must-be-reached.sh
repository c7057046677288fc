#!/bin/bash
# A disk or a medium behind a network stays where it is: whether the destination reaches it is tried before anything is touched.
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$TOP/tests/lib/network-disk.sh"

truncate -s 16M "$DIR/disk"
nbd_serve s "$DIR/disk"
WITNESS="ram_mb=16 rate=200" tiny_start a -drive "if=none,id=cd,media=cdrom,readonly=on,format=raw,file=$(nbd_uri s)" \
	-device ide-cd,drive=cd
vmferry check "${GUEST_PID[a]}" local --disk-dir "$TO" >"$DIR/check.out" 2>&1 || fail "it is reached: $(<"$DIR/check.out")"
end_process "$NBD_PID"
move_refused "the destination does not reach nbd+unix:///disk.*Connection refused\|the destination does not reach nbd+unix:///disk.*No such file" local
