#!/bin/bash
# `check`, and a move before anything is touched, find each error that the destination's QEMU would report when it is started: all of them
# at once, each with its remedy. After the remedies the guest moves, into a directory that the move makes; a move that is rolled back
# removes that directory again.
. "$(dirname "$0")/../../lib/tap.sh"
HELPER=$TOP/build/qemu/usr/lib/qemu/qemu-bridge-helper
[[ -x $HELPER ]] || skip "no qemu-bridge-helper beside the QEMU of the tests"
PORT=5922 # in a network of the test's own

mkdir -p "$DIR/etc"
[[ -d /etc/qemu ]] || { mkdir /etc/qemu && at_exit "rmdir /etc/qemu"; }
mount --bind "$DIR/etc" /etc/qemu # the list of allowed bridges, which is empty yet
at_exit "umount /etc/qemu"

refused() { # COMMAND [OPTION...]: what it says is in said
	local status=0
	vmferry "$1" "${GUEST_PID[a]}" local "${@:2}" >"$DIR/said" 2>&1 </dev/null || status=$?
	assert_eq "$status" 3 "exit code of $* ($(tail -n 5 "$DIR/said"))"
}

says() { # PATTERN
	grep -qE "$1" "$DIR/said" || fail "'$1' is not said: $(<"$DIR/said")"
}

guest_a -netdev user,id=n0 -device e1000,netdev=n0 -netdev "user,id=n1,hostfwd=tcp:127.0.0.1:$PORT-:22" -device e1000,netdev=n1
BRIDGED=(--map-net "n0=bridge:br0,helper=$HELPER")
for command in check migrate; do
	refused $command --disk-dir "$DIR/no/where" "${BRIDGED[@]}"
	says '^refused: 3 things stand in the way$'
	says "^  [123]  the directory $DIR/no/where does not exist at the destination: make it there \(mkdir -p $DIR/no/where\)"
	says '^  [123]  QEMU may not use br0 at the destination: put "allow br0" into /etc/qemu/bridge.conf there'
	says '^  [123]  another process has that port at the destination.*--map-net NIC=user'
done
[[ -z $(ls -A "$DIR/no" 2>/dev/null) && -z $(ls -A "$VMFERRY_RUNTIME_DIR") ]] || fail "something was made"
refused check --disk-dir "$DIR/new" --map-net n1=user "${BRIDGED[@]}"
says '^refused: QEMU may not use br0'

echo 'allow br0' >"$DIR/etc/bridge.conf"
vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/new" --map-net n1=user "${BRIDGED[@]}" >"$DIR/said" 2>&1 </dev/null ||
	fail "check: $(<"$DIR/said")"
says "the directory $DIR/new is not there, and is made"
[[ ! -e $DIR/new ]] || fail "check has made $DIR/new"

VMFERRY_FAULT=after-DST_PREPARED:kill RECONNECT_S=1 move_start a local --disk-dir "$DIR/new" --map-net n1=user "${BRIDGED[@]}"
move_wait 1
[[ ! -e $DIR/new ]] || fail "the directory of a move that was rolled back is there: $(ls -A "$DIR/new")"
guest_verify "$(orders a)"

move_start a local --disk-dir "$DIR/new" --map-net n1=user "${BRIDGED[@]}"
TO=$DIR/new
move_wait
guest_verify "$(orders a)"
[[ -n $(ip -o link show master br0) ]] || fail "the guest is not on its bridge"
