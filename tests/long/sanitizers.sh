#!/bin/bash
# The unit tests under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer find nothing.
# timeout: 3600
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

failed=''
unset MAKEFLAGS LONG # the long runs of single tests would take hours
export TIMEOUT_S=1200 # they are slow
for variant in asan tsan; do
	echo "== $variant"
	make -s --no-print-directory -j"$(nproc)" unit VARIANT=$variant || failed=1
done
[[ -z $failed ]]
