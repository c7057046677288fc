#!/bin/bash
# Every bug of tests/mutants/list can be put into the code as it is: one whose place has gone would be tried by nobody, and say nothing.
# tier: gate
. "$(dirname "$0")/../lib/base.sh"

said=$("$TOP/tests/mutants/run" --check 2>&1) || fail "$(grep 'place is not found' <<<"$said")"
