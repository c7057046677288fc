#!/bin/bash
# A guest with variables of its firmware and a TPM goes to its replica as it runs, and another one shut down: both have what theirs held, and what starts the guest there again
# starts its TPM. None runs at the primary any more.
# timeout: 400
. "$(dirname "$0")/../../lib/replica.sh"
. "$(dirname "$0")/../../lib/tpm.sh"
seabios=$(find "$TOP/build/qemu/" -name bios-256k.bin | head -n 1) # in the place of UEFI firmware, which takes longer to begin

of_run() { # KEY of what the store has of the run
	python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1] + "/replica.json"))["run"][sys.argv[2]])' "$STORE" "$1"
}

for how in live warm; do
	A=$ID-$how STORE=$THERE/$A.replica
	[[ $how == live ]] && options=() || options=(--how warm --shutdown-timeout 1 --force) # without ACPI there is no button
	head -c 256K /dev/urandom >"$DIR/$A.vars"
	tpm_start "$A"
	MACHINE=q35 APPEND=$TPM_APPEND REPLICA_C=1M replica_start $TPM -drive "if=pflash,unit=0,format=raw,readonly=on,file=$seabios" \
		-drive "if=pflash,unit=1,format=raw,file=$DIR/$A.vars"
	tpm_write "$A" first
	replica_add
	tpm_write "$A" second
	cp "$DIR/$A.vars" "$DIR/vars.before"
	replica failover "$A" --planned "${options[@]}" -v >"$DIR/out" 2>"$DIR/err" || fail "$how: $(tail -n 40 "$DIR/out" "$DIR/err")"
	pid=$(of_run pid)
	kill_at_exit "$pid" $(tpms)
	wait_for 60 process_is_gone "${GUEST_PID[$A]}" || fail "$how: it is here, too"
	[[ $how == live ]] || wait_for 180 grep -aq 'witness ready' "$THERE/$A.console" || fail "$how: it does not boot there"
	[[ $(guest_order "$THERE/$A.orders" tpm) == *" stored=second" ]] || fail "$how: its TPM holds $(guest_order "$THERE/$A.orders" tpm), not second"
	assert_tpms 1
	"$QEMU_IMG" convert -U -O raw -f qcow2 "$(ls "$STORE"/run/disk*.qcow2 | tail -n 1)" "$DIR/vars.there"
	cmp "$DIR/vars.before" "$DIR/vars.there" || fail "$how: its variables are others"
	at=$(pair_written "$THERE/$A.orders")
	wait_for 60 pair_has_written "$THERE/$A.orders" $((at + 20)) || fail "$how: it does not write any more"
	kill -KILL "$pid"
	wait_for 60 process_is_gone "$pid"
	assert_tpms 0
	rm -f "$THERE/$A.console"
	"$THERE/$A.sh" >"$DIR/out" 2>&1 &
	wait_for 60 pgrep -f "$STORE/run/disk0.qcow2" >/dev/null || fail "$how: it is not started again: $(cat "$DIR/out")"
	pid=$(pgrep -f "$STORE/run/disk0.qcow2")
	kill_at_exit "$pid" $(tpms)
	wait_for 180 grep -aq 'witness ready' "$THERE/$A.console" || fail "$how: it does not come up again"
	[[ $(guest_order "$THERE/$A.orders" tpm) == *" stored=second" ]] || fail "$how: its TPM holds something else when it is started again"
	kill -KILL "$pid"
	wait_for 60 assert_tpms 0
done
