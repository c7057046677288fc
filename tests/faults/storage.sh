#!/bin/bash
# tests/faults/storage.sh WHEN src-agent|src-qemu WHAT: at that moment of `vmferry storage` (a fault point, without src-) its agent or the guest's QEMU is killed, stopped
# for five seconds, or stopped for ever. Or WHEN is a command of QMP, with -N the Nth, and QEMU does not answer it as it should (as in qmp.sh).
. "$(dirname "$0")/cell.sh"
. "$(dirname "$0")/../lib/storage.sh"
. "$(dirname "$0")/../lib/backup.sh"
WHEN=$1 WHO=$2 WHAT=$3

case $WHAT in
error | event | late | later | log)
	qmp_shim "$WHEN" "$WHAT"
	export "${SHIM[@]}"
	storage_guest
	unset "${SHIM[@]%%=*}"
	bitmap_add d1 daily
	qmp_misanswers
	storage_start "${GUEST_PID[a]}" "${BOTH[@]}" --format qcow2
	;;
*)
	storage_guest
	bitmap_add d1 daily
	fault "src-$WHEN" stop
	storage_start "${GUEST_PID[a]}" "${BOTH[@]}" --format qcow2
	wait_at_fault "src-$WHEN"
	hit "$WHO" "$WHAT"
	go_on
	;;
esac
settle_one_place storage
if [[ -e $DIR/qmp-now ]]; then
	qmp_answers
	qmp_has_misanswered || absent "it is not asked that often"
fi

on=$(images_in_script)
case $CODE in
0) assert_eq "$on" "$NEW_IMAGES" "images that the script names, as $SAID_BY says 0" ;;
1) assert_eq "$on" "$OLD_IMAGES" "images that the script names, as $SAID_BY says 1" ;;
*) [[ $on == "$OLD_IMAGES" || $on == "$NEW_IMAGES" ]] || fail "the script names $on" ;;
esac
if [[ $MAY_BE_NOWHERE == 1 ]]; then # the QEMU was killed
	assert_on "$on" gone
	guest_from_script
elif [[ $on == "$OLD_IMAGES" ]]; then
	assert_kept
else
	assert_on "$on"
fi
if [[ $MAY_BE_NOWHERE != 1 ]]; then # otherwise it was in the memory of a QEMU that has ended
	read -r _ image <<<"$(images_in_use)"
	[[ $(bitmap daily) == "$(node_of "$image") True False "* ]] || fail "the dirty bitmap: '$(bitmap daily)'"
fi
assert_eq "$(status_of "$DIR/a.mon")" running "QEMU's run state"
wait_for 60 has_disk_ops a $(($(disk_ops a) + 20)) || fail "the guest does not write any more"

# Once more, or back.
if [[ $on == "$OLD_IMAGES" ]]; then
	storage "${GUEST_PID[a]}" "${BOTH[@]}" --format qcow2
	assert_on "$NEW_IMAGES"
else
	rm -f "$DIR/src/a.raw" "$DIR/src/b.qcow2"
	storage "${GUEST_PID[a]}" --start-script "$DIR/src/a.sh" --disk "a.qcow2=$DIR/src/a.raw" --format raw --old remove
	storage "${GUEST_PID[a]}" --start-script "$DIR/src/a.sh" --disk "b.raw=$DIR/src/b.qcow2" --format qcow2 --old remove
	assert_on "$OLD_IMAGES"
fi
evidence "on the $([[ $on == "$OLD_IMAGES" ]] && echo old || echo new) images"
