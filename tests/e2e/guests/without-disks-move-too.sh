#!/bin/bash
# A guest without disks moves, too; two processors.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

SMP=2 MEM=256 WITNESS="ram_mb=64 rate=2000" tiny_start a
move a local
assert_result 'r["disks"] == [] and r["verified"]'
guest_verify "$(orders a)"
