#!/bin/bash
# `vmferry migrate VM root@host-b` and no more: that host has QEMU and sshd, and neither vmferry nor the guest's kernel. The
# agent goes there and away again, data flows through TLS, and the disk is at the same path there as it was here.
# tier: gate
. "$(dirname "$0")/../../lib/over-ssh.sh"
GUEST_START=guest_start
hosts_start
ssh_guest
ssh_move a root@host-b
assert_arrived
assert_result 'r["transport"] == "TLS 1.3, TLS_AES_128_GCM_SHA256"'
assert_result 'r["verified"]'
[[ -s $TO/a.raw && -s $VM/a.raw ]] || fail "disks: $(ls -l "$TO" "$VM")"
assert_eq "$(readlink "/proc/${GUEST_PID[a]}/ns/net")" "$(readlink "/proc/$HOST_B/ns/net")" "the network that QEMU is in"
assert_result '[f["transfer"] for f in plan["files"]] == ["copy", "copy"]' # the kernel and its initrd
