#!/bin/bash
# A tap of which nothing is said is made something of by QEMU's own script, of which `check` sees whether it is there. One with script=no
# needs none; a QEMU that somebody built has its own elsewhere, as it was told to.
# takes: 5
. "$(dirname "$0")/../../lib/move.sh"
[[ ! -e /etc/qemu-ifup ]] || skip "this host has QEMU's own script"

mkdir -p "$DIR/usr/bin"
printf '#!/bin/sh\nexec "%s" "$@"\n' "$QEMU" >"$DIR/usr/bin/qemu-system-x86_64" # a wrapper as distributions have it
chmod +x "$DIR/usr/bin/qemu-system-x86_64"

check() { # NAME QEMU TAP-OPTIONS: in DIR/check
	printf '#!/bin/sh\nexec %s -accel tcg -m 64 -name %s -display none -nodefaults -no-user-config -netdev tap,id=n%s -device e1000,netdev=n\n' \
		"$2" "$1" "$3" >"$DIR/$1.sh"
	chmod +x "$DIR/$1.sh"
	vmferry check "$DIR/$1.sh" local --how cold --disk-dir "$DIR/there" >"$DIR/check" 2>&1
}

check own "$DIR/usr/bin/qemu-system-x86_64" '' && fail "check takes a guest whose QEMU would not start there: $(<"$DIR/check")"
grep -q -- "-netdev needs script /etc/qemu-ifup, which does not exist at the destination: bring it there (--map-net NIC=" "$DIR/check" || fail "check says: $(<"$DIR/check")"
check none "$DIR/usr/bin/qemu-system-x86_64" ,ifname=none,script=no || true
! grep qemu-ifup "$DIR/check" || fail "check wants a script for one that has none: $(<"$DIR/check")"
check built "$QEMU" '' || fail "check does not take it: $(<"$DIR/check")"
