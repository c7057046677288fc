#!/bin/bash
# A guest with a generation id that its QEMU has made up (guid=auto) has the same one after a move, and when it is started again there: it is not a copy.
. "$(dirname "$0")/../../lib/aftermath.sh"

generation() {
	qmp "$(free_monitor a)" '{"execute": "query-vm-generation-id"}' | grep -o '[0-9a-f]*-[0-9a-f-]*'
}

guest_a -device vmgenid,guid=auto,id=g
before=$(generation)
for how in live quick; do
	move a local --how "$how"
	assert_eq "$(generation)" "$before" "the generation after a $how move"
	grep -q "vmgenid.*guid=$before" "$TO/a.sh" || fail "what starts it again: $(grep vmgenid "$TO/a.sh")"
done
assert_settled
