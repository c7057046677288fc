# shellcheck shell=bash
# For end-to-end tests of moves between two hosts by SSH (tests/e2e/over-ssh, guests); to be sourced. Everything of
# aftermath.sh and ssh-host.sh; QEMU and vmferry run in host-a.
#
#   VM                     the directory of guests: both hosts have one of that name, and neither sees the other's
#   there PATH             prints the path by which this test finds that file of host-b: there "$VM/a.raw"
#   hosts_start            ssh_hosts_start, and VM; on host-b there is nothing of vmferry and no test guest's kernel
#   guest_on_a NAME [QEMU OPTION...]
#   ssh_guest [NAME]       a small guest with a disk in VM, and a second monitor: the tiny witness, but where GUEST_START=guest_start
#   ssh_move_start NAME DEST [OPTION...]; ...; move_wait [STATUS]; ssh_move: both
#   agent_on_b             prints the pid of the agent there; adopt_on_b NAME: after a move that did not say where the guest is
#   ssh_recover STATUS [OPTION...]            of guest a
#   remember               takes down what there is on both hosts (files, processes, sockets, bridges)
#   assert_as_remembered   that all is as it was then, and the guest runs at the source as before
#   refused STATUS WORDS DEST [OPTION...]     a move that ends so, with a reason like that, and leaves all as it was
. "$(dirname "${BASH_SOURCE[0]}")/aftermath.sh"
. "$(dirname "${BASH_SOURCE[0]}")/ssh-host.sh"

VM=$DIR/vm
KERNEL=vmlinuz # each move copies it

there() { # PATH
	at_b "$1"
}

hosts_start() {
	ssh_hosts_start
	mkdir -m 711 "$VM"
	chmod 711 "$DIR"
	on_b mount -t tmpfs -o mode=711 vm "$VM"
	hide_from_b "$BIN" "$TOP/build/guest"
	cat >"$DIR/qemu-on-a" <<-END
		#!/bin/sh
		exec nsenter -t $HOST_A -n -m -u env -C "$VM" "$QEMU" "\$@"
	END
	chmod +x "$DIR/qemu-on-a"
}

hide_from_b() { # DIRECTORY...
	local at
	for at; do on_b mount -t tmpfs -o mode=755 hidden "$at"; done
}

# In the background: $B_PID.
start_on_b() { # COMMAND...
	(exec nsenter -t "$HOST_B" -n -m -u "$@") </dev/null &
	B_PID=$!
	kill_at_exit "$B_PID"
}

# --- the guest -----------------------------------------------------------------------------

guest_on_a() { # NAME [QEMU OPTION...]
	local real=$DIR
	local QEMU_BELOW=$QEMU QEMU=$real/qemu-on-a DIR=$VM
	GUEST_AT[$1]=$VM
	"${GUEST_START:-guest_start}" "$@"
}

mon_on_a() { # NAME: prints QEMU options
	echo "-qmp unix:$VM/$1.mon,server=on,wait=off"
}

ssh_guest() { # [NAME [QEMU OPTION...]]
	local name=${1:-a} options='ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20'
	[[ ${GUEST_START:-} != guest_start ]] || options+=' still_mb=16' # the tiny witness looks at the whole disk
	head -c 16M /dev/urandom >"$VM/$name.raw"
	MEM=${MEM:-256} WITNESS="${WITNESS:-$options}" GUEST_START=${GUEST_START:-tiny_start} \
		guest_on_a "$name" $(guest_drive d0 "$VM/$name.raw" raw) $(mon_on_a "$name") "${@:2}"
	SETTINGS=$(settings_of "$name")
}

# --- moving --------------------------------------------------------------------------------

# In the background its pid is vmferry's own. WD: where it is called.
vmferry_on_a() { # ARGUMENT...
	[[ $BASHPID != "$$" ]] || { (vmferry_on_a "$@"); return; }
	exec nsenter -t "$HOST_A" -n -m -u env -C "${WD:-$PWD}" HOME="$HOME_A" TMPDIR="$DIR/tmp-a" ${SSH_AUTH_SOCK:+SSH_AUTH_SOCK="$SSH_AUTH_SOCK"} \
		setsid -w "$BIN/vmferry" "$@"
}

ssh_move_start() { # NAME DEST [OPTION...]
	local name=$1
	MOVING=$name TO=$(there "${DISK_DIR:-$VM}")
	rm -f "$DIR/move.json" "$DIR/move.log"
	vmferry_on_a migrate "${GUEST_PID[$name]}" "${@:2}" --json -v </dev/null >"$DIR/move.json" 2>"$DIR/move.log" &
	MOVE_PID=$!
	kill_at_exit "$MOVE_PID"
}

