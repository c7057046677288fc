#!/bin/bash
# Under AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer nothing is found: by the unit tests, nor in the agents while they are
# used. What an agent's sanitizer has to say is in a file, as few look at a destination agent's exit code.
# timeout: 7200
#   tests/long/sanitizers.sh [asan|tsan]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

SAID=$(mktemp -d)
trap 'rm -rf "$SAID"' EXIT
failed=''
unset DIR               # each test makes a folder of its own
unset MAKEFLAGS LONG CI # the long runs of single tests would take hours; what only a clean machine may not skip is no matter here
export TIMEOUT_S=1200   # the sanitizers are slow
# project: a bench's figures are not of interest, and sandboxes, like those of guests in units, have agents without a right to write that file
ASAN_E2E=(e2e/{check,cold,disks,export,fail,import,live,others,recover,storage,warm}/ e2e/kill/{both,dst,guard,hand,other,src,stopped}- e2e/network/{peer,resume,tls}-
	e2e/guests/{already,args,from,keep,monitors,of,on,paused,plugged,that,tpm,with}-)
TSAN_E2E=(e2e/{cold,disks,export,import,live,storage,warm}/ e2e/network/{resume,tls}- e2e/recover/partial-)
[[ $# -gt 0 ]] || set -- asan tsan
for variant; do
	echo "== $variant"
	make -s --no-print-directory -j"$(nproc)" unit VARIANT=$variant || failed=1
	make -s --no-print-directory -j"$(nproc)" all tests VARIANT=$variant
	names=("${ASAN_E2E[@]}")
	[[ $variant == asan ]] || names=("${TSAN_E2E[@]}")
	# where its memory or its speed is what a test asserts, it may fail; what was found may not
	ASAN_OPTIONS=log_path=$SAID/asan:verify_asan_link_order=0 LSAN_OPTIONS=suppressions=$PWD/tests/lsan-suppressions:print_suppressions=0 \
		UBSAN_OPTIONS=print_stacktrace=1:log_path=$SAID/ubsan \
		TSAN_OPTIONS=suppressions=$PWD/tests/tsan-suppressions:log_path=$SAID/tsan:history_size=4 \
		VARIANT=$variant tests/lib/run "${names[@]}" || echo "(some tests do not pass with $variant)"
done
if compgen -G "$SAID/*" >/dev/null; then
	cat "$SAID"/*
	failed=1
fi
[[ -z $failed ]]
