#!/bin/bash
# A CD of more than 256 MiB is taken for the same when its size and three samples are (as README says), is copied when one of these
# differs, and with --media copy in any case.
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
on_b umount "$TOP/build/guest"
on_b umount "$VM"
on_b mount -t tmpfs -o mode=711,size=1g vm "$VM"

cd=$VM/cd.iso
truncate -s 300M "$cd"
mark() { # FILE MIB TEXT
	printf '%s' "$3" | dd of="$1" bs=1M seek="$2" conv=notrunc status=none
}
mark "$cd" 0 first
mark "$cd" 75 second
mark "$cd" 299 last

carried() { # prints what the plan says of the CD
	result "[f['transfer'] for f in plan['files'] if f['from'].endswith('cd.iso')]"
}

# [what differs there] [what comes of it]
for case in "0 - present" "75 other present" "0 other copy" "299 other copy" "150 other copy" "none - copy"; do
	read -r at text expected <<<"$case"
	rm -f "$(there "$cd")"
	if [[ $at != none ]]; then
		cp --sparse=always "$cd" "$(there "$cd")"
		[[ $text == - ]] || mark "$(there "$cd")" "$at" "$text"
	fi
	[[ -n ${GUEST_PID[a]:-} ]] || ssh_guest a -cdrom "$cd"
	ssh_move_start a root@host-b --dry-run
	move_wait 0 2>/dev/null # the move has no result
	assert_eq "$(carried)" "[\"$expected\"]" "the CD, with '$text' at $at MiB"
done
