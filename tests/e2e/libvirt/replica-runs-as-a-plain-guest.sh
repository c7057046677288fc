#!/bin/bash
# A libvirt guest that runs has a replica at a host without libvirt: points are made while it runs on, and the next is a delta; it is known that it would start there, and
# from the newest point it runs there as a plain guest, with what its database had then.
# takes: 30
# timeout: 300
. "$(dirname "$0")/../../lib/libvirt-move.sh"

export LIBVIRT_QEMU_USER=libvirt-qemu PATH=${QEMU_IMG%/*}:$PATH
libvirt_host a
libvirt_plain_host b
NAME=post-$$ # other tests' guests are on this machine, too
at_a=$(libvirt_at a "$LIBVIRT_GUESTS") at_b=$(libvirt_at b "$LIBVIRT_GUESTS")
listen_at b
there=$at_b/$NAME.serial2

rows() { # SOCKET: prints how many were checked
	local said
	said=$(guest_verify "$1" blocks) || fail "the database is damaged"
	sed -n 's/.* blocks_checked=\([0-9]*\) .*/\1/p' <<<"$said"
}

answers() { # SOCKET
	"$ASK" order "$1" ping 1 >/dev/null 2>&1
}

replica_at() { # HOST SUBCOMMAND [WORD...]
	vmferry_at "$1" replica "${@:2}" >"$DIR/replica.out" 2>"$DIR/replica.err" || fail "replica $2 at $1: $(tail -n 3 "$DIR/replica.out" "$DIR/replica.err")"
}

known() { # EXPRESSION over p, what the primary knows
	vmferry_at a replica status "$NAME" --json | python3 -S -c 'import json, sys; p = json.load(sys.stdin)[0]; print(eval(sys.argv[1]))' "$1"
}

newest_at_b() { # prints its disk's file
	find "$at_b/$NAME.replica/points" -name disk0.qcow2 -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-
}

guest_ext4 "$at_a/$NAME.qcow2" qcow2 64M
MEM=256 WITNESS="ram_mb=8 rate=0 db=vda db_rate=0" libvirt_define a "$NAME" "$LIBVIRT_GUESTS/$NAME.qcow2:qcow2"
libvirt_run a "$NAME"
replica_at a add "$NAME" "${ADDRESS_AT[b]}" --disk-dir "$LIBVIRT_GUESTS"
before=$(rows "$(orders "$NAME")")
replica_at a sync "$NAME"
assert_eq "$(known 'p["point"], p["whole"], p["would_start"]["start"], p["would_start"]["why"]')" "(2, False, True, [])" "what the primary knows"
assert_eq "$(libvirt_in a virsh -q domstate "$NAME")" running "the guest's state"
[[ -z $(find "$at_a" -name '.vmferry*') ]] || fail "left at the primary: $(find "$at_a" -name '.vmferry*')"

# the guest stops at its primary, with a last point while it stands, so that nothing is lost
libvirt_in a virsh -q suspend "$NAME" >/dev/null
replica_at a sync "$NAME"
libvirt_in a virsh -q destroy "$NAME" >/dev/null
"$QEMU_IMG" convert -U -O raw -f qcow2 "$(newest_at_b)" "$DIR/point.raw"
assert_same_content "$at_a/$NAME.qcow2" qcow2 "$DIR/point.raw" raw
replica_at b failover "$NAME" --peer-is-fenced
guest_adopt "$NAME" "$(python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["run"]["pid"])' "$at_b/$NAME.replica/replica.json")"
wait_for 120 answers "$there" || fail "it does not boot there: $(tail -n 3 "$at_b/$NAME.console")"
after=$(rows "$there")
echo "rows: $before before, $after after"
[[ $before -gt 0 && $after -ge $before ]] || fail "rows are gone"

# the old primary: libvirt has it still, and its next point is refused. (Both hosts have the processes of this machine, and a name is of one guest)
kill -KILL "${GUEST_PID[$NAME]}"
wait_for 60 process_is_gone "${GUEST_PID[$NAME]}"
rm -f "$at_a/$NAME.console" "$at_a/$NAME.orders"
libvirt_run a "$NAME"
! vmferry_at a replica sync "$NAME" >"$DIR/out" 2>&1 || fail "a point of the old copy"
grep -q 'replaced: guest .* was taken over' "$DIR/out" || fail "it is not told that it was replaced: $(cat "$DIR/out")"
