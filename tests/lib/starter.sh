# shellcheck shell=bash
# For tests of guests that somebody starts again; to be sourced after aftermath.sh.
#
#   loop_start PAUSE_S [QEMU OPTION...]    a script in no unit runs the guest `a` again and again: $LOOP, GUEST_PID[a]; its disk is LOOP_DISK (DIR/a.raw)
#   loop_end                               and ends, with the guest wherever it is
#   started_by_hand                        as the script would start it once more: true if that QEMU comes up

cat >"$DIR/loop" <<-'END'
	#!/bin/bash
	# PAUSE PIDS COMMAND...
	trap 'kill $! $GUEST; exit' TERM
	while :; do
	    "${@:3}" &
	    GUEST=$!
	    echo $! >>"$2"
	    wait $!
	    sleep "$1" &
	    wait $!
	done
END
chmod +x "$DIR/loop"
declare -a LOOPED=()
LOOP=

loop_start() { # PAUSE_S [QEMU OPTION...]
	local disk=${LOOP_DISK:-$DIR/a.raw}
	rm -f "$DIR/loop.pids" "$DIR"/a.{console,orders,qmp,raw.moved-*}
	[[ -b $disk || -L $disk ]] || guest_disk "$disk" raw 16M
	LOOPED=("$QEMU" -accel tcg -machine q35 -m 64 -display none -nodefaults -no-user-config -name a
		-serial "file:$DIR/a.console" -serial "unix:$DIR/a.orders,server=on,wait=off" -qmp "unix:$DIR/a.qmp,server=on,wait=off"
		-pidfile "$DIR/a.pid" -kernel "$TOP/build/guest/tiny.elf"
		-append "witness.ram_mb=8 witness.rate=100 witness.disks=vda witness.disk_mb=8 witness.disk_rate=20"
		$(guest_drive d0 "$disk" raw) "${@:2}")
	unset "GUEST_AT[a]"
	"$DIR/loop" "$1" "$DIR/loop.pids" "${LOOPED[@]}" </dev/null >/dev/null 2>"$DIR/loop.err" &
	LOOP=$!
	kill_at_exit "$LOOP"
	wait_for 60 grep -aqs '^witness ready' "$DIR/a.console" || fail "the guest does not come up: $(<"$DIR/loop.err")"
	guest_adopt a "$(head -n 1 "$DIR/loop.pids")"
}

loop_end() {
	end_process "$LOOP"
	end_process "${GUEST_PID[a]}"
}

started_by_hand() {
	local pid
	"${LOOPED[@]}" </dev/null >/dev/null 2>"$DIR/by-hand.err" &
	pid=$!
	kill_at_exit "$pid"
	wait_for 60 eval 'process_is_gone "$pid" || monitor_answers "$DIR/a.qmp"' || fail "the old copy neither starts nor ends"
	! process_is_gone "$pid" || return 1
	end_process "$pid"
}
