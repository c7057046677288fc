# shellcheck shell=bash
# For tests of moves that fail or are cut off (tests/e2e/fail, kill, network); to be sourced. Everything of move.sh,
# a guest `a` with one disk, faults in the agents, and what must be true afterwards. The guest is the tiny witness: nothing in
# these tests asks for a Linux in it, but where GUEST_START=guest_start. ACCEL=kvm has it run under KVM.
. "$(dirname "${BASH_SOURCE[0]}")/move.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tiny.sh"

FAULT_PID=      # the agent that reached the fault point
RECONNECT_S=1   # time until a killed agent is given up; empty: the default
SETTINGS=       # settings of the source QEMU before the first move

# --- the guest -----------------------------------------------------------------------------

# 16 MiB of disk that are not holes, 32 MiB of RAM that change: a second or more at the limits below. A KVM that is emulated itself
# verifies at some megabytes a second: there it is less, and the copy that the witness keeps of its disk counts as RAM, too.
guest_a() { # [QEMU OPTION...]
	local disk_mb=16 ram_mb=32 rate=500
	[[ $ACCEL != kvm ]] || disk_mb=4 ram_mb=4 rate=100
	head -c ${disk_mb}M /dev/urandom >"$DIR/a.raw"
	MEM=256 WITNESS="ram_mb=$ram_mb rate=$rate disks=vda disk_mb=$((disk_mb / 2)) disk_rate=20" \
		"${GUEST_START:-tiny_start}" a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a) "$@"
	SETTINGS=$(settings_of a)
}

# progress ten times a second: a stage that is looked for may last but one
SLOW_DISKS=(--bwlimit 2M --json=fine) SLOW_RAM=(--bwlimit 6M --codec none --dedup off --json=fine)
[[ $ACCEL != kvm ]] || SLOW_RAM=(--bwlimit 2500K --codec none --dedup off --json=fine)

while_disks() { # returns when disks are being copied, and memory is not yet
	wait_event 'ev["event"] == "progress" and ev["disk_left"] > 0 and "ram_left" not in ev' >/dev/null
}

while_ram() {
	wait_event 'ev["event"] == "progress" and ev["ram_left"] > 0' >/dev/null
}

free_monitor() { # NAME: prints the path of the monitor that vmferry leaves alone
	echo "${GUEST_AT[$1]:-$DIR}/$1.mon"
}

runs_here() { # [NAME (a)]: the guest, where it was last
	[[ $(status_of "$(free_monitor "${1:-a}")" 2>/dev/null) == running ]]
}

guest_is_there() { # [PID]: guest a is the destination's, of that QEMU
	guest_adopt a "${1:-$(qemu_dst)}" || fail "no QEMU at the destination"
	GUEST_AT[a]=$TO
}

settings_of() { # NAME: prints everything that a move changes in a QEMU
	"$ASK" settings "$(free_monitor "$1")" "$DIR/nbd-probe"
}

# A guest that has gone to another QEMU has the settings with which that begins, and its disks.
settings_become_those_there() {
	local pid monitor type fresh active
	[[ -n ${QEMU_THERE:-} && $QEMU_THERE != "$QEMU" ]] || return 0
	monitor=$(free_monitor a)
	[[ $("$QEMU_THERE" --version) == *" version $(qmp "$monitor" '{"execute": "human-monitor-command", "arguments": {"command-line": "info version"}}' |
		grep -oE '^"?[0-9.]+' | tr -d '"')"* ]] || return 0
	type=$(qmp "$monitor" '{"execute": "qom-get", "arguments": {"path": "/machine", "property": "type"}}' | tr -d '"')
	truncate -s 1M "$DIR/fresh.raw"
	"$QEMU_THERE" -S -machine "${type%-machine}" -display none -nodefaults -drive "file=$DIR/fresh.raw,format=raw,if=none" -qmp "unix:$DIR/fresh.mon,server=on,wait=off" </dev/null >"$DIR/fresh.stderr" 2>&1 &
	pid=$!
	kill_at_exit "$pid"
	wait_for 60 monitor_answers "$DIR/fresh.mon" || fail "QEMU there does not start: $(<"$DIR/fresh.stderr")"
	fresh=$("$ASK" settings "$DIR/fresh.mon" "$DIR/nbd-probe")
	active=$(grep -om1 'active [01]' <<<"$fresh") # QEMU 7.2 does not tell it
	SETTINGS=$(sed '/^node/,$d' <<<"$fresh" && grep '^node' <<<"$SETTINGS" | sed "s/active [01]/$active/" && sed '1,/^node/d' <<<"$fresh" | grep -v '^node')
	end_process "$pid"
	rm -f "$DIR"/fresh.*
}

# --- processes of a move -------------------------------------------------------------------

agent_dst() { # prints the pid of the destination agent that has this move
	pgrep -P "${1:-${DST_PID:-$MOVE_PID}}" -x vmferry-dst
}

qemu_dst() { # prints the pid of the QEMU that waits at the destination
	pgrep -f "^[^ ]*/qemu-system-[^ ]* .*$TO/"
}

qemus() { # prints the pids of all QEMUs of this test
	local pid
	for pid in $(ours); do
		[[ $(readlink "/proc/$pid/exe") != */qemu-system-* ]] || echo "$pid"
	done
}

the_other_qemu() { # prints the pid of the one that does not have the guest (yet)
	qemus | grep -vx "${GUEST_PID[a]}" || true
}

who_listens() { # SOCKET: prints the pid
	python3 -S -c 'import socket, struct, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
print(struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])' "$1"
}

