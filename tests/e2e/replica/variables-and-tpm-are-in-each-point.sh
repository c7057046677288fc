#!/bin/bash
# A guest with variables of its firmware and a TPM runs from its replica with its variables, and with what the TPM kept, as they were at that point: in a trial, in its
# primary's place, and when what starts it there is called again. A run that is thrown away leaves nothing of the TPM.
# timeout: 300
. "$(dirname "$0")/../../lib/replica.sh"
. "$(dirname "$0")/../../lib/tpm.sh"
seabios=$(find "$TOP/build/qemu/" -name bios-256k.bin | head -n 1) # in the place of UEFI firmware, which takes longer to begin

runs() { # KIND PART: the pid of the QEMU that runs from a point; of its swtpm
	python3 -S -c 'import json, sys; r = json.load(open(sys.argv[1]))[sys.argv[2]]; print((r[sys.argv[3]] if sys.argv[3:] else r)["pid"])' "$STORE/replica.json" "$@"
}

holds() { # DIRECTORY WORD: so does the TPM of the guest whose sockets are there
	wait_for 180 grep -aq 'witness ready' "$1/$A.console" || fail "it does not come up: $(tail -n 3 "$1/$A.console")"
	[[ $(guest_order "$1/$A.orders" tpm) == *" stored=$2" ]] || fail "its TPM holds $(guest_order "$1/$A.orders" tpm), not $2"
}

gone() { # DIRECTORY...: nothing of a run is left
	assert_tpms 1
	! ls -d "$@" "$THERE/$A".* 2>/dev/null | grep -v '\.replica$' || fail "that is left"
}

head -c 256K /dev/urandom >"$DIR/vars.fd"
tpm_start "$A"
MACHINE=q35 APPEND=$TPM_APPEND REPLICA_C=1M replica_start $TPM -drive "if=pflash,unit=0,format=raw,readonly=on,file=$seabios" \
	-drive "if=pflash,unit=1,format=raw,file=$DIR/vars.fd"
tpm_write "$A" first
replica_add
assert_eq "$(of_primary 'p["would_start"]["start"], p["would_start"]["why"]')" "(True, [])" "whether it would start there"
tpm_write "$A" second
sync
vars=$(in_point "$(slots | tail -n 1)" '[i for i, d in enumerate(p["disks"]) if d["from"].endswith("vars.fd")][0]')
disk_of "$(slots | tail -n 1)" "$vars"
cmp "$DIR/vars.fd" "$DIR/point.raw" || fail "its variables are not in the point"
assert_eq "$(stat -c %a "$STORE" "$(slots | tail -n 1)" | xargs)" "700 700" "modes of what has the contents of its TPM"

# a trial has those of its point
replica test "$A" --point 1 >"$DIR/out" || fail "test: $(cat "$DIR/out")"
kill_at_exit "$(runs test)" "$(runs test tpm)"
assert_tpms 2
holds "$STORE/test" first
replica test "$A" --end >"$DIR/out"
gone "$STORE/test"

# cut off when its TPM runs already, and thrown away
kill -KILL "${GUEST_PID[$A]}"
wait_for 60 process_is_gone "${GUEST_PID[$A]}"
assert_tpms 0
tpm_start "$A"
! VMFERRY_FAULT=replica-noted replica failover "$A" --peer-is-fenced >"$DIR/out" 2>&1 || fail "nobody has come to replica-noted"
kill_at_exit "$(runs run)" "$(runs run tpm)"
assert_tpms 2
replica failover "$A" --cancel >"$DIR/out" || fail "cancel: $(cat "$DIR/out")"
gone "$STORE/run"

# in its primary's place, and again by what starts it
replica failover "$A" --peer-is-fenced >"$DIR/out" 2>"$DIR/err" || fail "failover: $(cat "$DIR/err")"
pid=$(runs run)
kill_at_exit "$pid" "$(runs run tpm)"
holds "$THERE" second
guest_order "$THERE/$A.orders" 'tpm-store third' >/dev/null
kill -KILL "$pid"
wait_for 60 process_is_gone "$pid"
assert_tpms 1
rm -f "$THERE/$A.console"
"$THERE/$A.sh" >"$DIR/out" 2>&1 &
wait_for 60 pgrep -f "$STORE/run/disk0.qcow2" >/dev/null || fail "it is not started again: $(cat "$DIR/out")"
kill_at_exit $(pgrep -f "$STORE/run/disk0.qcow2") $(tpms)
holds "$THERE" third
