#!/bin/bash
# A QEMU that does not tell how it uses its block nodes may keep what its guest has written in its host's memory alone (cache.no-flush): the disk is not taken to be
# what both hosts see.
. "$(dirname "$0")/../../lib/aftermath.sh"

qmp_shim query-named-block-nodes-3 error
ON=(env "${SHIM[@]}")
guest_a
ON=()
qmp_misanswers
to_local
move_start a local --disk d0=shared
move_wait 3
assert_result "'cannot stay where it is: QEMU does not tell' in r['reason']" "why"
qmp_has_misanswered || fail "QEMU has answered as it should: this test tests nothing"
qmp_answers
move a local --disk d0=shared
guest_verify "$(orders a)" blocks
