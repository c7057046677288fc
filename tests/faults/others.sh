#!/bin/bash
# tests/faults/others.sh WHEN WHO WHAT: at that moment of a move, the guest itself or somebody at another monitor of its QEMU does something.
. "$(dirname "$0")/cell.sh"
WHEN=$1 WHO=$2 WHAT=$3

person() { # QMP COMMAND
	timeout 5 "$ASK" qmp "$(free_monitor a)" "$1" >>"$DIR/person" 2>&1 || note "QEMU: $(tail -n 1 "$DIR/person")"
}

# A device that was plugged in is not on the command line, so no move takes it.
somebody_unplugs() {
	local at=$DIR/a.mon
	[[ -S $at ]] || at=$REAL_TO/a.mon
	qmp "$at" '{"execute": "device_del", "arguments": {"id": "plugged"}}' DEVICE_DELETED >/dev/null 2>&1 || true
}

WITNESS_MORE=button=1
cell_begins -device qemu-xhci
reach "$WHEN"
case $WHO/$WHAT in
guest/poweroff)
	timeout 5 "$ASK" order "$(orders a)" poweroff 3 >/dev/null 2>&1 || note "it did not take the order"
	MAY_BE_NOWHERE=1 MAY_END_THERE=1
	;;
person/reset) person '{"execute": "system_reset"}' ;;
person/button)
	person '{"execute": "system_powerdown"}'
	MAY_BE_NOWHERE=1 MAY_END_THERE=1
	;;
person/quit)
	person '{"execute": "quit"}'
	MAY_BE_NOWHERE=1 MAY_END_THERE=1
	;;
person/pause) person '{"execute": "stop"}' ;;
person/cont) person '{"execute": "cont"}' ;;
person/resize) person '{"execute": "block_resize", "arguments": {"device": "d0", "size": 16777216}}' ;;
person/plug) person '{"execute": "device_add", "arguments": {"driver": "usb-tablet", "id": "plugged"}}' ;;
person/unplug) person '{"execute": "device_del", "arguments": {"id": "d0-dev"}}' ;;
*) fail "what is $WHO/$WHAT?" ;;
esac
go_on
settle
somebody_resumes
somebody_unplugs
verdict