ssh_move() { # NAME DEST [OPTION...]
	ssh_move_start "$@"
	move_wait
}

find_on_b() { # PATTERN: prints the pids of the processes of host-b whose command line is like that
	local pid
	for pid in $(host_b_processes); do
		{ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qE -- "$1" && echo "$pid"
	done
	return 0
}

agent_on_b() {
	find_on_b '^[^ ]*/vmferry-dst'
}

ssh_recover() { # STATUS [OPTION...]
	local status=0
	vmferry_on_a recover a -v "${@:2}" </dev/null >"$DIR/recover.log" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of vmferry recover ($(tail -n 2 "$DIR/recover.log"))"
}

# The QEMU there, after recover.
adopt_on_b() { # [NAME]
	local name=${1:-a}
	wait_for 60 process_is_gone "${GUEST_PID[$name]}" || fail "the source QEMU is still there"
	guest_adopt "$name" "$(find_on_b "^[^ ]*/qemu-system-[^ ]* .*-name $name ")"
	[[ -n ${GUEST_PID[$name]} ]] || fail "no QEMU on host-b"
	GUEST_AT[$name]=$(there "$VM")
}

assert_arrived() { # [NAME]: from inside, and nothing is left of the move
	local name=${1:-a}
	guest_verify "$(orders "$name")" blocks
	wait_for 60 only_guests_on_b || fail "left on host-b: $(on_b_runs)"
	[[ -z $(ls -A "$(there "$HOME_B/.cache/vmferry")" 2>/dev/null) ]] || fail "the agent is left on host-b"
	[[ -z $(ls -A "$(there /run/vmferry)" 2>/dev/null) ]] || fail "left in /run/vmferry: $(ls -A "$(there /run/vmferry)")"
	[[ -z $(find "$VMFERRY_STATE_DIR" "$(there /var/lib/vmferry)" -name '*.journal' 2>/dev/null) ]] || fail "unfinished journals"
}

on_b_runs() { # prints what runs on host-b besides guests and sshd
	local pid exe
	for pid in $(host_b_processes); do
		[[ $pid != "$HOST_B" && " ${GUEST_PID[*]} " != *" $pid "* ]] || continue
		exe=$(readlink "/proc/$pid/exe" 2>/dev/null) || continue
		grep -qs 'sshd: .*\[listener\]' "/proc/$pid/cmdline" || echo "$pid ${exe##*/}"
	done
}

only_guests_on_b() {
	[[ -z $(on_b_runs) ]]
}

# --- what must be as before ----------------------------------------------------------------

as_it_is() {
	local host
	for host in on_a on_b; do
		echo "$host"
		"$host" find "$VM" "$VMFERRY_RUNTIME_DIR" /run /var/lib/vm* /var/lib/host /var/cache -xdev ! -name '*.journal.done' ! -path '*/tmp-a/*' \
			! -path '*/hosts/*' ! -path '*/.ssh/*' ! -path /var/lib/vmferry ! -path /run/vmferry ! -path '*/.cache*' \
			! -path '*/.local*' ! -path /run/ferry/vmferry -printf '%p %y %m %u\n' 2>/dev/null | sort
		"$host" bash -c 'ls -A "$HOME/.cache/vmferry" /var/lib/host/ferry/.cache/vmferry 2>/dev/null | grep -v :$; true'
		"$host" ss -Hlntx | awk '{ print $1, $5 }' | sort
		"$host" ip -o link | sed 's/@.*//; s/[0-9]*: //'
	done
	on_b_runs
}

remember() {
	REMEMBERED=$(as_it_is)
}

is_as_remembered() {
	NOW=$(as_it_is)
	[[ $NOW == "$REMEMBERED" ]]
}

assert_as_remembered() { # [NAME]
	local name=${1:-a}
	wait_for 60 is_as_remembered || fail "not as before: $(diff <(echo "$REMEMBERED") <(echo "$NOW"))"
	[[ -z $(find "$VMFERRY_STATE_DIR" "$(there /var/lib/vmferry)" -name '*.journal' 2>/dev/null) ]] || fail "unfinished journals"
	assert_eq "$(settings_of "$name")" "$SETTINGS" "settings of QEMU"
	assert_eq "$(status_of "$(free_monitor "$name")")" running "QEMU's run state"
}

refused() { # STATUS WORDS DEST [OPTION...]
	ssh_move_start a "${@:3}"
	move_wait "$1"
	reason=$(result 'r["reason"]')
	grep -qE -- "$2" <<<"$reason" || fail "the reason is not like '$2': $reason"
	echo "refused: $reason"
	assert_as_remembered
}
