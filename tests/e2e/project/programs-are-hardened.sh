#!/bin/bash
# The programs that users run are built with what the compiler has against bugs of ours: position-independent, relocations read-only, no page both
# writable and executable; and each of our objects with checks of the stack and of libc's copies, and with branch targets (CET).
# tier: gate
set -euo pipefail
cd "$(dirname "$0")/../../.."

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

built=build/release # always the release build: users get that one
[[ -x $built/vmferry ]] || fail "there is no $built/vmferry: make"
for program in vmferry vmferry-dst vmferry-bench vmferry-bench-dst; do
	readelf -hW "$built/$program" | grep -q 'Type: *DYN' || fail "$program is not position-independent"
	segments=$(readelf -lW "$built/$program")
	grep -q ' GNU_RELRO ' <<<"$segments" || fail "$program has no read-only relocations"
	grep -qE '^ *GNU_STACK .* RW +0x' <<<"$segments" || fail "the stack of $program is executable"
	! grep -qE '^ *LOAD .* RWE ' <<<"$segments" || fail "$program has pages that are both writable and executable"
done

mapfile -t objects < <(find "$built/common" "$built/proto" "$built/agent-src" "$built/agent-dst" -name '*.o')
of=${#objects[@]}
[[ $of -gt 100 ]] || fail "only $of objects under $built"
targets=$(readelf -nW "${objects[@]}" | grep -c 'IBT, SHSTK')
guarded=$(nm -uA "${objects[@]}" | grep -c ' __stack_chk_fail$')
fortified=$(nm -uA "${objects[@]}" | sed -n 's/:.* __[a-z]*_chk$//p' | sort -u | wc -l)
[[ $targets -eq $of ]] || fail "only $targets of $of objects have branch targets"
[[ $guarded -gt $((of / 3)) ]] || fail "only $guarded of $of objects guard their stack"
[[ $fortified -gt $((of / 4)) ]] || fail "only $fortified of $of objects check what they copy"
