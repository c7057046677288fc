#!/bin/bash
# The runner (tests/lib/run) handles tests that are skipped, in part or as a whole, with CI and without; tests that are not built, not
# executable or removed; names that no test has; time limits; tests that run alone; order and tiers; a run that was cut off; and a place
# where no test can pass.
# tier: gate
. "$(dirname "$0")/../../lib/base.sh"
set -euo pipefail
test_begins

tree=$DIR/tree
mkdir -p "$tree"/tests/{lib,unit,e2e/kind} "$tree/build/release/tests"
cp "$TOP/tests/lib/run" "$tree/tests/lib/"
printf '%s\n' '# comment' '' 'unit/test-*  left out: known: no such tool' 'e2e/kind/whole  nothing to *' >"$tree/tests/expected-skips"

unit() { # NAME, its script on stdin
	touch "$tree/tests/unit/$1.c"
	{ echo '#!/bin/bash' && cat; } >"$tree/build/release/tests/$1"
	chmod +x "$tree/build/release/tests/$1"
}

e2e() { # NAME, its script on stdin
	{ echo '#!/bin/bash' && cat; } >"$tree/tests/e2e/kind/$1.sh"
	chmod +x "$tree/tests/e2e/kind/$1.sh"
}

run() { # STATUS [NAME=VALUE...] WORD...: what it says is in DIR/out
	local status=0 expected=$1
	shift
	env -u CI -u LONG -u J -u TIMEOUT_S -u TIER -u STATE -u AMONG VARIANT=release "${@:1:$#-1}" "$tree/tests/lib/run" "${@: -1}" >"$DIR/out" 2>&1 || status=$?
	assert_eq "$status" "$expected" "status of run $* ($(<"$DIR/out"))"
}

said() { # PATTERN
	grep -qE -- "$1" "$DIR/out" || fail "expected '$1' in: $(<"$DIR/out")"
}

unit test-parts <<-'SCRIPT'
	printf '%s\n' 'skipped: no such tool' '[  SKIPPED ] known' '[       OK ] other' '[  SKIPPED ] 1 test(s), listed below:' '[  SKIPPED ] known'
SCRIPT
unit test-silent <<<"echo '[  SKIPPED ] quiet'"
run 0 parts
said '^ok +unit/test-parts .*\[left out: known: no such tool\]'
run 0 CI=1 parts
# the list as a newer cmocka words it
unit test-newer <<-'SCRIPT'
	printf '%s\n' 'skipped: no such tool' '[  SKIPPED ] known' '[  SKIPPED ] tests: 1 test(s), listed below:' '[  SKIPPED ] known'
SCRIPT
run 0 CI=1 newer
run 0 silent
said '\[left out: quiet: it does not say why\]'
run 1 CI=1 silent
said "^FAIL unit/test-silent .*expected-skips does not have: left out: quiet"

e2e whole <<<'echo "skip: nothing to be seen"; exit 77'
e2e other <<<'echo "skip: nothing to be seen"; exit 77'
e2e part <<<'echo "skipped: one thing"'
run 0 CI=1 whole
said '^skip e2e/kind/whole .*\[nothing to be seen\]'
run 0 other
said '^0 passed, 0 failed, 1 skipped'
run 1 CI=1 other
run 0 part
said '^ok +e2e/kind/part .*left out: one thing'
run 1 CI=1 part

rm "$tree/tests/unit/test-silent.c" # the program of a removed test
run 0 unit/
said '^2 passed, 0 failed, 0 skipped'
touch "$tree/tests/unit/test-unbuilt.c"
run 1 unbuilt
said '^FAIL unit/test-unbuilt'
chmod -x "$tree/tests/e2e/kind/part.sh"
run 1 part
said 'Permission denied'

e2e known <<<"touch '$DIR/known'"
run_two() { # STATUS WORD WORD
	local status=0
	env -u LONG -u TIER -u STATE -u AMONG VARIANT=release "$tree/tests/lib/run" "${@:2}" >"$DIR/out" 2>&1 || status=$?
	assert_eq "$status" "$1" "status of run ${*:2} ($(<"$DIR/out"))"
}
run_two 2 kind/known unit/test-knwon
said '^no test has unit/test-knwon in its name'
[[ ! -e $DIR/known ]] || fail "others ran all the same"
run_two 0 kind/known unit/test-parts
[[ -e $DIR/known ]] || fail "it did not run"

