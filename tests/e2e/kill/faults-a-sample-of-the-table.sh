#!/bin/bash
# A few cells of the table of faults (tests/faults/run): in the gate of those families alone whose faults no other test of it has.
# timeout: 300
# takes: 35
# tier: gate
set -euo pipefail
cd "$(dirname "$0")/../../.."
[[ $EUID -eq 0 ]] || { echo "skip: two hosts with an sshd need root, for namespaces"; exit 77; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
J=2 FAULTS_OUT=$out tests/faults/run clocks/src-held/both/back-killed device/pages/dst-qemu/differs revert/after-SRC_REVERTING/src-agent/kill \
	import/rename/image-script/io import-kill/named-1/bundle/kill
# In the gate: unit/test-both-conductors, e2e/kill/hand-over-leaves-the-guest-as-promised, e2e/network/resume-after-resets-sends-little-again,
# e2e/others/cont-during-the-hand-over-rolls-back, e2e/kill/power-failure-leaves-what-was-promised, e2e/fail/full-disk-there-rolls-back,
# e2e/live/quick-stops-the-guest-first, e2e/warm/is-not-run-twice.
[[ -n ${LONG:-}${ALL_STEPS:-} ]] || exit 0
J=2 FAULTS_OUT=$out tests/faults/run process/src-held/dst-agent/kill process/after-DST_START/dst-qemu/stop5 network/memory/all/reset \
	others/src-pre-switchover/person/cont reboot/src-held/source/power errors/write-8/dst-disk/full quick/memory/src-agent/kill \
	warm/src-held/src-agent/kill
J=1 FAULTS_OUT=$out tests/faults/run --random --seed 1 --seconds 5
