#!/bin/bash
# The tiny witness verifies while it is intact; a page or a block spoilt, by itself or from outside, is seen and is counted once; a guest
# that was reset has no word to say.
# tier: gate
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/move.sh"
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/tiny.sh"

wrong() { # prints how many pages and blocks
	guest_order "$DIR/a.orders" verify | tee /dev/stderr | sed -n 's/.* pages_wrong=\([0-9]*\) .* blocks_wrong=\([0-9]*\)$/\1 \2/p'
}

spoil() { # FILE HOW
	qmp "$DIR/a.qmp" '{"execute": "stop"}' >/dev/null
	"$TOP/tests/lib/tagged.py" "$1" "$2"
	qmp "$DIR/a.qmp" '{"execute": "cont"}' >/dev/null
}

has_failed() {
	grep -aq '^witness failed: the machine was reset' "$DIR/a.console"
}

guest_disk "$DIR/a.raw" raw 8M
MACHINE=q35,memory-backend=ram SMP=2 WITNESS="ram_mb=8 rate=200 disks=vda disk_mb=4 disk_rate=100" tiny_start a \
	-object memory-backend-file,id=ram,size=256M,mem-path="$DIR/ram",share=on $(guest_drive d0 "$DIR/a.raw" raw)
guest_verify "$DIR/a.orders" blocks

guest_order "$DIR/a.orders" "corrupt page"
guest_order "$DIR/a.orders" "corrupt block"
assert_eq "$(wrong)" "1 1" "what is wrong after the guest corrupted some"
assert_eq "$(wrong)" "1 1" "what is wrong, asked again"

guest_order "$DIR/a.orders" stop # writing stops, so that nothing is where it is about to write
spoil "$DIR/ram" corrupt
assert_eq "$(wrong)" "2 1" "what is wrong after a page was corrupted from outside"
spoil "$DIR/ram" misplace
assert_eq "$(wrong)" "3 1" "what is wrong after a page was replaced by another"
spoil "$DIR/a.raw" corrupt
assert_eq "$(wrong)" "3 2" "what is wrong after a block was corrupted from outside"

qmp "$DIR/a.qmp" '{"execute": "system_reset"}' >/dev/null
wait_for 60 has_failed || fail "the guest does not tell that it was reset"
! guest_order "$DIR/a.orders" ping 2 || fail "a guest that was reset answers"
