#!/bin/bash
# A libvirt guest that runs goes cold: its disks go ahead while it runs, libvirt is told to shut it down, and libvirt at the destination defines and starts it.
# Its owner may end it, or cancel; what its libvirt, or somebody's virsh, does meanwhile loses nothing; and if it does not go down it runs on.
# takes: 60
# timeout: 400
. "$(dirname "$0")/../../lib/libvirt-move.sh"
export TINY=yes MEM=32 MACHINE=pc WITNESS="ram_mb=4 rate=0 disks=vda disk_rate=20 button=1"

export LIBVIRT_QEMU_USER=libvirt-qemu
NAME=web-$$ # unique: QEMUs of this machine are found by name from everywhere
libvirt_host a
libvirt_host b
listen_at a
listen_at b

begins() { # [SED-WORDS on its definition]: the guest runs at a, and is nowhere else
	local host
	for host in a b; do
		libvirt_in "$host" virsh -q destroy "$NAME" &>/dev/null || true
		libvirt_in "$host" virsh -q undefine "$NAME" &>/dev/null || true
		rm -rf "$(libvirt_at "$host" "$LIBVIRT_GUESTS")"/*
	done
	head -c 2M /dev/urandom >"$(libvirt_at a "$LIBVIRT_GUESTS")/web.raw"
	libvirt_xml "$NAME" "$LIBVIRT_GUESTS/web.raw:raw" | sed "${1:-}" >"$DIR/web.xml"
	libvirt_in a virsh -q define "$DIR/web.xml" >/dev/null
	libvirt_run a "$NAME"
}

head_start() { # [OPTION...]: until its disks are there
	libvirt_move_start a b "$NAME" --how cold "$@"
	wait_event 'ev["event"] == "notice" and "disks are at the destination:" in ev["text"]' >/dev/null
}

pid_at() { # HOST
	cat "$(libvirt_at "$1" "/run/libvirt/qemu/$NAME.pid")"
}

runs_there() {
	assert_result 'r["started"] and "after_error" not in r' "started there"
	guest_adopt "$NAME" "$(pid_at b)"
	wait_for 60 grep -aqs 'witness ready' "$(libvirt_at b "$LIBVIRT_GUESTS/$NAME.console")" || fail "it does not come up there"
	assert_is_at b a "$NAME"
	assert_no_definition_left
}

runs_here() {
	assert_eq "$(pid_at a)" "${GUEST_PID[$NAME]}" "its QEMU here"
	assert_eq "$(libvirt_in a virsh domstate "$NAME" | xargs)" running "state of the guest"
	assert_is_at a b "$NAME"
}

assert_no_definition_left() { # parts of its disks that have arrived may be kept at the destination
	[[ -z $(find "$DIR/state-a" -name '*.journal'; find "$DIR"/state-? -name '*.definition') ]] || fail "left: $(ls "$DIR"/state-?)"
}

# The guest obeys.
begins
libvirt_move a b "$NAME" 0 --how cold
assert_result 'any("told to shut down now (by libvirt)" in n for n in notices) and r["ahead"]["passes"] > 0'
runs_there

# The guest is ended by its owner, after its libvirtd was restarted.
begins
head_start --hold
libvirt_stop a
libvirt_start_daemon a
libvirt_in a virsh -q destroy "$NAME" >/dev/null
libvirt_move_wait 0
runs_there

# The guest does not obey, or libvirt starts it again at once: it runs on.
begins "s/button=1/button=2/"
libvirt_move a b "$NAME" 4 --how cold --shutdown-timeout 1
assert_result '"did not shut down within 1 s" in r["reason"] and r["guest"] == "source"'
runs_here
begins 's/<on_poweroff>destroy/<on_poweroff>restart/'
libvirt_move a b "$NAME" 4 --how cold --shutdown-timeout 3
runs_here

# The move is cancelled; or its agent dies.
begins
head_start --hold
vmferry_at a cancel --no-wait "$NAME" >"$DIR/cancel" 2>&1 || fail "it cannot be cancelled"
wait_for 60 process_is_gone "$MOVE_PID" || fail "the move does not end"
runs_here
head_start --hold
kill -KILL "$MOVE_PID"
wait_for 60 process_is_gone "$MOVE_PID" || fail "the agent does not die"
runs_here
vmferry_at a recover "$NAME" >"$DIR/recover" 2>&1 || true
runs_here
assert_no_definition_left

# A change that cannot go along, made while the guest is waited for, is seen before the guest is told to shut down: the guest runs on.
changed() { # REASON COMMAND...
	begins
	head_start --hold
	"${@:2}" >/dev/null || fail "it is not changed: ${*:2}"
	vmferry_at a switch --no-wait "$NAME" >/dev/null 2>&1 || fail "the wait cannot be ended"
	wait_for 60 process_is_gone "$MOVE_PID" || fail "the move does not end"
	result 'r["reason"]' | says "$1" || fail "the reason is: $(result 'r["reason"]')"
	runs_here
	assert_no_definition_left
}
shares() {
	libvirt_in a virsh dumpxml --inactive "$NAME" | sed "s#<target dev='vda'[^>]*>#&<shareable/>#" >"$DIR/shareable.xml"
	libvirt_in a virsh -q define "$DIR/shareable.xml"
}
changed 'shareable' shares
changed 'writes to' libvirt_in a virsh -q snapshot-create-as "$NAME" outside --disk-only
libvirt_in a virsh -q snapshot-delete "$NAME" outside --metadata
# A change that can go along is carried.
begins
head_start --hold
libvirt_in a virsh -q autostart "$NAME" >/dev/null
vmferry_at a switch --no-wait "$NAME" >/dev/null 2>&1 || fail "the wait cannot be ended"
libvirt_move_wait 0
runs_there
libvirt_in b virsh dominfo "$NAME" | says 'Autostart: *enable' || fail "its autostart was lost"

# A guest that is undefined while it runs is not told to shut down, as it would be lost then; and a guest that was never defined does not
# go.
begins
head_start --hold
libvirt_in a virsh -q undefine "$NAME" >/dev/null
vmferry_at a switch --no-wait "$NAME" >/dev/null 2>&1 || fail "the wait cannot be ended"
wait_event 'ev["event"] == "notice" and "vmferry did not tell it to shut down: another client undefined it in libvirt" in ev["text"]' >/dev/null
runs_here
vmferry_at a cancel --no-wait "$NAME" >/dev/null 2>&1
wait_for 60 process_is_gone "$MOVE_PID" || fail "the move does not end"
libvirt_move a b "$NAME" 3 --how cold
result 'r["reason"]' | says 'is transient, and would be forgotten' || fail "transient: $(result 'r["reason"]')"
runs_here
assert_no_definition_left
