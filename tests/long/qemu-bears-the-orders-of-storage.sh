#!/bin/bash
# Each QEMU bears what `vmferry storage` asks of it, in every order in which it does, and what somebody else may do meanwhile, while the guest writes: by QMP
# alone, without vmferry. N: so many times each (25). No QEMU from 10.0 on bears that a guest with an iothread is stopped or let go on by somebody between
# `complete` and `pending`: that cannot be kept from anybody, and with a guest that was stopped before it is shortest.
# timeout: 3600
. "$(dirname "$0")/../lib/storage.sh"

N=${N:-25}
DISK_RATE=400
FIRST=(
	"ready stop complete pending finalize cont"
	"ready stop complete pending cancel cont"
	"ready stop cancel cont"
	"some stop cont ready stop complete pending finalize cont"
	"some cancel"
	"some stop cancel cont"
)
RUNNING=( # orders for a guest that is not stopped first: of QEMU 10 and later, without an iothread
	"ready complete pending finalize"
	"ready complete stop pending finalize cont"
	"ready complete pending stop finalize cont"
)

for version in 7.2 10.0 11.1; do
	QEMU=$(qemu_called "$version")
	for thread in '' io0; do
		MORE=${thread:+-object iothread,id=$thread} DEVICE0=${thread:+,iothread=$thread}
		orders=("${FIRST[@]}")
		[[ $version == 7.2 || -n $thread ]] || orders+=("${RUNNING[@]}")
		[[ $version != 7.2 && -n $thread ]] || orders+=("ready stop complete cont pending finalize")
		for order in "${orders[@]}"; do
			rm -rf "$DIR/src" "$DIR/new"
			storage_guest
			# shellcheck disable=SC2086
			"$TOP/tests/lib/mirror-orders.py" "$DIR/a.mon" d0-dev "$DIR/new" "$N" $order ||
				fail "QEMU $version, ${thread:-no iothread}, $order: $(tail -n 1 "$DIR/a.stderr")"
			guest_verify "$(orders a)" blocks
			guest_stop a
			echo "QEMU $version, ${thread:-no} iothread: $order"
		done
	done
done
