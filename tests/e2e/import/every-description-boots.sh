#!/bin/bash
# Every description of tests/data/import, of every program that they are of, that is not refused and whose guest has a BIOS: the guest boots from a disk of
# the name and kind that it wants, and finds there what was on it. (One that has a serial port of its own says that where nobody listens.)
# timeout: 600
# takes: 55
. "$(dirname "$0")/../../lib/import.sh"

bootable_disk "$DIR/disk.raw"
booted=0
for expect in "$TOP"/tests/data/import/*.expect; do
	! grep -qE '^refused|^disk [0-9]+: (a difference|the medium|a disk of the host)|if=pflash|isa-serial|-serial' "$expect" || continue
	grep -qE '^disk [0-9]+: .*, [0-9]+ bytes$' "$expect" || continue
	[[ $expect != *.ova.xml.expect && $expect != *.box.json.expect ]] || continue # a part of an archive
	description=${expect%.expect} name=$ID-$((++booted))
	give "$expect" "$DIR/disk.raw"
	imports "$DIR/given"/* --name "$name" --start --memory 128M --cpus 2 --no-disk -- -serial "file:$VM/serial"
	wait_for 60 says "$VM/serial" "disk $SUM" || fail "${description##*/} does not boot: $(cat "$VM/serial" "$DIR/import.out")"
	echo "${description##*/} boots"
	end_process "$IMPORTED"
	rm -f "$VM"/*
done
[[ $booted -ge 8 ]] || fail "only $booted descriptions"