ours() { # prints the pids of all QEMUs and agents of this test
	pgrep -f "^[^ ]*/(qemu-system-[^ ]*|vmferry|vmferry-dst) .*$DIR/" | sort
}

kill_now() { # PID: and wait until it is gone
	[[ -n ${PID_BORN[$1]:-} ]] || kill_at_exit "$1"
	kill -KILL "$1" 2>/dev/null || process_is_gone "$1" || fail "process $1 cannot be killed" # it may have ended with its peer
	wait_for 60 process_is_gone "$1" || fail "process $1 does not die"
	wait "$1" 2>/dev/null || true
}

guard_pid() { # prints the pid of the source agent's guard
	pgrep -f "^vmferry --guard $DIR/"
}

# Kills the agent of the source, and its guard, which would take the guest back.
kill_agent_here() {
	local guard
	for guard in $(guard_pid); do kill_now "$guard"; done
	kill_now "$MOVE_PID"
}

# All of the destination's: first the listener, which would begin others that settle what those that are killed leave.
end_agents_there() {
	local agents agent
	[[ -z $DST_PID ]] || kill_now "$DST_PID"
	while agents=$(pgrep -f "^$BIN/vmferry-dst .*$DIR/"); do
		for agent in $agents; do kill_now "$agent"; done
	done
}

no_guard_acts() {
	local pid
	for pid in $(guard_pid); do [[ $(cat "/proc/$pid/comm" 2>/dev/null) != vmferry-guard ]] || return 1; done
}

# The dead agent's guard has done what it can, and let go of the journal; at most it holds the locks of disks (vmferry-locks).
guard_ends() {
	wait_for 60 no_guard_acts || fail "the guard does not end"
}

# DESTINATION for the next move: a new agent of vmferry's, or a new listener that knows of the fault.
to_local() {
	[[ -z $DST_PID ]] || end_process "$DST_PID"
	DST_PID=
	DEST=local
}

to_listener() { # [OPTION...]
	to_local
	rm -f "$DIR/dst.out"
	listen_dst "$@"
	DEST=$DST_ADDRESS
}

# Another program has the guest's disk here open for writing: $OTHER. It listens before it has the image.
another_has_the_disk() { # [off]: without QEMU's locks, which vmferry may have
	"$TOP/build/qemu/bin/qemu-nbd" --persistent --socket="$DIR/other" --image-opts \
		"driver=raw,file.driver=file,file.locking=${1:-on},file.filename=$DIR/a.raw" </dev/null >"$DIR/other.log" 2>&1 &
	OTHER=$!
	kill_at_exit "$OTHER"
	wait_for 60 eval '"$QEMU_IMG" info "nbd+unix:///?socket=$DIR/other" &>/dev/null' || fail "the image cannot be opened: $(<"$DIR/other.log")"
}

# --- faults --------------------------------------------------------------------------------

