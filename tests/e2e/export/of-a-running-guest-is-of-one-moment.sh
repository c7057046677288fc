#!/bin/bash
# A guest that writes two disks in turn is exported while it runs: its bundle has both as they were at one moment, when the export began, with
# all that was on stable storage before; the guest runs on. Imported under another name it boots, and finds that. Through a pipe likewise.
# timeout: 300
# takes: 25
# tier: gate
. "$(dirname "$0")/../../lib/export.sh"

finds() { # NAME AT-LEAST AT-MOST: what the guest in VMS found at its start
	local found first second
	ready_again
	found=$(pair_says "$VMS/$A.orders" found)
	first=${found%,*} second=${found#*,}
	[[ $first -eq $second || $first -eq $((second + 1)) ]] || fail "$1's disks are not of one moment: $found"
	[[ $second -ge $2 ]] || fail "$1 has lost what was on stable storage: $found, and there was $2"
	[[ $first -le $3 ]] || fail "$1's disks are of a later moment: $found, and when the copying was seen to have begun there was $3"
	guest_verify "$VMS/$A.orders" >/dev/null
}

WITNESS="pair_rate=400" pair_start "$A" # writes so fast that the moments of two disks would not be equal by chance
wait_for 60 pair_has_written "$DIR/$A.orders" 50 || fail "the guest does not write"
before=$(pair_written "$DIR/$A.orders")
export_start "$A" "$DIR/bundle" --bwlimit 3M
wait_for 60 is_copying "$A" || fail "nothing is copied: $(cat "$DIR/export.err")"
during=$(($(pair_written "$DIR/$A.orders") + 1))
wait_for 60 pair_has_written "$DIR/$A.orders" $((during + 100)) || fail "the guest stands while it is exported"
export_wait
says '^exported: ' "$DIR/export.out"
assert_eq "$(of_ours "$DIR/$A.mon")" "" "what is left in QEMU"
assert_eq "$(find "$DIR/bundle" -name '.*' -type f)" "" "drafts"
guest_verify "$DIR/$A.orders" >/dev/null
(cd "$DIR/bundle" && sed -n "s/^    echo '\(.*\)' | sha256sum -c$/\1/p" README | sha256sum -c --quiet) || fail "the README's digests are not right"

rests "$A"
imports "$DIR/bundle" --name "$ID-new" --start
finds a "$before" "$during"
assert_eq "$(qmp "$VMS/$A.qmp" '{"execute": "query-name"}' | grep -o "\"$ID-new\"")" "\"$ID-new\"" "its name"
end_process "$IMPORTED"
rm "$VMS"/*
goes_on "$A"

# a stream, compressed; the original runs on beside it
beyond_gate e2e/export/with-memory-goes-on-where-it-was || exit 0
before=$(pair_written "$DIR/$A.orders")
vmferry export "$A" - --compress 2>"$DIR/export.err" </dev/null | try_import - --name "$ID-piped" --start || fail "$(cat "$DIR/export.err" "$DIR/import.err")"
find_imported
during=$(pair_written "$DIR/$A.orders")
finds a "$before" "$during"
assert_eq "$(find "$TMPDIR" "$VMS" -name '*vmferry-*')" "" "what is left of the stream"
end_process "$IMPORTED"
guest_verify "$DIR/$A.orders" >/dev/null
