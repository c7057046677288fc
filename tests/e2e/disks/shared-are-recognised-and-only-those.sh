#!/bin/bash
# A disk that both hosts see is recognised, by whatever name, by a lock that the other end sees. No other file is taken for it: not one of
# the same name, nor one that is to be copied, nor one whose host may have written less than the guest believes.
# alone: mount namespaces of its own
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

[[ $EUID -eq 0 ]] || skip "root is needed to mount"
mkdir "$DIR/pool" "$DIR/there" "$DIR/other" "$DIR/own"

refused() { # PATTERN OPTION...
	local status=0
	"$BIN/vmferry" migrate "${GUEST_PID[a]}" "$DEST" "${@:2}" </dev/null >"$DIR/move.out" 2>"$DIR/move.err" || status=$?
	assert_eq "$status" 3 "exit code of migrate ${*:2} ($(tail -n 1 "$DIR/move.err"))"
	grep -q -- "$1" "$DIR/move.err" || fail "it does not say '$1': $(<"$DIR/move.err")"
	assert_eq "$(status_of "$(free_monitor a)")" running "the guest"
}

# The guest's disk is pool/a.raw; at the destination's, pool is another directory, and what the source sees there is at "there".
DISK_DIR=$DIR/pool
head -c 16M /dev/urandom >"$DIR/pool/a.raw"
MEM=256 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20" \
	tiny_start a $(guest_drive d0 "$DIR/pool/a.raw" raw) $(second_monitor a)
cp "$DIR/pool/a.raw" "$DIR/other/a.raw"
DST_ON=(unshare --mount --propagation private bash -c 'mount --bind "$0/pool" "$0/there" && mount --bind "$0/other" "$0/pool" && exec "$@"' "$DIR")
to_listener

refused "the destination cannot see that $DIR/pool/a.raw there is the same file" --disk-dir "$DIR/own" --disk d0=shared
refused "pool/a.raw exists already at the destination" --disk d0=copy
"$BIN/vmferry" check "${GUEST_PID[a]}" "$DEST" --disk-dir "$DIR/own" --disk "d0=$DIR/there/a.raw" </dev/null >"$DIR/check.out" 2>&1 ||
	fail "check: $(<"$DIR/check.out")"
grep -q "disk     $DIR/pool/a.raw (raw, 16.0 MiB) stays where it is: the destination sees the same file as $DIR/there/a.raw" "$DIR/check.out" ||
	fail "the plan: $(<"$DIR/check.out")"
grep -q -- '--how warm' "$DIR/check.out" && fail "check offers what does not go with it: $(<"$DIR/check.out")"

# by its other name, which is what the destination's QEMU is given
move a "$DEST" --disk "d0=$DIR/there/a.raw"
guest_verify "$(orders a)" blocks
cmp -s "$DIR/pool/a.raw" "$DIR/other/a.raw" && fail "the guest has not written to the file that it shares"

# without a word, by the same path at both ends; but not where its sockets lie there, too
guest_stop a
DST_ON=()
to_listener
small_guest() { # DISK [DRIVE OPTIONS]
	GUEST_AT=()
	MEM=256 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20" \
		tiny_start a $(guest_drive d0 "$1" raw | sed "s/format=raw/&${2:+,$2}/") $(second_monitor a)
}
head -c 16M /dev/urandom >"$DIR/b.raw"
small_guest "$DIR/b.raw"
refused "which the guest's QEMU makes (-.*), exists at the destination, on storage that both hosts see"
guest_stop a
small_guest "$DIR/b.raw" cache=unsafe
refused "cannot stay where it is: it is used with cache=unsafe" --disk-dir "$DIR/own" --disk d0=shared
guest_stop a

mount -n -t tmpfs -o size=64M pool "$DIR/pool"
at_exit "umount -l $DIR/pool"
head -c 16M /dev/urandom >"$DIR/pool/b.raw"
small_guest "$DIR/pool/b.raw"
"$BIN/vmferry" migrate "${GUEST_PID[a]}" "$DEST" --json </dev/null >"$DIR/move.json" 2>"$DIR/move.log" || fail "migrate: $(tail -n 3 "$DIR/move.log")"
assert_result '[d["transfer"] for d in plan["disks"]] == ["shared"]' "the plan"
guest_adopt a "$(result 'r["destination_pid"]')"
GUEST_AT[a]=$DIR/pool
guest_verify "$(orders a)" blocks