e2e slow <<<'# timeout: 1
sleep 100'
run 1 slow
said 'over its limit of 1 s'
run 1 TIMEOUT_S=540 slow
said 'over its limit of 3 s'

for name in a b c; do
	alone=$([[ $name != b ]] || echo '# alone: it looks at the others')
	printf '%s\n' "$alone" "echo $name >>'$DIR/began'; sleep 0.5; echo $name >>'$DIR/ended'" | e2e "at-once-$name"
done
run 0 J=3 at-once
assert_eq "$(head -n 2 "$DIR/began" | sort | xargs) $(tail -n 1 "$DIR/began")" "a c b" "what began"
assert_eq "$(tail -n 1 "$DIR/ended")" b "what ended last"

# The one that took longest the last time begins first, and of new ones that which may take longest; whatever that file holds, all run.
for name in d e f g; do
	printf '%s\n' "$([[ $name != e ]] || echo '# timeout: 60')" "echo $name >>'$DIR/order'" "until [[ \$(wc -l <'$DIR/order') -ge 2 ]]; do :; done" |
		e2e "in-order-$name"
done
begin() { # FIRST-TWO: of four, two at a time
	rm -f "$DIR/order"
	run 0 J=2 in-order
	assert_eq "$(head -n 2 "$DIR/order" | sort | xargs) $(wc -l <"$DIR/order")" "$1 4" "what began"
}
seconds=$tree/build/test-seconds
rm "$seconds"
begin "d e"
grep -q '"e2e/kind/in-order-g": [0-9]' "$seconds" || fail "it does not remember: $(<"$seconds")"
echo '{"e2e/kind/in-order-f": 30.5, "e2e/kind/in-order-g": 20}' >"$seconds"
begin "f g"
for text in '' '{' '[1]' '{"e2e/kind/in-order-f": "x"}'; do
	echo "$text" >"$seconds"
	begin "d e"
done

# The gate is what says so; without a tier all run.
e2e tier-one <<<'# tier: gate'
e2e tier-two <<<''
run 0 TIER=gate tier-
said '^1 passed, 0 failed, 0 skipped'
said '^ok +e2e/kind/tier-one'
run 0 TIER= tier-
said '^2 passed, 0 failed, 0 skipped'
run 0 TIER= e2e/kind/tier-
said '^2 passed, 0 failed, 0 skipped'

# A test that has passed once in a run that can be gone on with does not run again, and counts; a failed test does.
e2e again-one <<<"echo one >>'$DIR/again'"
e2e again-two <<<"echo two >>'$DIR/again'; [[ -e '$DIR/mended' ]]"
run 1 STATE="$DIR/state" again-
said '^1 passed, 1 failed, 0 skipped'
touch "$DIR/mended"
run 0 STATE="$DIR/state" again-
said '^2 passed, 0 failed, 0 skipped'
assert_eq "$(sort "$DIR/again" | xargs)" "one two two" "what ran"
run 0 STATE="$DIR/state" again-
said '^2 passed, 0 failed, 0 skipped'

cp -r "$tree" "$DIR/a,b"
tree=$DIR/a,b
run 1 TIER= tier-
said '^FAIL the path of this checkout.* has `,`'
said '^0 passed, 1 failed, 0 skipped'
run 1 --place
said '^FAIL the path of this checkout.* has `,`'

# A checkout of another user's is refused, and by make one below a directory that this user may not enter: before anything is built.
[[ $EUID -eq 0 ]] || exit 0
tree=$DIR/tree
cp "$TOP/Makefile" "$tree/"
chmod 711 "$DIR"
as_nobody() { (cd "$tree" && ! setpriv --reuid=65534 --regid=65534 --clear-groups env PATH=/usr/bin:/bin make check) >"$DIR/out" 2>&1; }
if [[ -z $(closed_directory) ]]; then
	as_nobody || fail "a checkout of another user's is good enough: $(<"$DIR/out")"
	said "^FAIL this user may not write to .*/build"
fi
chmod 700 "$DIR"
as_nobody || fail "a checkout below a closed directory is good enough: $(<"$DIR/out")"
said "^this user may not enter $tree: move the checkout"
