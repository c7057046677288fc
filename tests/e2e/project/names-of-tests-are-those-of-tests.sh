#!/bin/bash
# Every test that is named anywhere (by a page, a comment, tests/mutants, tests/expected-skips, another test) is there, and the name of each
# fits on a line, with the folder that it lies in. Those that stand in the gate for what is tried outside it are in it.
# tier: gate
. "$(dirname "$0")/../../lib/base.sh"
set -euo pipefail
cd "$TOP/tests"

mapfile -t names < <(find e2e long unit -name '*.sh' -o -name 'test-*.c' -o -path long/run | sed 's/\.[a-z]*$//')
folders=$(cd e2e && printf '%s|' */ | sed 's|/||g; s/|$//')

is_there() { # NAME, or how it begins, or a pattern
	local name
	[[ $1 != *- ]] || set -- "$1*"
	for name in "${names[@]}"; do [[ $name != $1 && $name != $1/* ]] || return 0; done
	return 1
}

wrong=$(
	for name in "${names[@]}"; do
		[[ $name != e2e/* || $name =~ ^e2e/[^/]+/[^/]{1,50}$ ]] || echo "$name is in no folder of e2e"
		short=${name#e2e/}
		[[ $name == unit/* || ${#short} -le 50 ]] || echo "$name is too long for a line"
	done
	cd ..
	grep -rhoE --exclude=runner-makes-every-skip-visible.sh -- "\b(e2e|tests/long|unit/test-)[a-z0-9*/-]*|\b($folders)/[a-z0-9-]+\.sh\b" \
		README.md Makefile .ci docs scripts proto common agent-* tests | sort -u | while read -r name; do
		named=${name#tests/} named=${named%.sh} named=${named%/}
		is_there "$named" || is_there "e2e/$named" || echo "there is no test $name"
	done
	grep -rhE '^# covered in the gate: |beyond_gate ' tests/e2e | grep -oE '\be2e/[a-z0-9/-]+' | sort -u | while read -r name; do
		grep -q '^# tier: gate$' "tests/$name.sh" || echo "$name is to stand for others in the gate, and is not in it"
	done
)
[[ -z $wrong ]] || fail "$wrong"
