#!/bin/bash
# A guest with a TPM that a swtpm emulates: what it holds in memory (a PCR) and what it keeps (an NV index) is the same there, and back
# here, as the guest reads it. Each host has a swtpm of its own, which ends with its QEMU; what is left at the source is its directory.
# timeout: 240
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tpm.sh"

guest_disk "$DIR/a.raw" raw 16M
tpm_start a
MEM=256 APPEND=$TPM_APPEND WITNESS="ram_mb=16 rate=200 disks=vda disk_mb=8" guest_start a $(guest_drive d0 "$DIR/a.raw" raw) $TPM
tpm_write a first

move a local
tpm_adopt
tpm_assert a
assert_tpms 1
assert_result 'any("swtpm" in n for n in plan["notes"])' "the plan tells of it"
dir=$(echo "$TO"/a.tpm-*)
assert_eq "$(stat -c %a "$dir")" 700 "mode of its directory"
[[ -s $dir/tpm2-00.permall && -e $DIR/a-tpm/tpm2-00.permall ]] || fail "what it keeps: $(ls -l "$dir" "$DIR/a-tpm")"
[[ $(tr '\0' ' ' <"/proc/${GUEST_PID[a]}/cmdline") == *"path=$dir/socket "* ]] || fail "QEMU there has another socket"
tpm_write a second
assert_eq "$(grep -c "^/[^ ]*swtpm socket .*--daemon" "$TO/a.sh")" 1 "lines of the script that start it"

move a local
tpm_adopt
tpm_assert a
assert_tpms 1
tpm_write a third

# opaque, and as a TPM that has another interface would be no different
move a local --ram-mode opaque
tpm_adopt
tpm_assert a
guest_verify "$(orders a)" blocks
assert_tpms 1

# NAME.sh starts both again: what is kept is there
script=$TO/a.sh
guest_stop a
assert_tpms 0
rm -f "$TO/a.console"
"$script" </dev/null >"$DIR/again.log" 2>&1 &
guest_adopt a $!
ready() { grep -aqs '^witness ready' "$TO/a.console"; }
wait_for "${READY_S:-180}" ready || fail "the script does not start the guest: $(cat "$DIR/again.log")"
tpm_adopt
[[ $(tpm_read a) == *" stored=third" ]] || fail "what it keeps: $(tpm_read a)"
