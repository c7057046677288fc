# shellcheck shell=bash
# For end-to-end tests of what is kept of a move that ends before its time (--keep-partial); to be sourced. Everything of aftermath.sh.
#
#   guest_of_48                 a guest `a` whose disk of 48 MiB is noise, a small part of which it writes to all the time
#   copy_begins [OPTION...]     a move of it to $DEST; returns when a third of the disk is there
#   assert_kept                 at $TO there is what is kept of its disk, $KEPT, of $KEPT_BYTES, and nothing else
#   resume STATUS [OPTION...]   vmferry recover a --resume; its events are those of the move; what the guest writes meanwhile travels, so: quiesce
#   assert_resumed              the last move took from it what was there
. "$(dirname "${BASH_SOURCE[0]}")/aftermath.sh"

DISK_MB=48
KEEPING=(--keep-partial 1h)

mapped() { # QCOW2-FILE: bytes of data that could be read if its QEMU died now
	"$QEMU_IMG" map -U -f qcow2 --output=json "$1" 2>/dev/null |
		python3 -S -c 'import json, sys; print(sum(x["length"] for x in json.load(sys.stdin) if x["data"]))'
}

has_mapped() { # QCOW2-FILE MIB; qemu-img is asked only when there is as much in the file
	has_arrived "$@" && [[ $(mapped "$1") -ge $(($2 << 20)) ]]
}

guest_of_48() { # [QEMU OPTION...]
	head -c ${DISK_MB}M /dev/urandom >"$DIR/a.raw"
	MEM=256 WITNESS="ram_mb=16 rate=200 disks=vda disk_mb=4 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) \
		$(second_monitor a) "$@"
	SETTINGS=$(settings_of a)
}

has_arrived() { # FILE MIB: so much of it was written; a preallocated one has its blocks before that
	[[ -e $1 && $(written "$1") -ge $(($2 << 20)) ]]
}

copy_begins() { # [OPTION...]
	move_start a "$DEST" "${KEEPING[@]}" --bwlimit 8M "$@"
	wait_for 60 has_arrived "$TO/a.raw" $((DISK_MB / 3)) || fail "nothing arrives"
}

assert_kept() {
	KEPT=$(ls "$TO"/*-partial)
	[[ $KEPT == "$TO"/a.raw.vmferry-????????-partial ]] || fail "what is kept is called $KEPT"
	KEPT_BYTES=$(written "$KEPT")
	assert_eq "$(ls -A "$TO")" "$(basename "$KEPT")" "files at the destination"
	[[ $KEPT_BYTES -gt 0 ]] || fail "nothing is in $KEPT"
}

# The size of the kept copy in MiB, as the destination reported it before the move was resumed.
kept_mib() {
	result 'float(__import__("re").search(r"\(([0-9.]+) MiB of [^)]*\) is kept until", str([ev for ev in of("result") if "leftovers" in ev])).group(1))'
}

resume() { # STATUS [OPTION...]
	local status=0
	timeout 90 "$BIN/vmferry" recover a --resume --json "${@:2}" </dev/null >"$DIR/move.json" 2>"$DIR/recover.log" || status=$?
	assert_eq "$status" "$1" "exit code of vmferry recover --resume ($(tail -n 3 "$DIR/recover.log"))"
}

# 5 MiB: those that the guest writes to (4), and frames.
assert_resumed() { # BYTES
	assert_result "r['disks'][0]['bytes_kept'] > $1 - (5 << 20)" "what did not travel"
	assert_result "r['disks'][0]['bytes_wire'] < ($DISK_MB << 20) - $1 + (5 << 20)" "of $1 bytes that were there"
}
