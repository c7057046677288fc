#!/bin/bash
# The destination's QEMU gives a CPU with less than the guest has, or of another vendor: refused, with the names.
# covered in the gate: unit/test-qemu-cpu, e2e/network/peer-that-lies-is-refused-with-a-sentence
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/qemu-copy.sh"

QEMU=$DIR/run-qemu guest_a -cpu max,vendor=GenuineIntel
to_local

replaced() { # CPU: the copy becomes a program that gives this one instead
	replace_copy <<<'exec "$0.real" "$@" -cpu '"$1"
}

restored() {
	rm "$QEMU_COPY"
	cp --reflink=auto "$QEMU_COPY.real" "$QEMU_COPY"
}

replaced max,vendor=GenuineIntel,-sse4.1,-popcnt
move_start a local
move_wait 3
assert_result '"lacks what the guest" in r["reason"] and "popcnt" in r["reason"] and "sse4" in r["reason"]'
restored
assert_at_source
replaced max,vendor=AuthenticAMD
move_start a local
move_wait 3
assert_result '"GenuineIntel" in r["reason"] and "AuthenticAMD" in r["reason"]'
restored
assert_at_source
move a local
assert_moved
