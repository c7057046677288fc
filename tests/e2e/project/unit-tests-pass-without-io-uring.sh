#!/bin/bash
# Modules built on a loop behave the same where io_uring is forbidden.
# timeout: 400
# takes: 26
. "$(dirname "$0")/../../lib/base.sh"
test_begins
set -o pipefail
export VMFERRY_FAULT=no-io-uring:fail
unset VMFERRY_FAULT_BEFORE # with which no disk is sent from its end
for test in loop channel channel-resume link qmp nbd disk-io disk-read data-path; do
	echo "== test-$test"
	"$BIN/tests/test-$test" 2>&1 | tee "$DIR/test.out" || fail "test-$test: $(grep -E '^\[ +(ERROR|LINE|FAILED) +\]' "$DIR/test.out")"
done
