#!/bin/bash
# What is built on a loop behaves the same where io_uring is forbidden.
# takes: 26
cd "$(dirname "$0")/../.." || exit
export VMFERRY_FAULT=no-io-uring:fail
failed=
for test in loop channel channel-resume link qmp nbd disk-io disk-read data-path; do
	echo "== test-$test"
	"build/${VARIANT:-release}/tests/test-$test" || failed=1
done
[[ -z $failed ]]