fault() { # POINT [ACTION]: once, in the agents started from now on
	rm -f "$DIR/fault"
	export VMFERRY_FAULT=$1:${2:-kill}:$DIR/fault
}

state_of() { # PID: a letter of proc_pid_stat(5); nothing when it is gone
	sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null || true
}

fault_is_over() { # the agent is stopped, or is gone
	[[ -s $DIR/fault ]] && FAULT_PID=$(<"$DIR/fault") && [[ $(state_of "$FAULT_PID") =~ ^[TZ]?$ ]]
}

fault_wait() { # until the agent has reached it
	wait_for 60 fault_is_over || fail "the fault point $VMFERRY_FAULT is not reached: $(tail -n 3 "$DIR/move.log")"
	unset VMFERRY_FAULT
}

fault_continue() {
	kill -CONT "$FAULT_PID"
}

# Guest a is moved until WHEN: a fault point, at which the agent that comes to it dies (POINT), or is stopped (POINT:stop); or the middle of its disks or
# its memory. To a new agent of vmferry's (local), a new listener that knows of the fault (listener), or where $DEST is (there).
move_until() { # local|listener|there WHEN|disks|memory [OPTION...]
	local to=$1 when=$2
	shift 2
	case $when in
	disks) set -- "${SLOW_DISKS[@]}" "$@" ;;
	memory) set -- "${SLOW_RAM[@]}" "$@" ;;
	*) fault ${when/:/ } ;;
	esac
	[[ $to == there ]] || "to_$to"
	move_start a "$DEST" "$@"
	case $when in
	disks) while_disks ;;
	memory) while_ram ;;
	*) fault_wait ;;
	esac
}

# Likewise until the guest runs at the destination, as $there, and may be had back for WITHIN (1h).
moved_for_now() { # local|listener|there [OPTION...]
	[[ $1 == there ]] || "to_$1"
	move_start a "$DEST" --revert-within "${WITHIN:-1h}" "${@:2}"
	wait_event 'ev["event"] == "notice" and "vmferry revert a" in ev["text"]' >/dev/null
	there=$(qemu_dst)
	kill_at_exit "$there"
}

# A QEMU that does not answer an agent's COMMAND, the Nth time (1), as it should (qmp-shim.c): what it is to find in its environment is SHIM. It does so
# from qmp_misanswers on, until qmp_answers; when it has, DIR/qmp-seen is there.
qmp_shim() { # COMMAND[-N] WHAT
	local command=$1 nth=1
	[[ ! $command =~ ^(.*)-([0-9]+)$ ]] || command=${BASH_REMATCH[1]} nth=${BASH_REMATCH[2]}
	[[ -e $BIN/shared/qmp.so ]] || fail "there is no $BIN/shared/qmp.so: make tests"
	mkfifo "$DIR/qmp-now"
	SHIM=("LD_PRELOAD=$BIN/shared/qmp.so" "QMP_FAULT=$command $nth $2" "QMP_SEEN=$DIR/qmp-seen" "QMP_WHILE=$DIR/qmp-faults"
		"QMP_NOW=$DIR/qmp-now" "VMFERRY_QEMU_ENV=LD_PRELOAD QMP_FAULT QMP_SEEN QMP_WHILE QMP_NOW")
	export VMFERRY_LOG=${VMFERRY_LOG:-info} # info: the log tells at once when an answer is no longer waited for
}

qmp_misanswers() {
	: >"$DIR/qmp-faults"
	[[ ${SHIM[1]:-} != *' later' ]] || qmp_answers_too_late &
}

qmp_answers_too_late() {
	trap - EXIT
	wait_for 60 nobody_waits && echo now 1<>"$DIR/qmp-now"
}

