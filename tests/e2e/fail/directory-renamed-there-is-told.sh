#!/bin/bash
# The directory of the disks is renamed at the destination in the middle of a move: what was made is in it still, and a move that is rolled back says
# so. It leaves nothing else.
# tier: gate
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/aftermath.sh"

guest_a
move_until local disks
mv "$TO" "$TO-renamed"
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 4
assert_result 'r["outcome"] == "rolled-back" and r["guest"] == "source"'
assert_result '"the directory of " in str(r["leftovers"]) and "/a.raw is gone: if it was renamed" in str(r["leftovers"])' "what is left"
rm -r "$TO-renamed"
mkdir -p "$TO"
assert_at_source
