#!/bin/bash
# Memory and disk hold noise, or what can be compressed, as the option says; the load is another one as soon as it is told so.
# takes: 28
. "$(dirname "$0")/../../lib/guest.sh"

stat_of() { # NAME
	guest_order "$DIR/a.orders" stats | sed -n "s/.* $1=\([0-9]*\) .*/\1/p"
}

start() { # CONTENT
	rm -f "$DIR/a.raw"
	guest_disk "$DIR/a.raw" raw 64M
	MEM=256 MACHINE=q35,memory-backend=ram WITNESS="ram_mb=64 rate=500 disks=vda disk_mb=8 disk_rate=300 content=$1" guest_start a \
		-object memory-backend-file,id=ram,size=256M,mem-path="$DIR/ram",share=on $(guest_drive d0 "$DIR/a.raw" raw)
	wait_for 60 has_disk_ops a 300 || fail "the witness does not write"
	guest_verify "$DIR/a.orders" blocks
	guest_order "$DIR/a.orders" quiesce
	qmp "$DIR/a.qmp" '{"execute": "stop"}'
}

more() { # FILE WHAT THAN WHAT-THEN
	local said many few
	said=$("$TOP/tests/lib/tagged.py" "$1" count)
	many=$(sed "s/.*$2=\([0-9]*\).*/\1/" <<<"$said") few=$(sed "s/.*$4=\([0-9]*\).*/\1/" <<<"$said")
	[[ $many -ge $3 && $((many - few)) -ge $3 ]] || fail "${1##*/}: $many pages are $2, $few are $4"
}

start incompressible
more "$DIR/ram" noise 10000 tagged
more "$DIR/a.raw" noise 1000 tagged
guest_stop a
start compressible
more "$DIR/ram" tagged 10000 noise
more "$DIR/a.raw" tagged 1000 noise
qmp "$DIR/a.qmp" '{"execute": "cont"}'

guest_order "$DIR/a.orders" "load rate=0 pattern=seq disk_rate=100"
guest_order "$DIR/a.orders" start
disk=$(stat_of disk_ops) ram=$(stat_of ram_ops)
wait_for 60 has_disk_ops a $((disk + 100)) || fail "the witness does not write when it is told to go on"
assert_eq "$(stat_of ram_ops)" "$ram" "pages written at the rate 0"
! guest_order "$DIR/a.orders" "load rate=5 disk_rate=many" || fail "a rate of 'many' is taken"
assert_eq "$(stat_of ram_ops)" "$ram" "pages written after an order that was refused"
