#!/bin/bash
# A move over SSH reports its obstacles before anything is touched: keys, users, a host that is not the one it was, no QEMU there or one
# that does not know the machine, no room there. At last a passphrase is typed, and the guest moves.
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
ssh_guest
keys=$HOME_A/keys
on_a mkdir -m 700 "$keys"
on_a ssh-keygen -q -t rsa -N '' -f "$keys/rsa"
on_a ssh-keygen -q -t ed25519 -N '' -f "$keys/stranger"
on_a ssh-keygen -q -t ed25519 -N 'open sesame' -f "$keys/locked"
allow_key "$(at_a "$HOME_A/.ssh/id_ed25519.pub")" "$(at_a "$keys")"/{rsa,locked}.pub
remember
known=$(at_a "$HOME_A/.ssh/known_hosts")

# users that may come
refused 3 'stranger: refused.*Put your public key there' root@host-b -i "$keys/stranger"
refused 3 'locked: not tried, as there is no terminal to ask you for its passphrase' root@host-b -i "$keys/locked"
pkg-config --exists 'libssh2 >= 1.11' || refused 3 'rsa: left out, as it is RSA; .*--ssh=openssh' root@host-b -i "$keys/rsa"
refused 3 'nobody-there@host-b:22 refused the login' nobody-there@host-b
refused 3 'Permission denied' root@host-b --ssh=openssh -i "$keys/stranger"
refused 3 'Connection refused' root@host-b:23

# whom we meet there
mv "$known" "$known.away"
refused 3 'the key of root@host-b:22 is not known.*--ssh-accept-new' root@host-b
ssh-keygen -q -t ed25519 -N '' -f "$DIR/other"
sed 's/^/host-b,10.231.0.2 /' "$DIR/other.pub" >"$known"
refused 3 'host-b.*has CHANGED' root@host-b
refused 3 'host-b.*has CHANGED' root@host-b --ssh-accept-new
rm "$known"

# programs at the destination; the host's key is accepted at the first of these
qemu=$(readlink -f "/proc/${GUEST_PID[a]}/exe")
: >"$DIR/nothing"
on_b mount --bind "$DIR/nothing" "$qemu"
refused 3 'no QEMU at the destination.*/qemu-system-x86_64' root@host-b --ssh-accept-new
grep -q host-b "$known" || fail "the new host's key was not kept"
printf '#!/bin/sh\necho "qemu-system-x86_64: unsupported machine type" >&2\nexit 1\n' >"$DIR/old"
chmod 755 "$DIR/old"
on_b umount "$qemu"
on_b mount --bind "$DIR/old" "$qemu"
refused 3 'does not take this guest.*unsupported machine type' root@host-b
on_b umount "$qemu"

# places at the destination
refused 3 "the directory $VM/none/there does not exist at the destination" root@host-b --disk-dir "$VM/none/there"
mkdir "$(there "$VM/tiny")"
on_b mount -t tmpfs -o size=8m tiny "$VM/tiny"
remember
refused 3 'the disks need [0-9.]+ MiB but .* has only 8.0 MiB free' root@host-b --disk-dir "$VM/tiny"
on_b umount "$VM/tiny"
rmdir "$(there "$VM/tiny")"
echo mine >"$(there "$VM/a.raw")"
remember
refused 3 "$VM/a.raw exists already at the destination; .*--disk-dir" root@host-b
assert_eq "$(<"$(there "$VM/a.raw")")" mine "the file that was there"
rm "$(there "$VM/a.raw")"

# finally with a passphrase
on_a env -u SSH_AUTH_SOCK python3 -S "$TOP/tests/lib/typing.py" 'open sesame' -- "$BIN/vmferry" migrate "${GUEST_PID[a]}" root@host-b \
	-i "$keys/locked" >"$DIR/typed" || fail "$(<"$DIR/typed")"
grep -q "migrated.*: the guest runs at the destination" "$DIR/typed" || fail "$(<"$DIR/typed")"
adopt_on_b a
assert_arrived
