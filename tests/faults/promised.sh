# shellcheck shell=bash
# Cells of the table of faults of which it is said where the guest is to be in the end, who is to say so, and with which exit code; to be sourced.
. "$(dirname "${BASH_SOURCE[0]}")/../lib/base.sh"

# Rows of its input: MOMENT WHO local|listener EVIDENCE, as process.sh has them. That process is killed in a move by an agent that vmferry starts at
# the destination, or by one that listens there; EVIDENCE is how a green cell's begins, with * for what is left out.
promised() {
	local moment who to evidence said failed=
	while read -r moment who to evidence; do
		[[ $moment ]] || continue
		said=$(TO_DESTINATION=to_$to "$TOP/tests/faults/process.sh" "$moment" "$who" kill </dev/null 2>&1) || true
		[[ ! $(tail -n 1 <<<"$said") =~ ^skip:\ (.*) ]] || skip "${BASH_REMATCH[1]}"
		if [[ $(tail -n 1 <<<"$said") == "green: "$evidence* ]]; then
			echo "ok $moment $who $to: $(tail -n 1 <<<"$said")"
		else
			printf '%s\n' "$said" "not $evidence: $moment $who $to"
			failed+=" $moment/$who/$to"
		fi
	done
	[[ -z $failed ]] || fail "the guest is elsewhere, or others say so:$failed"
}
