#!/bin/bash
# The power fails right after a state of the hand-off was written: the journal says that state, and whoever promised a disk or a file has
# it, as the source's is; after DONE there is the script that starts the guest again. What was not synced is taken back (tests/lib/power-failure.h),
# from both agents, which end at once.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

BIN=$BIN/shared
[[ -x $BIN/vmferry-dst ]] || fail "there is no $BIN: make tests"

journal() { # src|dst: prints the path
	find "$VMFERRY_STATE_DIR" -name "*-$1.journal"
}

journal_says() { # src|dst STATE
	local text
	text=$("$BIN/vmferry" journal "$(journal "$1")") || fail "the journal of $1 cannot be read"
	grep -q "^now: $2," <<<"$text" || fail "the journal of $1 says: $(tail -n 1 <<<"$text"), not $2"
}

power_fails_after() { # STATE [OPTION...]: in a move with media; what was done is written down in DIR/power
	local ON logs=$DIR/power
	rm -rf "$logs"
	mkdir "$logs"
	fault "after-$1" stop
	ON=(env LD_PRELOAD="$BIN/power.so" POWER_ROOT="$DIR" POWER_LOGS="$logs")
	move_start a local --media copy "${@:2}"
	fault_wait
	cp "$DIR/a.raw" "$DIR/promised.raw" # the guest stands; with nobody there its QEMU may go on
	for pid in $(pgrep -f "^vmferry --guard $DIR/"); do kill_now "$pid"; done # a power failure ends the guards, too
	[[ $(find "$logs" -name '*.log' | wc -l) -ge 2 ]] || fail "nobody wrote down what the agents do"
	kill_now "$MOVE_PID"
	[[ $FAULT_PID -eq $MOVE_PID ]] || kill_now "$FAULT_PID"
	for pid in $(pgrep -f "^[^ ]*/vmferry-dst .*$DIR/"); do kill_now "$pid"; done
	[[ $1 == DST_DONE ]] || kill_now "$(qemu_dst)"
	echo "after $1: $("$TOP/build/${VARIANT:-release}/power-tool" "$logs") changes are taken back"
}

everything_is_there() { # [DIRECTORY of the disk]
	cmp "$DIR/promised.raw" "${1:-$TO}/a.raw" || fail "the disk at the destination is not what was promised"
	cmp "$TOP/build/guest/vmlinuz" "$TO/vmlinuz" && cmp "$TOP/build/guest/initrd.img" "$TO/initrd.img" || fail "files are missing"
	[[ -z $(find "$TO" -name '[!.]*.vmferry-*') ]] || fail "names of the copy are left: $(ls -A "$TO")"
}

KERNEL=vmlinuz GUEST_START=guest_start guest_a # a kernel and its initrd are carried
# the disk in a directory of its own, where nothing else is synced
mkdir "$DIR/disks"
power_fails_after DST_PREPARED --disk "a.raw=$DIR/disks/a.raw"
journal_says src SRC_BEGUN
journal_says dst DST_PREPARED
everything_is_there "$DIR/disks"
recover 1
assert_at_source
[[ -z $(ls -A "$DIR/disks") ]] || fail "left: $(ls -A "$DIR/disks")"

power_fails_after SRC_COMMITTED
journal_says src SRC_COMMITTED
journal_says dst DST_PREPARED
everything_is_there
recover 1
assert_at_source

power_fails_after DST_START
journal_says src SRC_COMMITTED
journal_says dst DST_START
everything_is_there
recover 6
recover 1 --peer-is-fenced
assert_at_source

power_fails_after DST_DONE
[[ -n $(find "$VMFERRY_STATE_DIR" -name '*-dst.journal') ]] && journal_says dst DST_DONE
[[ -x $TO/a.sh ]] && bash -n "$TO/a.sh" && grep -q "$TO/a.raw" "$TO/a.sh" || fail "the script is not there"
recover 0
rm "$TO/vmlinuz" "$TO/initrd.img" # other tests' moves do not bring these files
assert_at_destination
