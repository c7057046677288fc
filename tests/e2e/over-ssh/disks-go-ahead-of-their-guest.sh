#!/bin/bash
# Over SSH, where no agent stands and none is left: the disks of a guest are brought ahead, and a week later, for all that is known there, the guest.
# timeout: 240
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
on_b umount "$TOP/build/guest"
ssh_guest

ssh_move a root@host-b --only-disks
assert_result 'r["outcome"] == "disks-copied" and len(r["leftovers"]) == 1 and "is kept until" in r["leftovers"][0]'
[[ $(ls "$TO") == a.raw.vmferry-????????-partial ]] || fail "files at the destination: $(ls "$TO")"

guest_order "$(orders a)" quiesce >/dev/null # writes meanwhile would travel
ssh_move a root@host-b --keep-partial 7d
assert_arrived
assert_result 'plan["disks"][0]["begun"] and r["disks"][0]["bytes_kept"] > 7 << 20'
assert_result 'r["disks"][0]["bytes_wire"] < r["disks"][0]["bytes_read"] - r["disks"][0]["bytes_kept"] + (1 << 20)' "what was there has travelled"
assert_eq "$(ls "$TO" | grep -F vmferry || true)" "" "what is left"
