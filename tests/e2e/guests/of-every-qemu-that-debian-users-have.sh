#!/bin/bash
# A guest of each QEMU that users of Debian have moves to the same one and to each newer one, with the machine type that is new there and
# with an old one. A move that is cancelled leaves it where it is, one that is held waits. It runs the witness, which is asked at the
# end. (`make check-all` runs every test with each of them.)
# takes: 25
# tier: gate
# timeout: 600
. "$(dirname "$0")/../../lib/aftermath.sh"
[[ -x $(qemu_called 7.2) && -x $(qemu_called 11.1) ]] || skip "not all QEMUs are here: run scripts/install-deps --cross"

# QEMU 10.0.13 (Debian 13) makes each ring of virtio as large as can be, whatever it was told; 11.1 takes no ring that is larger than its own.
has_rings_of_1024() {
	[[ $(qmp "$(free_monitor a)" '{"execute": "x-query-virtio-queue-status", "arguments": {"path": "/machine/peripheral/d0-dev/virtio-backend", "queue": 0}}') \
		== *'"vring-num-default": 1024'* ]]
}

version_of() { # PROGRAM: where a QEMU is the system's, that is the one of its Debian
	"$1" --version | sed -nE '1s/^.* version ([0-9.]+).*/\1/p'
}

goes() { # FROM TO [MACHINE]: FROM may be a file
	local QEMU QEMU_THERE MACHINE=${3:-q35} QUIET= written
	local -a memory=()
	if [[ $1 == 7.2 ]]; then # it does not tell where it has its memory, which has a name that the user has chosen
		QUIET=yes MACHINE+=,memory-backend=mine
		memory=(-object memory-backend-ram,id=mine,size=256M)
	fi
	QEMU=$(qemu_called "$1") QEMU_THERE=$(qemu_called "$2")
	GUEST_AT=()
	guest_a "${memory[@]}"
	to_local
	if [[ $2 == 11.1 ]] && has_rings_of_1024; then
		move_start a local
		move_wait 3
		assert_result '"entries long at most" in r["reason"]'
		vmferry check "${GUEST_PID[a]}" local --disk-dir "$TO" --qemu "$QEMU_THERE" >"$DIR/check.log" 2>&1 && fail "check promises what a move refuses"
		grep -q "entries long at most" "$DIR/check.log" || fail "check: $(<"$DIR/check.log")"
		assert_at_source
		guest_stop a
		rm -f "$DIR"/a.*
		return
	fi
	move_until local disks
	kill -TERM "$MOVE_PID"
	move_wait 1
	assert_at_source
	move_start a local --hold
	wait_event 'ev["event"] == "notice" and "vmferry switch" in ev["text"]' >/dev/null
	written=$(disk_ops a)
	wait_for 60 has_disk_ops a $((written + 20)) || fail "$1 to $2: the guest does not run on while it is held"
	wait_for 60 is_moving_with a 's["held"] and s["stage"] == "copy"' || fail "$1 to $2: the guest is not held: $(vmferry status --json)"
	vmferry switch --no-wait "${GUEST_PID[a]}"
	move_wait
	assert_moved
	assert_result 'r["ram"]["mode"] == "pages" and r["ram"]["rechecked_pages"] > 0'
	assert_result "$(printf '[plan["qemu_version"], plan["destination_qemu_version"]] == ["%s", "%s"]' "$(version_of "$QEMU")" "$(version_of "$QEMU_THERE")")"
	guest_stop a
	rm -f "$DIR"/a.*
}

goes 7.2 10.0
goes 10.0 11.1
goes 11.1 11.1
beyond_gate || exit 0 # the rest runs in the columns of make check-all
goes 7.2 7.2
goes 7.2 11.1
goes 11.1 11.1 pc-q35-10.0
