#!/bin/bash
# A libvirt guest that has a replica moves, as it runs, to another libvirt: its points are made from there, the first of them by comparing everything. It goes to its replica as a
# plain guest, gets disks of its own, and becomes libvirt's again, shut down for that, with all that it has.
# takes: 60
# timeout: 300
export TINY=yes MACHINE=pc MEM=128 WITNESS="ram_mb=16 rate=500 disks=vda disk_mb=4 disk_rate=50 button=1"
. "$(dirname "$0")/../../lib/libvirt-move.sh"

export LIBVIRT_QEMU_USER=libvirt-qemu PATH=${QEMU_IMG%/*}:$PATH
libvirt_host a
libvirt_host c
libvirt_plain_host b
NAME=follows-$$ # other tests' guests are on this machine, too
G=$LIBVIRT_GUESTS
at_a=$(libvirt_at a "$G") at_b=$(libvirt_at b "$G")
mkdir "$at_a/again"

at() { # HOST COMMAND [WORD...]
	vmferry_at "$1" "${@:2}" </dev/null >"$DIR/out" 2>&1 || fail "$2 $3 at $1: $(tail -n 3 "$DIR/out")"
}

knows() { # HOST EXPRESSION over p
	vmferry_at "$1" replica status "$NAME" --json | python3 -S -c 'import json, sys; p = json.load(sys.stdin)[0]; print(eval(sys.argv[1]))' "$2"
}

"$QEMU_IMG" create -q -f qcow2 "$at_a/wiki.qcow2" 16M
head -c 8M /dev/urandom >"$at_a/data.raw"
libvirt_define a "$NAME" "$G/wiki.qcow2:qcow2" "$G/data.raw:raw"
libvirt_run a "$NAME"
listen_at b
at a replica add "$NAME" "${ADDRESS_AT[b]}" --disk-dir "$G"
at a replica sync "$NAME"

listen_at c
at a migrate "$NAME" "${ADDRESS_AT[c]}"
grep -q "vmfr-.*, its replica's, which does not go along: all of that disk is compared" "$DIR/out" || fail "its bitmaps are called a backup tool's: $(grep bitmap "$DIR/out")"
[[ ! -e $DIR/state-a/replica/$NAME.conf ]] || fail "a would make points"
at c replica sync "$NAME"
assert_eq "$(knows c "(p['point'], p['whole'])")" "(3, True)" "the first point from there"
at c replica sync "$NAME"
assert_eq "$(knows c "(p['point'], p['whole'])")" "(4, False)" "the next one"

at c replica failover "$NAME" --planned
guest_adopt "$NAME" "$(python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["run"]["pid"])' "$at_b/$NAME.replica/replica.json")"
assert_eq "$(defined_at c)" "" "guests of libvirt"
at b replica failover "$NAME" --complete
guest_verify "$at_b/$NAME.serial2"

# libvirt's again
listen_at a
at b migrate "$NAME" "${ADDRESS_AT[a]}" --how cold --as libvirt --disk-dir "$G/again" --qemu "$QEMU"
process_is_gone "${GUEST_PID[$NAME]}" || fail "it runs at b yet"
assert_eq "$(defined_at a)" "$NAME" "guests of libvirt at a"
assert_eq "$(libvirt_in a virsh -q domstate "$NAME")" running "its state"
cmp "$at_a/again/$NAME-disk1.raw" "$at_a/data.raw"
cmp "$at_a/again/$NAME-disk1.raw" "$at_b/$NAME-disk1.raw"
assert_nothing_unfinished
