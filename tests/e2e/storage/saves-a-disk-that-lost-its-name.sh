#!/bin/bash
# Another file has the name of a running guest's disk (a backup was restored over it): storage brings what the guest wrote to a new place, and leaves that file,
# which is somebody else's, as it is. Then the guest moves.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

for old in keep remove; do
	guest_a
	head -c 16M /dev/urandom >"$DIR/theirs"
	cp "$DIR/theirs" "$DIR/other.raw"
	mv "$DIR/other.raw" "$DIR/a.raw"
	mkdir "$DIR/new"
	status=0
	"$BIN/vmferry" storage "${GUEST_PID[a]}" --disk "d0=$DIR/new/a.raw" --old $old </dev/null >"$DIR/out" 2>&1 || status=$?
	assert_eq "$status" 0 "exit code ($(tail -n 3 "$DIR/out"))"
	grep -q "another file has the name of the old disk" "$DIR/out" || fail "it is not told: $(tail -n 5 "$DIR/out")"
	cmp "$DIR/a.raw" "$DIR/theirs" || fail "--old $old: the other file is not as it was"
	[[ -z $(find "$DIR" -name '*.moved-*') ]] || fail "--old $old: something was set aside"
	guest_verify "$(orders a)" blocks
	if [[ $old == remove ]]; then
		to_local
		move a local
		guest_verify "$(orders a)" blocks
	else
		guest_stop a
		rm -rf "$DIR"/a.* "$DIR/new"
	fi
done
