#!/bin/bash
# A raw image in which zeros are written becomes one with holes: where there is room for what else is in it that is enough. One that has more is refused before
# anything is made, and so is a directory that is not there.
. "$(dirname "$0")/../../lib/import.sh"
[[ $EUID -eq 0 ]] || skip "a file system of its own size needs root"

in_small_directory() { # ARGUMENT...: of vmferry import, into a file system of 24 MiB; sets CODE
	CODE=0
	unshare --mount --propagation private bash -c 'mount -t tmpfs -o size=24m small "$0" && vmferry=$1 && shift &&
		"$vmferry" import --disk-dir "$0" --accel tcg "$@" && ls "$0"' "$VM" "$BIN/vmferry" "$@" </dev/null >"$DIR/import.out" 2>"$DIR/import.err" || CODE=$?
}

{ head -c 1M /dev/zero; head -c 3M /dev/urandom; head -c 60M /dev/zero; head -c 100K /dev/urandom; head -c 3996K /dev/zero; } >"$DIR/zeros.raw"
[[ $(stat -c %b "$DIR/zeros.raw") -gt 100000 ]] || fail "its zeros are holes"
in_small_directory "$DIR/zeros.raw" --name "$ID-z" --no-start
assert_eq "$CODE" 0 "exit code ($(cat "$DIR/import.err"))"
grep -q "^$ID-z.sh" "$DIR/import.out" || fail "no guest is there: $(cat "$DIR/import.out")"

{ head -c 1M /dev/zero; head -c 40M /dev/urandom; } >"$DIR/full.raw"
in_small_directory "$DIR/full.raw" --name "$ID-f" --no-start
assert_eq "$CODE" 3 "exit code ($(cat "$DIR/import.err"))"
grep -q 'the disks need 4[0-9.]* MiB but .* has only' "$DIR/import.err" || fail "it says: $(cat "$DIR/import.err")"

refuses 3 'vm/missing is not there: make it on the file system that is to have the disks' "$DIR/zeros.raw" --disk-dir "$VM/missing"
