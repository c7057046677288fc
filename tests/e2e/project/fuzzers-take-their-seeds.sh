#!/bin/bash
# Each fuzzer of tests/fuzz takes the seeds that it writes, and those of tests/fuzz/corpus, once: one that has fallen behind what it calls (a new
# member of a struct that it leaves empty) is noticed without clang.
# tier: gate
. "$(dirname "$0")/../../lib/base.sh"

test_begins
cd "$TOP"
for program in "$BIN"/seeds/fuzz-*; do
	name=${program##*/}
	[[ -e tests/fuzz/$name.c ]] || continue # a fuzzer that was removed
	mkdir "$DIR/$name"
	VMFERRY_FUZZ_SEEDS=$DIR/$name "$program" >"$DIR/log" 2>&1 || fail "$name writes no seeds: $(tail -n 5 "$DIR/log")"
	[[ ! -d tests/fuzz/corpus/$name ]] || cp "tests/fuzz/corpus/$name"/* "$DIR/$name"
	timeout 60 "$program" "$DIR/$name"/* >"$DIR/log" 2>&1 || fail "$name ends with $? on its own seeds: $(tail -n 5 "$DIR/log")"
	count=$((${count:-0} + 1))
done
assert_eq "${count:-0}" "$(find tests/fuzz -name 'fuzz-*.c' | wc -l)" "fuzzers that were tried (make tests builds them)"
