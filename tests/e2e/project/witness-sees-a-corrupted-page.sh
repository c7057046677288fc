#!/bin/bash
# An intact guest verifies; a page spoilt in its RAM, by itself or from outside, is seen,
# and is counted once.
. "$(dirname "$0")/../../lib/guest.sh"

pages_wrong() {
	guest_order "$DIR/a.orders" verify | tee /dev/stderr | sed -n 's/.* pages_wrong=\([0-9]*\) .*/\1/p'
}

spoil_from_outside() { # HOW
	qmp "$DIR/a.qmp" '{"execute": "stop"}'
	"$TOP/tests/lib/tagged.py" "$DIR/ram" "$1"
	qmp "$DIR/a.qmp" '{"execute": "cont"}'
}

MEM=256 MACHINE=q35,memory-backend=ram WITNESS="ram_mb=32" guest_start a \
	-object memory-backend-file,id=ram,size=256M,mem-path="$DIR/ram",share=on
guest_verify "$DIR/a.orders"

guest_order "$DIR/a.orders" "corrupt page"
assert_eq "$(pages_wrong)" 1 "wrong pages after the guest corrupted one"
assert_eq "$(pages_wrong)" 1 "wrong pages, asked again"

spoil_from_outside corrupt
assert_eq "$(pages_wrong)" 2 "wrong pages after one was corrupted from outside"
spoil_from_outside misplace
assert_eq "$(pages_wrong)" 3 "wrong pages after one was replaced by another"
