#!/bin/bash
# Valgrind finds nothing in what the unit tests use, which they begin, read or write without having set it. It does not know what io_uring does,
# which is off, and it is slow: what a test says of time is not asked for, nor what it lost (tests/long/sanitizers.sh), and one that
# takes longer than PATIENCE_S is looked at for that long. Those of confinement have no right to what it needs, and the conductors' move
# too much for it. Each test has processes of its own (root may make them so): what it leaves behind when its time is up ends with it.
# timeout: 7200
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PATIENCE_S=${PATIENCE_S:-300}
valgrind --version # scripts/install-deps --check installs it
make -s --no-print-directory -j"$(nproc)" tests VARIANT=debug # fortified, a memmove looks like a memcpy to it
said=$(mktemp -d)
trap 'rm -rf "$said"' EXIT
failed=''
ends_whole=()
[[ $EUID -ne 0 ]] || ends_whole=(unshare --pid --fork --kill-child --mount-proc bash -c '"$@"; exit $?' -) # a shell that waits for orphans
"${ends_whole[@]}" true
for source in tests/unit/test-*.c; do
	name=$(basename "$source" .c)
	case $name in test-program | test-both-conductors) continue ;; esac
	status=0
	VMFERRY_FAULT=no-io-uring:fail "${ends_whole[@]}" timeout "$PATIENCE_S" valgrind -q --fair-sched=yes --leak-check=no --log-file="$said/$name.%p" \
		"build/debug/tests/$name" >"$said/out" 2>&1 || status=$?
	[[ $status -eq 0 ]] || echo "($name: status $status under valgrind)"
	[[ $status -lt 125 ]] || failed=1 # it did not begin, or died
	if find "$said" -name "$name.*" -size +0 -exec cat {} + >"$said/found" && grep -aq '^==[0-9]*== *at 0x' "$said/found"; then # a warning has no stack
		echo "$name:"
		cat "$said/found"
		failed=1
	fi
done
[[ -z $failed ]]
