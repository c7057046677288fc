#!/bin/bash
# Under KVM a guest runs while its memory is copied for an export, and imported it goes on where it was. One that somebody pauses meanwhile stays paused, and
# the export ends with that as its reason; nothing of it is left.
ACCEL=kvm
. "$(dirname "$0")/../../lib/export.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

guest_disk "$DIR/$A.raw" raw 3M
WITNESS="ram_mb=3 rate=300 disks=vda disk_mb=2 disk_rate=50" tiny_start "$A" $(guest_drive d0 "$DIR/$A.raw" raw) $(second_monitor "$A")

state() {
	status_of "$DIR/$A.mon"
}

copies_memory() {
	[[ $(qmp "$DIR/$A.mon" '{"execute": "query-migrate"}') == *'"active"'* ]]
}

export_start "$A" "$DIR/paused" --with-memory --bwlimit 1M
wait_for 60 copies_memory || fail "no memory is copied: $(<"$DIR/export.err")"
assert_eq "$(state)" running "state while its memory is copied"
rests "$A"
export_wait 1
says 'another client paused the guest while its memory was copied; it stays paused' "$DIR/export.err"
assert_eq "$(state)" paused "state of a guest that somebody has paused"
[[ ! -e $DIR/paused ]] || fail "something of it is left: $(ls -A "$DIR/paused")"
assert_eq "$(of_ours "$DIR/$A.mon")" "" "what is left in QEMU"
goes_on "$A"

written=$(tiny_written "$A")
export_guest "$A" "$DIR/bundle" --with-memory
assert_eq "$(state)" running "state after an export"
guest_verify "$DIR/$A.orders" blocks
rests "$A"
imports "$DIR/bundle" --name "$ID-new" --start
GUEST_AT[$A]=$VMS
read -ra before <<<"$written"
read -ra now <<<"$(tiny_written "$A")"
[[ ${now[0]} -ge ${before[0]} && ${now[1]} -ge ${before[1]} ]] || fail "it has not gone on where it was: $written, then ${now[*]}"
guest_verify "$VMS/$A.orders" blocks
