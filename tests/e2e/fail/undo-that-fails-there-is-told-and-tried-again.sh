#!/bin/bash
# A rollback that cannot remove something at the destination (an immutable file; a directory into which a file was put) ends with exit code
# 4; the file stays in the journal there, is in no other move's way, and goes when an agent next starts there and can remove it.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

touch "$DIR/probe"
chattr +i "$DIR/probe" 2>/dev/null || skip "files cannot be made immutable here"
chattr -i "$DIR/probe"
at_exit 'chattr -i "$DIR/probe" "$DIR"/d*/a.raw 2>/dev/null'

left() { # Files that the rollback left at the destination.
	(cd "$DIR" && find d1 dst-run -path dst-run/in -prune -o -type f -print | sort | xargs)
}

session_ends() { # Waits for the session of the move that is over.
	wait_for 60 eval '! agent_dst >/dev/null' || fail "the destination's agent does not end"
}

guest_a
to_listener
address=$DEST
move_until there disks
first=$TO
run_dir=$(find "$DIR/dst-run" -mindepth 1 -maxdepth 1 -type d ! -name in)
touch "$run_dir/note"
chattr +i "$first/a.raw"
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null || true # unless writing to it has failed first, which ends the move in the same way
move_wait 4
assert_result 'r["guest"] == "source" and len(r["leftovers"]) == 2'
assert_result "any('at the destination: cannot remove $first/a.raw: Operation not permitted' in l for l in r['leftovers'])"
assert_result "any('at the destination: cannot remove $run_dir: Directory not empty' in l for l in r['leftovers'])"
assert_result 'all("vmferry-dst tries again when it is next started there" in l for l in r["leftovers"])'
assert_eq "$(status_of "$(free_monitor a)")" running "the guest"
assert_eq "$(left)" "d1/a.raw ${run_dir#"$DIR"/}/note" "left"
[[ $(unfinished_journals) == */dst-state/*-dst.journal ]] || fail "journals: $(unfinished_journals)"

# The source knows nothing of it any more; another move comes and goes.
recover 0
move_until there disks
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 1
[[ -z $(ls -A "$TO") ]] || fail "left by the second move: $(ls -A "$TO")"

# An agent that starts says it again, and removes what it can: of moves that no other agent is at.
session_ends
rm "$run_dir/note"
to_local
listen_dst --listen "$address"
grep -q "left behind by the move of guest a: cannot remove $first/a.raw: Operation not permitted" "$DIR/dst.log" || fail "it says nothing: $(<"$DIR/dst.log")"
assert_eq "$(left)" "d1/a.raw" "left after the next start"
assert_eq "$(unfinished_journals | wc -l)" 1 "journals"
chattr -i "$first/a.raw"
to_local
listen_dst --listen "$address"
[[ -z $(ls -A "$first") ]] || fail "not removed: $(ls -A "$first")"
assert_at_source

# A guest that has arrived is where it is, whatever cannot be removed.
move_start a "$address" "${SLOW_DISKS[@]}"
while_disks
run_dir=$(find "$DIR/dst-run" -mindepth 1 -maxdepth 1 -type d ! -name in)
touch "$run_dir/note"
vmferry set "${GUEST_PID[a]}" bwlimit=0 >/dev/null
move_wait
assert_result "len(r['leftovers']) == 1 and 'at the destination: cannot remove $run_dir: Directory not empty' in r['leftovers'][0]"
assert_eq "$(unfinished_journals | wc -l)" 1 "journals"
session_ends
rm "$run_dir/note"
to_local
listen_dst --listen "$address"
to_local
assert_nothing_unfinished
assert_eq "$(cd "$TO" && ls -A | sort | xargs)" "a.console a.mon a.orders a.qmp a.raw a.sh" "files of the guest"
guest_verify "$(orders a)" blocks
