#!/bin/bash
# A drain takes all guests that run here to the hosts that have most left, by the rules that are said, some at a time, and leaves the rest. plan says
# before what it does, and touches nothing. The same command again takes what was left; several that are named go likewise.
# takes: 45
# tier: gate
. "$(dirname "$0")/../../lib/fleet.sh"

export VMFERRY_HOST=$DIR/host VMFERRY_FLEET=$DIR/rules
printf 'out 2\n' >"$VMFERRY_HOST"
printf 'group rack %s %s\napart a b\nstay d its licence is of this host\n' "${HOSTS[@]}" >"$VMFERRY_FLEET"
mkdir -p "$DIR/there"
WHERE=(--disk-dir "$DIR/there/%n")
for name in a b c d e; do fleet_guest "$name"; done

fleet 0 plan a b c --to @rack "${WHERE[@]}"
says fleet.out '^a *-> .*\*.*least left there: .* %; .* to carry'
fleet 3 plan a --to local "${WHERE[@]}"
says fleet.out '^a *local *no *the host is this very one'
fleet 0 plan a b --to @rack "${WHERE[@]}" --script
assert_eq "$(sed -n 's/^vmferry migrate \([ab]\) .*/\1/p' "$DIR/fleet.out" | xargs)" "a b" "the script's commands"
[[ $(awk '/^vmferry/ { print $4 }' "$DIR/fleet.out" | sort -u | wc -l) -eq 2 ]] || fail "a and b are not apart: $(<"$DIR/fleet.out")"
[[ -z $(ls "$DIR/there") ]] || fail "the plan has left: $(ls "$DIR/there")"

# A name that no guest has is refused before any guest goes, in an option and as a guest.
fleet 2 drain --to @rack --keep e,no-such-guest "${WHERE[@]}"
says fleet.log '--keep: no guest no-such-guest runs here'
fleet 2 plan a --to @rack --apart a,no-such-guest "${WHERE[@]}"
fleet 3 migrate a no-such-guest "${HOSTS[0]}" "${WHERE[@]}"
says fleet.log 'no guest no-such-guest runs here'
is_here a

# One guest cannot go: with --check-all none does.
echo 'x' >"$DIR/there/c"
fleet 3 drain --to @rack --keep e "${WHERE[@]}" --check-all
says fleet.log '^d stays here: its licence is of this host'
says fleet.log '1 of 3 guests cannot go, so none was begun'
is_here a

# Contradictory rules are refused before anything is asked, whatever lies between them.
fleet 3 drain --to @rack --together a,c --together c,b "${WHERE[@]}"
says fleet.log 'the rules have a and b apart, and together as well'
is_here a

# Without it the others do, and the same command takes the last one once it can go. What would start one a second time is told as by a move of one.
echo "exec qemu-system-x86_64 -drive file=$DIR/a.raw" >"$DIR/of-mine.sh"
fleet 3 drain --to @rack --keep e,d "${WHERE[@]}"
says fleet.out '^2 of 3 guests have gone'
says fleet.out '^  c -> .*: stays here: refused: no host takes it'
says fleet.out '^the same command again takes'
says fleet.out 'warning   .*of-mine.sh, which vmferry did not write.*would start the guest here a second time'
says fleet.out "^back again, at .*: vmferry migrate [ab] .* --reuse auto --disk-dir $DIR\$"
is_there a
is_there b
is_here c
is_here d
rm "$DIR/there/c"
fleet 0 drain --to @rack --keep e "${WHERE[@]}"
is_there c
fleet 0 drain --to @rack --keep e "${WHERE[@]}"
says fleet.log 'no guest runs here that would have to go'

# A guest that has moved is listed as a job, with its result; totals are metrics.
vmferry jobs >"$DIR/fleet.out"
id=$(sed -n 's/^\([0-9a-f]\{8\}\) *a *live .*, migrated in .*/\1/p' "$DIR/fleet.out")
[[ -n $id ]] || fail "jobs does not tell of a: $(<"$DIR/fleet.out")"
vmferry jobs "$id" >"$DIR/fleet.out"
says fleet.out '^migrated: the guest runs at the destination'
[[ $(vmferry jobs "$id" --json | python3 -c 'import json, sys; j = json.load(sys.stdin); print(j["state"], j["guest"], j["result"]["outcome"])') == 'ended a migrated' ]] || fail "$(vmferry jobs "$id" --json)"
vmferry jobs --metrics >"$DIR/fleet.out"
says fleet.out '^vmferry_moves_total{how="live",exit_code="0"} 3$'

# The same command again knows what has gone, also where a host has to be chosen.
fleet 0 migrate a c --to @rack "${WHERE[@]}"
says fleet.out '^2 of 2 guests have gone'

# By name, to one host: of one that has gone there before nothing is asked.
fleet 0 migrate d "${HOSTS[0]}" "${WHERE[@]}" --json
fleet 0 migrate d e "${HOSTS[0]}" "${WHERE[@]}" --json
assert_eq "$(tail -n 1 "$DIR/fleet.out" | python3 -c 'import json, sys; r = json.load(sys.stdin); print(r["event"], r["exit_code"], *((g["vm"], g["outcome"]) for g in r["guests"]))')" \
	"summary 0 ('e', 'migrated') ('d', 'gone-before')" "the summary"
is_there d
is_there e
