#!/bin/bash
# Known, hashed, unknown, changed, revoked host keys; accept-new; a host or a known_hosts with RSA only.
# tier: gate
. "$(dirname "$0")/../../lib/ssh-host.sh"
ssh_hosts_start
known=$HOME_A/.ssh/known_hosts
file=$(at_a "$known")
print=$(ssh-keygen -lf "$HOSTS/key_ed25519.pub" | cut -d' ' -f2)
ssh-keygen -q -t ed25519 -N '' -f "$DIR/other"
rsa_is_usable=$(pkg-config --exists 'libssh2 >= 1.11' && echo yes || true)

only() { # TYPE: known_hosts has only this, and that is enough
	know_host_b "$1"
	tool 0 root@host-b exec true
}
only ed25519
only ecdsa
know_host_b
on_a ssh-keygen -q -H -f "$known" 2>/dev/null
grep -q host-b "$file" && fail "not hashed"
tool 0 root@host-b exec true
tool 99 root@10.231.0.1 exec true
cp "$file" "$(at_a /etc/ssh/ssh_known_hosts)"
: >"$file"
tool 0 root@host-b exec true
rm "$(at_a /etc/ssh/ssh_known_hosts)"

tool 99 root@host-b exec true # unknown
said "the key of root@host-b:22 is not known: ssh-ed25519 ${print//+/.}\."
said '--ssh-accept-new'
[[ ! -s $file ]] || fail "an unknown key was added"
rm -r "$(at_a "$HOME_A/.ssh/known_hosts")"
tool 0 -n root@host-b exec true
assert_eq "$(cut -d' ' -f1,2 "$file")" 'host-b ssh-ed25519' "what was added"
assert_eq "$(stat -c %a "$file")" 600
tool 0 root@host-b exec true
on_a ssh -o BatchMode=yes -o StrictHostKeyChecking=yes root@host-b true || fail "ssh does not understand what was added"
printf '# no newline here' >"$file"
tool 0 -n root@host-b exec true
tool 0 root@host-b exec true

for with in '' -n; do # changed
	know_host_b ecdsa
	printf 'host-b %s\n' "$(cut -d' ' -f1,2 "$DIR/other.pub")" >"$file"
	cp "$file" "$DIR/before"
	tool 99 $with root@host-b exec true
	said "the key of root@host-b:22 has CHANGED: it shows ssh-ed25519 ${print//+/.}, but line 1 of $known has another"
	said "ssh-keygen -f $known -R 'host-b'"
	cmp "$file" "$DIR/before" || fail "known_hosts was changed"
done
not_read() { # WHY: known_hosts has another key of this host, and is not read to its end
	cp -r "$file" "$DIR/before"
	for with in '' -n; do
		tool 99 $with root@host-b exec true
		said "$1"
	done
	diff -r "$file" "$DIR/before" || fail "known_hosts was changed"
	rm -r "$file" "$DIR/before"
}
changed="host-b $(cut -d' ' -f1,2 "$DIR/other.pub")"
printf '# \0 \n%s\n' "$changed" >"$file"
not_read 'has CHANGED'
{
	printf '%s\n' "$changed"
	head -c 9M /dev/zero | tr '\0' '\n'
} >"$file"
not_read "$known is longer than 8 MiB, so the key of host-b cannot be looked up there"
mkdir "$file"
not_read "cannot read $known, so the key of host-b cannot be looked up there: Is a directory"

know_host_b
sed -n 's/^host-b,[^ ]* ssh-ed25519/@revoked * ssh-ed25519/p' "$file" >>"$file"
for with in '' -n; do
	tool 99 $with root@host-b exec true
	said 'is marked as revoked in line 4'
done
know_host_b
sed -i 's/^/@cert-authority /' "$file" # an authority's key is not the host's
tool 99 root@host-b exec true
said 'is not known'

sshd_stop # another port has a name of its own
sshd_start "ListenAddress $B_ADDRESS:2222"
know_host_b
tool 99 root@host-b:2222 exec true
said 'is not known'
sed -i 's/^host-b,[^ ]*/[host-b]:2222/' "$file"
tool 0 root@host-b:2222 exec true

sshd_stop # known keys are no longer offered
sshd_start "HostKey $HOSTS/key_ecdsa"
know_host_b ed25519
tool 99 -n root@host-b exec true
said 'no longer shows a key of a type that .* has for it \(ssh-ed25519\), but offers ecdsa-sha2-nistp256'

sshd_stop
sshd_start "HostKey $HOSTS/key_rsa"
know_host_b
tool_rsa() { [[ -n $rsa_is_usable ]] && tool 0 "${@:2}" || { tool 99 "${@:2}"; said "$1"; }; }
tool_rsa 'no longer shows|only an RSA host key.*--ssh=openssh' root@host-b exec true
: >"$file"
tool_rsa 'has only an RSA host key.*--ssh=openssh' -n root@host-b exec true
know_host_b rsa
tool_rsa 'known_hosts has only a key of type ssh-rsa.*--ssh=openssh' root@host-b exec true
tool 0 -o -b root@host-b exec true
: >"$file"
tool 99 -o -b root@host-b exec true
said 'ssh to root@host-b:22 failed: .*Host key verification failed'
tool 0 -o -b -n root@host-b exec true
