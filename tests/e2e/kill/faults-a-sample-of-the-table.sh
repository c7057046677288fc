#!/bin/bash
# A few cells of the table of faults (tests/faults/run), one of each family, and a run of random ones.
# timeout: 300
# tier: gate
set -euo pipefail
cd "$(dirname "$0")/../../.."
[[ $EUID -eq 0 ]] || { echo "skip: two hosts with an sshd need root, for namespaces"; exit 77; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
J=2 FAULTS_OUT=$out tests/faults/run process/src-held/dst-agent/kill process/after-DST_START/dst-qemu/stop5 network/memory/all/reset \
	others/src-pre-switchover/person/cont reboot/src-held/source/power errors/write-8/dst-disk/full \
	clocks/src-held/both/back-killed device/pages/dst-qemu/differs revert/after-SRC_REVERTING/src-agent/kill \
	quick/memory/src-agent/kill warm/src-held/src-agent/kill import/rename/image-script/io import-kill/named-1/bundle/kill
J=1 FAULTS_OUT=$out tests/faults/run --random --seed 1 --seconds 5