nobody_waits() {
	[[ ! -e $DIR/qmp-faults ]] || grep -qsE "QMP .*: QEMU did not answer" "$DIR"/*.log "$DIR"/*.err
}

qmp_answers() {
	rm -f "$DIR/qmp-faults"
}

qmp_has_misanswered() {
	[[ -s $DIR/qmp-seen ]]
}

# --- ends ----------------------------------------------------------------------------------

recover() { # STATUS [OPTION...]
	local status=0
	timeout 60 "$BIN/vmferry" recover a -v "${@:2}" </dev/null >"$DIR/recover.log" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of vmferry recover ($(tail -n 2 "$DIR/recover.log"))"
}

recover_there() { # STATUS [OPTION...]: by vmferry-dst alone
	local status=0
	timeout 60 "$BIN/vmferry-dst" recover --state-dir "$DIR/dst-state" --runtime-dir "$DIR/dst-run" -v "${@:2}" </dev/null \
		>"$DIR/recover.log" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of vmferry-dst recover ($(tail -n 2 "$DIR/recover.log"))"
}

has_said() { # FILE PATTERN: in words of ours, not in a log line
	[[ -e $DIR/$1 ]] && grep -aE "$2" "$DIR/$1" | grep -qvE '^[0-9]+\.[0-9]+ (src|dst): '
}

said() { # FILE PATTERN: it must have
	has_said "$@" || fail "$1 does not say '$2': $(tail -n 5 "$DIR/$1")"
}

unfinished_journals() {
	find "$VMFERRY_STATE_DIR" "$DIR/dst-state" -name '*.journal' 2>/dev/null
}

assert_nothing_unfinished() {
	[[ -z $(unfinished_journals) ]] || fail "unfinished journals: $(unfinished_journals)"
	[[ -z $(ls -A "$VMFERRY_RUNTIME_DIR") && -z $(ls -A "$DIR/dst-run" 2>/dev/null) ]] ||
		fail "left in the runtime directories: $(ls -A "$VMFERRY_RUNTIME_DIR" "$DIR/dst-run")"
}

assert_settled() { # Checks of both ends.
	assert_nothing_unfinished
	settings_become_those_there
	assert_eq "$(settings_of a)" "$SETTINGS" "settings of QEMU"
	assert_eq "$(status_of "$(free_monitor a)")" running "QEMU's run state"
	guest_verify "$(orders a)" blocks
}

assert_at_source() {
	wait_for 10 is_alone || true # an agent that has said its last word may take a moment to end
	assert_nothing_left $DST_PID
	assert_settled
}

is_alone() {
	[[ $(ours) == $(printf '%s\n' "${GUEST_PID[a]}" $DST_PID | sort) ]]
}

assert_moved() { # after a move to its end, by this vmferry or by recover
	wait_for 60 is_alone || fail "not alone: $(ours | xargs -r ps -o pid=,args= -p)"
	assert_eq "$(cd "$TO" && ls -aU | sort | xargs)" ". .. a.console a.mon a.orders a.qmp a.raw a.sh" "files at the destination"
	"$QEMU_IMG" info "${1:-$DIR/a.raw}" >/dev/null || fail "the source's image is locked"
	assert_settled
}

assert_at_destination() { # after recover
	process_is_gone "${GUEST_PID[a]}" || fail "the source QEMU is still there"
	guest_is_there
	assert_moved
}

# The proof that nothing of a failed one is in its way.
assert_next_move_succeeds() {
	local from=${GUEST_AT[a]:-$DIR}
	unset VMFERRY_FAULT
	to_local
	move a local
	assert_moved "$from/a.raw"
}

# --- other peers ---------------------------------------------------------------------------

# A program that says "listening on ADDRESS": $LISTENER, $LISTENER_ADDRESS.
listener() { # PROGRAM [ARGUMENT...]
	rm -f "$DIR/listener.out"
	python3 -S "$TOP/tests/lib/$1" "${@:2}" </dev/null >"$DIR/listener.out" 2>"$DIR/listener.log" &
	LISTENER=$!
	kill_at_exit "$LISTENER"
	wait_for 60 grep -qs '^listening on' "$DIR/listener.out" || fail "$1 does not listen: $(<"$DIR/listener.log")"
	LISTENER_ADDRESS=$(sed -n 's/^listening on //p' "$DIR/listener.out")
}

# A listener, and in front of it a proxy that does something to one frame: $DEST.
to_proxy() { # FAULT of proxy.py. The moves need --plaintext: otherwise what stands between is noticed
	to_listener --plaintext
	listener proxy.py "$DST_ADDRESS" "$1"
	DEST=$LISTENER_ADDRESS
}

proxy_has_done_it() {
	[[ $(wc -l <"$DIR/listener.out") -ge 2 ]] || fail "the proxy has not come to its frame: $(cat "$DIR/listener.log")"
	end_process "$LISTENER"
}
