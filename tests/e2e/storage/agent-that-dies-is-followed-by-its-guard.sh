#!/bin/bash
# The agent that moves disks is killed at every step. Before what starts the guest names the new images its guard undoes everything, from then
# on it finishes; the guest runs on, though its requests were waiting. Where the guard is gone, too, `vmferry recover` does the same.
# timeout: 400
. "$(dirname "$0")/../../lib/storage.sh"

storage_guest

back() { # for the next time
	[[ $(images_in_script) != "$NEW_IMAGES" ]] || storage "${GUEST_PID[a]}" --disk "a.qcow2=$DIR/src/a.raw" --format raw --old remove
	[[ -e $DIR/src/b.qcow2 ]] || storage "${GUEST_PID[a]}" --disk "b.raw=$DIR/src/b.qcow2" --format qcow2 --old remove
}

settled() { # IMAGES
	if [[ $1 == "$OLD_IMAGES" ]]; then
		assert_kept
	else
		assert_on "$NEW_IMAGES"
		rm -f "$DIR/src/a.raw" "$DIR/src/b.qcow2"
		back
	fi
	wait_for 60 has_disk_ops a $(($(disk_ops a) + 20)) || fail "the guest does not write any more"
}

both_formats() { # Uses a disk of each format, as --format is for all.
	fault "$1" "$2"
	storage_start "${GUEST_PID[a]}" --disk "d0-dev=$DIR/new/a.qcow2" --disk "d1-dev=$DIR/new/b.raw" --format "${3:-qcow2}"
	fault_wait
}

for point in $(some_of making made added copying ready pending script script-named committed finalized-0 finalized-1 settling); do
	echo "--- $point"
	case $point in script-named | committed | finalized-* | settling) on=$NEW_IMAGES ;; *) on=$OLD_IMAGES ;; esac
	both_formats "src-$point" kill
	guard_ends
	settled "$on"
done

# A guest that writes faster than its new disks take it is stopped for the last of it, and goes on, whoever dies.
running() {
	assert_eq "$(status_of "$DIR/a.mon")" running "QEMU's run state"
}
export VMFERRY_FAULT_BEFORE=src-stall:fail
storage "${GUEST_PID[a]}" --disk "d0-dev=$DIR/new/a.qcow2" --disk "d1-dev=$DIR/new/b.raw" --format qcow2
assert_result 'any("was stopped for a moment" in n for n in r["notes"])'
running
settled "$NEW_IMAGES"

# A guest that another client stops in that very moment stays stopped.
both_formats src-stop-noted stop
qmp "$DIR/a.mon" '{"execute": "stop"}' STOP >/dev/null
fault_continue
storage_wait 0
assert_eq "$(status_of "$DIR/a.mon")" paused "QEMU's run state"
qmp "$DIR/a.mon" '{"execute": "cont"}' RESUME >/dev/null
unset VMFERRY_FAULT_BEFORE
settled "$NEW_IMAGES"
for point in $(some_of stop-noted stopped pending committed); do
	echo "--- $point, and the guest is stopped"
	export VMFERRY_FAULT_BEFORE=src-stall:fail
	both_formats "src-$point" kill
	unset VMFERRY_FAULT_BEFORE
	guard_ends
	running
	if [[ $point == committed ]]; then settled "$NEW_IMAGES"; else settled "$OLD_IMAGES"; fi
done
export VMFERRY_FAULT_BEFORE=src-stall:fail
both_formats src-stopped stop
unset VMFERRY_FAULT_BEFORE
kill_now "$(guard_pid)"
kill_now "$FAULT_PID"
recover 1
running
settled "$OLD_IMAGES"

for point in $(some_of making copying pending script-named finalized-0); do
	echo "--- $point, and its guard"
	case $point in script-named | finalized-0) on=$NEW_IMAGES status=0 ;; *) on=$OLD_IMAGES status=1 ;; esac
	both_formats "src-$point" stop
	kill_now "$(guard_pid)"
	kill_now "$FAULT_PID"
	# another is not begun before
	storage_start "${GUEST_PID[a]}" --disk "d0-dev=$DIR/new/c.raw"
	storage_wait 3
	assert_result '"recover" in r["reason"]'
	[[ $(vmferry journal) == *"a (pid "*") -> other disks, attempt "* ]] || fail "journal: $(vmferry journal)"
	recover "$status"
	settled "$on"
done
