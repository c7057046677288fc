#!/bin/bash
# A UEFI guest (OVMF) goes to another host: its firmware, which is not there, and its variables, with what they hold.
# takes: 18
. "$(dirname "$0")/../../lib/over-ssh.sh"
GUEST_START=guest_start
ovmf=$TOP/build/ovmf
[[ -e $ovmf/OVMF_CODE_4M.fd ]] || skip "no OVMF at $ovmf: run scripts/install-deps"
hosts_start
hide_from_b "$ovmf"
cp "$ovmf/OVMF_VARS_4M.fd" "$VM/a-vars.fd"
MACHINE=q35,pflash0=code,pflash1=vars ssh_guest a \
	-blockdev "driver=file,node-name=code-file,filename=$ovmf/OVMF_CODE_4M.fd,read-only=on,auto-read-only=on" \
	-blockdev driver=raw,node-name=code,file=code-file,read-only=on \
	-blockdev "driver=file,node-name=vars-file,filename=$VM/a-vars.fd" -blockdev driver=raw,node-name=vars,file=vars-file
! cmp -s "$ovmf/OVMF_VARS_4M.fd" "$VM/a-vars.fd" || fail "the firmware has written no variables"
ssh_move a root@host-b
assert_arrived
cmp "$VM/a-vars.fd" "$TO/a-vars.fd"
cmp "$ovmf/OVMF_CODE_4M.fd" "$(there "$ovmf/OVMF_CODE_4M.fd")"

# the guest starts again there from the files that have arrived
guest_order "$(orders a)" poweroff >/dev/null || true
wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "the guest does not power off"
rm -f "$TO/a.console"
start_on_b "$VM/a.sh" >"$DIR/again" 2>&1
ready_again() { grep -aqs 'witness ready' "$TO/a.console"; }
wait_for 180 ready_again || fail "the guest does not start again: $(tail -n 3 "$DIR/again" "$TO/a.console")"
