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

# The host says what it has, and that the guest runs there now; nothing of ours is left of the question.
vmferry_on_a list root@host-b >"$DIR/said" 2>&1 || fail "list: $(<"$DIR/said")"
grep -Eq "^a +${GUEST_PID[a]} +[0-9.]+ MiB +[0-9]+ +root$" "$DIR/said" || fail "it does not tell of the guest: $(<"$DIR/said")"
grep -Eq '^root@host-b: .* of memory, .* available; [0-9]+ processors, load ' "$DIR/said" || fail "it does not tell of the host: $(<"$DIR/said")"
vmferry_on_a list root@host-b --json | python3 -c 'import json, sys; h = json.load(sys.stdin); assert h["memory_total"] > h["memory_available"] > 0 and h["volumes"], h' || fail "it cannot be read"
[[ -z $(find_on_b 'vmferry-dst') ]] || fail "an agent is left there"
