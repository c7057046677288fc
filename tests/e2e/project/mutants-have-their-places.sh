#!/bin/bash
# Every bug of tests/mutants can be put into the code as it is, and its tests are there: one whose place or test has gone would be tried by
# nobody, and say nothing.
# tier: gate
. "$(dirname "$0")/../../lib/base.sh"

said=$("$TOP/tests/mutants/run" --check 2>&1) || fail "$(grep -v ' mutants, ' <<<"$said")"
