# shellcheck shell=bash
# For tests in which something goes wrong while a libvirt guest is moved as it runs; to be sourced after aftermath.sh (or faults/cell.sh), all of which then
# means these hosts: the guest $NAME, with the witness and two disks, is libvirt's at host a, starts when that boots, and runs. With TRANSIENT=yes it is
# transient; with SHARED=yes its first disk is on storage that both hosts see.
#
#   libvirt_guest_runs                  both hosts, and the guest
#   libvirt_guest_again                 the guest at host a as at first, wherever it has come to
#   move_start NAME DEST [OPTION...]    its move; libvirt_live_start DEST [OPTION...] likewise, for one that is not cell.sh's
#   source_dies, destination_dies POINT WHERE STATUS    a move in which that agent dies at that fault point: where the guest runs then, and the exit code of the
#                                       recover that comes then, or of the move
#   where_defined                       source, destination, both, or nowhere
#   assert_runs_at source|destination   one QEMU runs it, there, where libvirt alone has it, defined and as it was; nothing that it wrote is lost
. "$(dirname "${BASH_SOURCE[0]}")/libvirt.sh"
. "$(dirname "${BASH_SOURCE[0]}")/libvirt-cold.sh"

NAME=live-$$
export TINY=yes MACHINE=pc MEM=64 WITNESS="ram_mb=16 rate=500 disks=vda disk_mb=4 disk_rate=50"
HOW_WORDS=(--how "${HOW:-live}")

libvirt_guest_runs() {
	local at first=$LIBVIRT_GUESTS/a.qcow2
	if [[ -z ${LIBVIRT_PID[a]:-} ]]; then
		libvirt_host a
		libvirt_host b
		libvirt_way a
		ON=("${LIBVIRT_WAY[@]}")
		libvirt_way b
		DST_ON=("${LIBVIRT_WAY[@]}")
	fi
	at=$(libvirt_at a "$LIBVIRT_GUESTS")
	[[ -z ${SHARED:-} ]] || first=$DIR/both/a.qcow2
	mkdir -p "$DIR/both"
	"$QEMU_IMG" create -q -f qcow2 "$(libvirt_at a "$first")" 8M
	head -c 2M /dev/urandom >"$at/b.raw"
	if [[ -n ${TRANSIENT:-} ]]; then
		libvirt_create a "$NAME" "$first:qcow2" "$LIBVIRT_GUESTS/b.raw:raw"
		return
	fi
	libvirt_define a "$NAME" "$first:qcow2" "$LIBVIRT_GUESTS/b.raw:raw"
	libvirt_in a virsh -q autostart "$NAME" >/dev/null
	libvirt_in a virsh dumpxml --security-info --inactive "$NAME" >"$DIR/definition"
	libvirt_run a "$NAME"
}

libvirt_guest_again() {
	local host
	for host in a b; do
		libvirt_in "$host" virsh -q destroy "$NAME" >/dev/null 2>&1 || true
		libvirt_in "$host" virsh -q undefine "$NAME" >/dev/null 2>&1 || true
	done
	rm -f "$(libvirt_at a "$LIBVIRT_GUESTS")"/* "$(libvirt_at b "$LIBVIRT_GUESTS")"/* "$DIR"/{state,dst-state}/libvirt-*
	libvirt_guest_runs
}

move_start() { # NAME DEST [OPTION...]
	MOVES=$((MOVES + 1))
	TO=$(libvirt_at b "$LIBVIRT_GUESTS")
	rm -f "$DIR/move.json" "$DIR/move.log"
	"${ON[@]}" "$BIN/vmferry" migrate "$NAME" "$2" "${HOW_WORDS[@]}" --json -v "${@:3}" </dev/null >"$DIR/move.json" 2>"$DIR/move.log" &
	MOVE_PID=$!
	kill_at_exit "$MOVE_PID"
}

libvirt_live_start() { # DEST [OPTION...]
	move_start "$NAME" "$1" --reconnect-timeout 3 "${@:2}"
}

# The processes of this guest's QEMUs, wherever they are.
qemus() {
	local at
	for at in /proc/[0-9]*/cmdline; do
		{ tr "\0" "\n" <"$at"; } 2>/dev/null | grep -qx "guest=$NAME,debug-threads=on" && echo "${at//[^0-9]/}"
	done || true
}

