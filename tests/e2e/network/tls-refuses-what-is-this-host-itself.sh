#!/bin/bash
# Two hosts that have the same key: whoever stands between them can turn a source round to the agent of its own host. It notices,
# and nothing is touched. Here that host has an address of another one.
if [[ -z ${TURNED_ROUND:-} ]]; then
	[[ $(id -u) -eq 0 ]] || { echo "skip: only root can make a network namespace"; exit 77; }
	TURNED_ROUND=yes exec unshare --net bash "$0"
fi
. "$(dirname "$0")/../../lib/aftermath.sh"
ip link set lo up
ip address add 192.0.2.1/32 dev lo
guest_a
(umask 077 && echo "host-a:$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')" >"$DIR/psk")
to_listener --psk-file "$DIR/psk" --listen 0.0.0.0:0
move_start a "192.0.2.1:${DST_ADDRESS##*:}" --psk-file "$DIR/psk"
move_wait 3
result 'r["reason"]' | grep -q "of this host itself" || fail "the reason is: $(result 'r["reason"]')"
assert_at_source
move a "127.0.0.1:${DST_ADDRESS##*:}" --psk-file "$DIR/psk"
assert_moved
