#!/bin/bash
# A libvirt guest that runs goes cold to a host without libvirt (--as plain): its disk goes ahead while a database writes to it, libvirt shuts it down, and it
# boots there, by the line made from its definition, with all rows that it had committed; the next move takes it as the plain guest that it is.
# takes: 30
# timeout: 300
. "$(dirname "$0")/../../lib/libvirt-move.sh"

libvirt_host a
libvirt_plain_host b
NAME=base-$$ # other tests' guests are on this machine, too
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

guest_ext4 "$at_a/$NAME.qcow2" qcow2 64M
MEM=256 WITNESS="ram_mb=8 rate=0 db=vda db_rate=0 button=1" libvirt_define a $NAME "$LIBVIRT_GUESTS/$NAME.qcow2:qcow2"
libvirt_run a $NAME
before=$(rows "$(orders $NAME)")
libvirt_move_start a b $NAME --how cold --as plain
wait_event 'ev["event"] == "notice" and "told to shut down now" in ev["text"]' >/dev/null
libvirt_move_wait 0
assert_result 'r["started_pid"] and r["away_ms"] > 0 and r["ahead"]["passes"] > 1 and "defined" not in r'
guest_adopt $NAME "$(result 'r["started_pid"]')"
assert_eq "$(defined_at a)" "" "guests of libvirt"
wait_for 120 answers "$there" || fail "it does not boot there"
after=$(rows "$there")
echo "rows: $before before, $after after"
[[ $before -gt 0 && $after -ge $before ]] || fail "rows are gone"
assert_nothing_unfinished

# The guest runs by its script from now on, and moves on as any other.
vmferry_at b list $NAME --json >"$DIR/list" 2>&1 || true
grep -q '"owner": *"plain"' "$DIR/list" || fail "it is not listed as a plain guest: $(cat "$DIR/list")"
vmferry_at b check $NAME local --disk-dir "$DIR/next" >"$DIR/check" 2>&1 || fail "it could not be moved on: $(cat "$DIR/check")"