one_qemu() {
	[[ $(qemus | wc -l) -eq 1 ]]
}

runs_at() { # HOST
	[[ $(libvirt_in "$1" virsh -q domstate "$NAME") == running ]]
}

is_defined_at() { # source|destination; libvirt forgets a guest a moment after its QEMU has ended
	[[ $(where_defined) == "$1" ]]
}

assert_runs_at() { # source|destination
	local host file
	host=$(host_of "$1")
	wait_for 60 one_qemu || fail "QEMUs that have the guest: $(qemus | xargs)"
	wait_for 60 is_defined_at "$1" || fail "libvirt has the guest: $(where_defined) ($(libvirt_in b virsh domstate "$NAME" --reason 2>&1 | head -n 1))"
	wait_for 60 runs_at "$host" || fail "at the $1 it is $(libvirt_in "$host" virsh -q domstate "$NAME" --reason)"
	libvirt_in "$host" virsh dominfo "$NAME" | grep -E '^(Autostart|Persistent):' | tr -s ' ' | xargs >"$DIR/dominfo"
	if [[ -n ${TRANSIENT:-} ]]; then
		assert_eq "$(<"$DIR/dominfo")" "Persistent: no Autostart: disable" "what libvirt has of it"
		for file in a b; do [[ ! -e $(libvirt_at $file "/etc/libvirt/qemu/$NAME.xml") ]] || fail "libvirt defines it at $file"; done
	else
		assert_eq "$(<"$DIR/dominfo")" "Persistent: yes Autostart: enable" "what libvirt has of it"
		libvirt_in "$host" virsh dumpxml --security-info --inactive "$NAME" | diff "$DIR/definition" - || fail "its definition has changed"
		[[ -e $(libvirt_at "$host" "/etc/libvirt/qemu/$NAME.xml") ]] || fail "its definition is in no file of libvirt's at the $1"
	fi
	guest_adopt "$NAME" "$(qemus)"
	GUEST_AT[$NAME]=$(libvirt_at "$host" "$LIBVIRT_GUESTS")
	guest_verify "$(orders "$NAME")"
	[[ $1 == destination ]] || assert_eq "$(find "$(libvirt_at b "$LIBVIRT_GUESTS")" -name '*.qcow2' -o -name '*.raw')" "" "disks at the destination"
	assert_eq "$(find "$(libvirt_at a /run/libvirt)" "$(libvirt_at b /run/libvirt)" "$(libvirt_at a /etc/libvirt)" -name '*vmferry*')" "" "left behind"
}

# Begins the move whose agents die; a test with another kind of move defines its own.
begin_move() {
	libvirt_live_start "$DEST"
}

assert_runs() { # source|destination
	assert_runs_at "$1"
	assert_nothing_unfinished
}

source_dies() { # POINT WHERE STATUS: of recover
	to_listener
	fault "$1"
	begin_move
	fault_wait
	wait_for 60 process_is_gone "$MOVE_PID" || fail "$1: the agent lives on"
	guard_ends
	[[ $2 == destination ]] || wait_for 60 runs_at a || fail "$1: nobody takes it back: $(libvirt_in a virsh domstate "$NAME" --reason)"
	recover "$3"
	assert_runs "$2"
}

destination_dies() { # POINT WHERE STATUS: of the move
	to_local
	fault "$1"
	to_listener
	begin_move
	fault_wait
	libvirt_cold_wait "$3"
	assert_runs "$2"
}
