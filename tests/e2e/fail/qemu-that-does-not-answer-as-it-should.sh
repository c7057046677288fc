#!/bin/bash
# A QEMU does what it was asked and does not say so, or refuses: a few cells of the table of faults (tests/faults/qmp.sh). The guest is where it is
# said to be, and nothing that QEMU made without saying so is left.
set -euo pipefail
cd "$(dirname "$0")/../../.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
J=3 FAULTS_OUT=$out tests/faults/run qmp/nbd-server-start/src-qemu/event qmp/cont/dst-qemu/event qmp/migrate-continue/src-qemu/error \
	qmp/transaction-2/src-qemu/error qmp-undo/query-status/src-qemu/event qmp-revert/cont/src-qemu/event export/migrate/memory/later \
	export/migrate-set-parameters-3/memory/error | tee "$out/said"
grep -q '^8 green, 0 red' "$out/said" || { echo "FAIL: a cell is absent"; exit 1; }
