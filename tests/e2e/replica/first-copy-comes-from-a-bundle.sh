#!/bin/bash
# A bundle of the guest was brought to the replica's host, as a directory or as the file of its stream. The first point carries what differs from it, and is exact also where
# the bundle is damaged, where the agent there was killed meanwhile, and where its file system was full. One without any of the guest's disks is refused. It is of the first point alone.
# timeout: 400
. "$(dirname "$0")/../../lib/replica.sh"

of_result() { # EXPRESSION over d, what sync.json says of the disks
	tail -n 1 "$DIR/sync.json" | python3 -S -c 'import json, sys; d = json.load(sys.stdin)["disks"]; print(eval(sys.argv[1]))' "$1"
}

begins_anew() { # OPTION...: its first point, and what of it did not travel is in KEPT
	replica remove "$A" >"$DIR/out" 2>&1 || fail "remove: $(cat "$DIR/out")"
	replica remove "$A" >"$DIR/out" 2>&1 || true # at the replica's host, which is this one
	replica_add "$@"
	KEPT=$(of_result "sum(x.get('bytes_kept', 0) for x in d)")
}

is_exact() {
	sync
	assert_eq "$(of_primary 'p["whole"]')" False "everything was compared"
	assert_point_is_exact
}

refused() { # PATTERN OPTION...
	! replica add "$A" local --disk-dir "$THERE" --json -v "${@:2}" >"$DIR/sync.json" 2>"$DIR/sync.log" || fail "add ${*:2} is not refused"
	grep -qE -- "$1" "$DIR/sync.json" "$DIR/sync.log" || fail "add ${*:2} does not say '$1': $(tail -n 3 "$DIR/sync.log" "$DIR/sync.json")"
	[[ ! -e $STORE && ! -e $VMFERRY_STATE_DIR/replica/$A.conf ]] || fail "left of an add that was refused: $(ls "$STORE")"
}

replica_start
export_guest "$A" "$DIR/medium"
(cd "$DIR/medium" && tar --format=ustar -cf "$DIR/medium.tar" vmferry-bundle.json README disk*.qcow2)
writes_on
rests "$A"

refused 'has no vmferry-bundle.json' --initial "$THERE"
refused 'is no bundle' --initial "$DIR/$A.c"
refused 'No such file' --initial "$DIR/nowhere"
python3 -S - "$DIR/medium" "$DIR/other" <<-'END'
	import json, os, sys
	os.mkdir(sys.argv[2])
	m = json.load(open(sys.argv[1] + "/vmferry-bundle.json"))
	for d in m["disks"]:
	    d["path"] = d["real_path"] = "/else/" + d["file"]
	json.dump(m, open(sys.argv[2] + "/vmferry-bundle.json", "w"))
END
refused 'has none of this guest.s disks' --initial "$DIR/other"

# the file system there is full: it fails, nothing of it stays, and what comes next begins with the bundle again
if mount -t tmpfs -o size=12M none "$THERE" 2>/dev/null; then
	at_exit "mountpoint -q $THERE && umount $THERE"
	! replica add "$A" local --disk-dir "$THERE" --json --initial "$DIR/medium" >"$DIR/sync.json" 2>&1 || fail "it has found room"
	grep -q 'No space left' "$DIR/sync.json" || fail "it fails otherwise: $(tail -n 1 "$DIR/sync.json")"
	nothing_is_left
	mount -o remount,size=200M "$THERE"
	sync
	[[ $(of_result "sum(x['bytes_kept'] for x in d)") -ge $((12 << 20)) ]] || fail "the bundle was not looked at again"
	assert_point_is_exact
	replica remove "$A" >/dev/null
	replica remove "$A" >/dev/null 2>&1 || true
	umount "$THERE"
fi

# as a directory; disks that were written since are sent, and the vdc of noise is not
replica_add --initial "$DIR/medium"
assert_eq "$(of_result "[x['reuse'].rsplit('/', 1)[1] for x in d]")" "['disk0.qcow2', 'disk1.qcow2', 'disk2.qcow2']" "where the disks are in the bundle"
KEPT=$(of_result "sum(x['bytes_kept'] for x in d)")
[[ $KEPT -ge $((12 << 20)) ]] || fail "$KEPT bytes did not travel"
! grep -q '^initial' "$VMFERRY_STATE_DIR/replica/$A.conf" || fail "the settings name the bundle still"
is_exact

# as the file of a stream, in which some blocks are damaged since: they travel
python3 -S - "$DIR/medium.tar" <<-'END'
	import os, sys
	with open(sys.argv[1], "r+b") as f:
	    f.seek(os.path.getsize(sys.argv[1]) - (3 << 20))
	    f.write(os.urandom(1 << 20))
END
begins_anew --initial "$DIR/medium.tar"
[[ $KEPT -ge $((8 << 20)) ]] || fail "of a damaged bundle $KEPT bytes did not travel"
is_exact

# cut off in the middle, by the death of the agent there: what comes next begins with it again
replica remove "$A" >/dev/null
replica remove "$A" >/dev/null 2>&1 || true
! VMFERRY_FAULT=dst-point replica add "$A" local --disk-dir "$THERE" --initial "$DIR/medium" >"$DIR/out" 2>&1 || fail "nobody has come to dst-point"
grep -q '^initial' "$VMFERRY_STATE_DIR/replica/$A.conf" || fail "the bundle is forgotten: $(cat "$DIR/out")"
sync
[[ $(of_result "sum(x['bytes_kept'] for x in d)") -ge $((12 << 20)) ]] || fail "the bundle was not looked at again"
assert_point_is_exact
goes_on "$A"
writes_on
nothing_is_left
