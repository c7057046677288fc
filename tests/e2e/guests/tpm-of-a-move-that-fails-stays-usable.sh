#!/bin/bash
# A move of a guest with a TPM that fails: with no swtpm at the destination it is refused; one that is rolled back when all was there, the TPM's
# state, too, leaves the guest its TPM with what it held, which goes on working. Then it can be moved.
# timeout: 240
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/tpm.sh"

tpm_start a
GUEST_START=guest_start APPEND=$TPM_APPEND guest_a $TPM
tpm_write a first

fault dst-no-swtpm fail
to_local
move_start a local
move_wait 3
unset VMFERRY_FAULT
assert_result '"no swtpm at the destination" in r["reason"] and "apt install swtpm" in r["reason"]'
assert_at_source
tpm_assert a

# the TPM's state does not reach stable storage there: nothing is promised
not_durable() { # [OPTION...]
	fault dst-tpm-not-durable fail
	move_start a local "$@"
	move_wait 1
	unset VMFERRY_FAULT
	assert_result '"TPM" in r["reason"] and r["guest"] == "source"'
	assert_at_source
	assert_tpms 1
	tpm_assert a
}
not_durable
truncate -s 64M "$DIR/ext4"
mkdir "$DIR/untyped"
if mkfs.ext4 -q -O ^filetype "$DIR/ext4" && mount -o loop "$DIR/ext4" "$DIR/untyped" 2>/dev/null; then # readdir() tells no types
	at_exit 'umount "$DIR/untyped"'
	not_durable --disk-dir "$DIR/untyped"
	assert_eq "$(ls "$DIR/untyped")" lost+found "files at the destination"
else
	echo "skipped: no file system can be mounted here"
fi

move_until local src-ready:stop
assert_tpms 2
kill_now "$(qemu_dst)"
fault_continue
move_wait 1
assert_at_source
assert_tpms 1
tpm_assert a
tpm_write a second
guest_verify "$(orders a)" blocks

move_until local memory
assert_tpms 2
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 1
assert_at_source
assert_tpms 1
tpm_write a third

move a local
tpm_adopt
assert_tpms 1
tpm_assert a
tpm_write a fourth
