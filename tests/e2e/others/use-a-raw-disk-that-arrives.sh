#!/bin/bash
# A raw disk that arrives is nobody else's: another QEMU, or qemu-img, at the destination does not get it, until the guest's own QEMU there has it. What takes no
# locks and cuts it is noticed, and the guest stays where it was.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

on_the_way() { # sets IMAGE
	to_local
	move_start a local "$@" "${SLOW_RAM[@]}" --hold
	while_ram
	IMAGE=$TO/a.raw
}

goes_on() { # STATUS
	"$BIN/vmferry" set "${GUEST_PID[a]}" bwlimit=0 >/dev/null || true # the move may end already
	"$BIN/vmferry" switch --no-wait "${GUEST_PID[a]}" >/dev/null || true
	move_wait "$1"
}

refused() { # COMMAND...
	! "$@" >/dev/null 2>"$DIR/refused" || fail "$* may use the disk that arrives"
	grep -q lock "$DIR/refused" || fail "$*: $(<"$DIR/refused")"
}

guest_a
on_the_way
truncate -s 8M "$IMAGE"
goes_on 1
assert_result "'another program cut or lengthened' in r['reason'] and r['guest'] == 'source'" "why"
assert_at_source

for how in --ram-mode=pages --ram-mode=opaque; do
	on_the_way "$how"
	refused "$QEMU_IMG" create -f raw "$IMAGE" 16M
	refused "$QEMU_IMG" resize -f raw "$IMAGE" 32M
	refused "${QEMU_IMG%/*}/qemu-io" -f raw -c 'write 0 4k' "$IMAGE"
	goes_on 0
	guest_is_there "$(result 'r["destination_pid"]')"
	refused "${QEMU_IMG%/*}/qemu-io" -f raw -c 'write 0 4k' "$IMAGE"
	guest_verify "$(orders a)" blocks
done
