#!/bin/bash
# The destination agent dies when it has begun to start a swtpm: in no case is there one left that nobody knows of, nor its directory; not
# either when that whole side has died, and is started again.
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/tpm.sh"

tpm_start a
guest_a $TPM
for point in dst-swtpm-forked dst-swtpm-noted dst-swtpm-launched dst-qemu-launched; do
	move_until listener "$point"
	move_wait 1
	assert_at_source
	assert_tpms 1
done

move_until listener dst-qemu-forked:stop
assert_tpms 2
kill_now "$DST_PID"
kill_now "$FAULT_PID"
move_wait 4
tpm_adopt
assert_tpms 2
listen_dst --listen "$DEST"
assert_tpms 1
recover 1
assert_at_source

# a file that somebody put into the TPM's directory is not removed with it
move_until local dst-qemu-forked:stop
dir=$(echo "$TO"/a.tpm-*)
echo mine >"$dir/notes"
kill_now "$(qemu_dst || pgrep -f "swtpm socket .*$TO")"
fault_continue
move_wait 4
assert_result 'any("a.tpm-" in l for l in r["leftovers"])'
assert_eq "$(cat "$dir/notes")" mine "a file of somebody's in its directory"
assert_tpms 1
