#!/bin/bash
# tests/faults/storage.sh WHEN agent|qemu WHAT: at that moment of `vmferry storage` (a fault point, without src-) its agent or the guest's QEMU is killed, stopped
# for five seconds, or stopped for ever. Or WHEN is a command of QMP, with -N the Nth, and QEMU does not answer it as it should (as in qmp.sh).
. "$(dirname "$0")/cell.sh"
. "$(dirname "$0")/../lib/storage.sh"
WHEN=$1 WHO=$2 WHAT=$3
GONE=

# Whether the script names the old images or the new ones; nothing else will do.
images_now() {
	local images
	images=$(images_in_script)
	[[ $images == "$OLD_IMAGES" || $images == "$NEW_IMAGES" ]] || fail "the script names $images"
	echo "$images"
}

says_images() { # CODE
	case $1 in
	0) echo "$NEW_IMAGES" ;;
	1) echo "$OLD_IMAGES" ;;
	*) images_now ;; # it is as it was before it was asked
	esac
}

hit_here() {
	case $WHO in agent) pid=$MOVE_PID ;; qemu) pid=${GUEST_PID[a]} ;; esac
	case $WHAT in
	kill)
		kill -KILL "$pid"
		wait_for 10 process_is_gone "$pid" || fail "process $pid does not die"
		[[ $WHO == agent ]] || GONE=yes
		;;
	stop5)
		kill -STOP "$pid"
		[[ $WHO == agent ]] || kill -CONT "$MOVE_PID"
		wait_ms 5000
		kill -CONT "$pid"
		;;
	stop)
		kill -STOP "$pid"
		STOPPED+=("$pid")
		;;
	esac
	[[ $WHO == agent ]] || kill -CONT "$MOVE_PID" 2>/dev/null || true
}

settle_here() {
	if ! wait_for 60 move_is_over; then # a person sees at last what hangs
		note "it waits"
		release_stopped
		wait_for 60 move_is_over || fail "vmferry storage does not end: $(tail -n 2 "$DIR/move.log")"
	fi
	release_stopped
	CODE=0 SAID_BY=storage
	wait "$MOVE_PID" || CODE=$?
	guard_ends
	for i in 1 2 3; do
		[[ -n $(unfinished_journals) ]] || break
		ask_recover
	done
}

case $WHAT in
error | event | late | later | log)
	qmp_shim "$WHEN" "$WHAT"
	export "${SHIM[@]}"
	storage_guest
	unset "${SHIM[@]%%=*}"
	: >"$DIR/qmp-faults"
	storage_start "${GUEST_PID[a]}" "${BOTH[@]}" --format qcow2
	;;
*)
	storage_guest
	fault "src-$WHEN" stop
	storage_start "${GUEST_PID[a]}" "${BOTH[@]}" --format qcow2
	wait_at_fault "src-$WHEN"
	AT_FAULT=
	hit_here
	;;
esac
settle_here
[[ ! -e $DIR/qmp-faults || -s $DIR/qmp-seen ]] || absent "it is not asked that often"
rm -f "$DIR/qmp-faults"

on=$(images_now)
[[ $CODE != [01] ]] || assert_eq "$on" "$(says_images "$CODE")" "images that the script names, as $SAID_BY says $CODE"
if [[ $GONE ]]; then
	assert_on "$on" gone
	guest_from_script
elif [[ $on == "$OLD_IMAGES" ]]; then
	assert_kept
else
	assert_on "$on"
fi
assert_eq "$(status_of "$DIR/a.mon")" running "QEMU's run state"
wait_for 20 has_disk_ops a $(($(disk_ops a) + 20)) || fail "the guest does not write any more"

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
echo "green: on the $([[ $on == "$OLD_IMAGES" ]] && echo old || echo new) images, $SAID_BY says $CODE$(
	[[ ! -s $DIR/notes ]] || sed 's/^note: /; /' "$DIR/notes" | tr -d '\n'
)"
