#!/bin/bash
# While a guest is neither here nor there nobody locks its disk, which both hosts see: somebody starts it anew from that, and ends it again.
# Whatever is heard then, from an agent or from QEMU's own words, neither memory goes on over what was written. Nor is a log beside the
# disk written over, nor a disk taken for the guest's that was put in its place.
# alone: mounts a file system
# takes: 15
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

somebody_writes() {
	"$TOP/build/qemu/bin/qemu-io" -f raw -c 'write -q -P 0x5a 15M 4k' "$DIR/a.raw" || fail "the disk is locked"
}

begin() { # POINT[:stop]
	GUEST_AT=()
	guest_a
	move_until listener "$1" --disk d0=shared
	there=$(qemu_dst)
	kill_at_exit "$there"
}

# COMMITTED comes late
begin after-SRC_COMMITTED
kill_now "${GUEST_PID[a]}"
somebody_writes
recover 8
said recover.log "was written since the guest's memory came here"
process_is_gone "$there" || fail "the guest is there: $(status_of "$TO/a.mon")"

# NOVM comes late
begin before-DST_START:stop
kill_now "$DST_PID"
kill_now "$FAULT_PID"
DST_PID=
kill_now "$there"
move_wait 6
somebody_writes
to_listener
recover 6 --dest "$DEST"
said recover.log "was written since the guest was handed over"
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the state of the source QEMU"
kill_now "${GUEST_PID[a]}"
recover 8 --dest "$DEST"

# QEMU has another file open
GUEST_AT=()
guest_a
mv "$DIR/a.raw" "$DIR/old.raw"
cp "$DIR/old.raw" "$DIR/a.raw"
move_start a "$DEST" --disk d0=shared
move_wait 3
assert_result '"was replaced, or removed" in r["reason"]' "why"
guest_verify "$(orders a)" blocks
guest_stop a

# a log beside it
if [[ $EUID -ne 0 ]]; then
	echo "skipped: only root can mount a file system"
	exit 0
fi
mkdir "$DIR/pool"
mount -n -t tmpfs -o size=64M pool "$DIR/pool"
at_exit "umount -l $DIR/pool"
head -c 16M /dev/urandom >"$DIR/pool/a.raw"
MEM=256 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20" \
	tiny_start a $(guest_drive d0 "$DIR/pool/a.raw" raw) $(second_monitor a) -serial "file:$DIR/pool/serial.log"
echo "what the guest has logged for years" >>"$DIR/pool/serial.log"
status=0
"$BIN/vmferry" migrate "${GUEST_PID[a]}" "$DEST" </dev/null >"$DIR/move.out" 2>"$DIR/move.log" || status=$?
assert_eq "$status" 3 "exit code where its log would be written over"
said move.log "serial.log, which the guest's QEMU makes \\(-serial\\), exists at the destination, on storage that both hosts see"
grep -q 'for years' "$DIR/pool/serial.log" || fail "the log is gone"
