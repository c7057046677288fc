#!/bin/bash
# A medium is written to on the source while it is being copied: rolled back, nothing left; unchanged, it arrives whole, holes
# and all.
. "$(dirname "$0")/../../lib/aftermath.sh"

truncate -s 64M "$DIR/cd.iso"
head -c 12M /dev/urandom | dd of="$DIR/cd.iso" bs=1M seek=20 conv=notrunc status=none
guest_a -drive "file=$DIR/cd.iso,format=raw,media=cdrom,if=none,id=cd0,readonly=on" -device ide-cd,drive=cd0
to_local
move_start a local --media copy --bwlimit 2M
wait_event 'ev["event"] == "progress" and ev["stage"] == "prepare" and ev["file"].endswith("cd.iso")' >/dev/null
# from the first second on: what is queued ahead of the link would delay a cancellation
assert_result '[ev["rate_bps"] for ev in events if ev["event"] == "progress"][0] < 3e6'
printf x | dd of="$DIR/cd.iso" bs=1 seek=99 conv=notrunc status=none
vmferry set "${GUEST_PID[a]}" bwlimit=0
move_wait 1
assert_result '"cd.iso was changed while it was copied" in r["reason"]'
assert_at_source
move a local --media copy
cmp "$DIR/cd.iso" "$TO/cd.iso" || fail "the medium has other content"
[[ $(allocated "$TO/cd.iso") -lt $((14 << 20)) ]] || fail "the medium has lost its holes: $(allocated "$TO/cd.iso")"
guest_verify "$(orders a)" blocks
