# shellcheck shell=bash
# A cell of the table of faults (tests/faults/run): a move, a fault at one moment of it, and the conditions that must hold afterwards.
# To be sourced; everything of aftermath.sh.
#
#   cell_begins                     guest a, a destination agent that stands, and who watches both
#   reach WHEN                      starts the move and returns at that moment: a fault point, at which the agent that came to it is stopped;
#                                   "disks" or "memory", in the middle of that; or "begun", right after the start. A moment that does not come
#                                   is none of this cell: absent
#   pid_of WHO                      src-agent, dst-agent, src-qemu, dst-qemu; prints nothing when there is none (yet)
#   go_on                           the agent that was stopped by `reach` goes on, and the move as fast as it can
#   settle                          whatever a person would do until it is known where the guest is, with vmferry's own commands
#   verdict                         all that must be true then; prints the cell's evidence
#
# CODE is the exit code of the last command that said where the guest is, SAID_BY that command. DST_OPTIONS, MOVE_OPTIONS: more of
# the destination agent's, and of the move's; HEAL: what is done before a person recovers the guest. What was watched is in DIR/watched.
. "$(dirname "${BASH_SOURCE[0]}")/../lib/aftermath.sh"

DST_OPTIONS=() MOVE_OPTIONS=()
MAY_BE_NOWHERE=0 # 1: a QEMU was killed that had the guest, or may have had it; or the guest was to end
MAY_END_THERE=0	 # 1: even after it had arrived at the destination
AGENT_STARTS_AGAIN= # not empty: the agent at the destination starts again, after the move
SOURCE_ENDED_LATER=0 # the guest's QEMU was killed when the move had ended
TO_DESTINATION=${TO_DESTINATION:-to_listener} # to_local: vmferry starts the agent there itself
WATCHED_BY=open	 # lock: a QEMU may have an image open that it does not write to
FENCED=0	 # the destination's QEMU is known to be dead
STOPPED=()	 # pids that nobody but this cell continues
MOMENT=	 # the moment of this cell
AT_FAULT=	 # the agent that waits at the moment of this cell
CODE= SAID_BY=
NOTHING=nothing	 # the meaning of nothing to recover: the outcome that the move itself reported, if it did
REAL_TO=	 # the directory of the destination

note() { # WHAT IS PART OF THE EVIDENCE
	echo "note: $*" | tee -a "$DIR/notes"
}

wait_ms() { # for what is measured in time itself: how long a process is stopped, or a network away
	local s
	printf -v s '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
	read -rt "$s" <> <(:) || true
}

absent() { # WHY
	echo "absent: $*"
	exit 0
}

cell_begins() {
	local disk_mb=8 ram_mb=16 rate=500
	[[ $ACCEL != kvm ]] || disk_mb=4 ram_mb=4 rate=100 # the same as guest_a
	head -c ${disk_mb}M /dev/urandom >"$DIR/a.raw"
	MEM=128 WITNESS="ram_mb=$ram_mb rate=$rate disks=vda disk_mb=$((disk_mb / 2)) disk_rate=20 hb_ms=10 ${WITNESS_MORE:-}" \
		"${STARTER:+starter_}tiny_start" a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a) "$@"
	SETTINGS=$(settings_of a)
	"$TO_DESTINATION" "${DST_OPTIONS[@]}"
	python3 -S "$TOP/tests/faults/watch.py" "$DIR" "$WATCHED_BY" >"$DIR/watched" 2>&1 &
	WATCHER=$!
	kill_at_exit "$WATCHER"
}

# Starts a guest as tiny_start does, by a process in no unit that might start it again. A script of vmferry's lies beside its disk.
starter_tiny_start() { # NAME [QEMU OPTION...]
	(
		tiny_launch "$@"
		echo "${GUEST_PID[$1]}" >"$DIR/started"
		wait
	) &
	STARTER=$!
	kill_at_exit "$STARTER"
	wait_for 60 eval '[[ -s $DIR/started ]]' || fail "the guest is not started"
	guest_adopt "$1" "$(<"$DIR/started")"
	guest_wait_ready "$1"
	cat >"$DIR/a.sh" <<-END
		#!/bin/sh
		# Starts the guest a again, as it was before.
		# QEMU stays in the foreground. Do not run this while the guest runs, here or anywhere else.
		cd / || exit
		exec $QEMU -name a -drive file=$DIR/a.raw,format=raw,if=virtio
	END
}

# Under such a process: what would start the old copy has its name only if the guest is here.
assert_names() { # source|destination
	local names
	[[ ${STARTER:-} ]] || return 0
	names=$(cd "$DIR" && echo a.raw* a.sh*)
	if [[ $1 == source ]]; then
		assert_eq "$names" 'a.raw a.sh' "disk and script of a guest that is here"
	else
		[[ $names =~ ^a.raw.moved-[0-9a-f]{8}\ a.sh.moved-[0-9a-f]{8}$ ]] || fail "what would start the old copy: $names"
	fi
}

old_disk() {
	if [[ ${STARTER:-} ]]; then echo "$DIR"/a.raw.moved-*; else echo "$DIR/a.raw"; fi
}

# A destination agent again where the last one was: the source asks there.
listen_again() {
	kill_at_exit "$DST_PID"
	end_process "$DST_PID"
	rm -f "$DIR/dst.out"
	"${DST_ON[@]}" "$BIN/vmferry-dst" --listen "$DST_ADDRESS" --state-dir "$DIR/dst-state" --runtime-dir "$DIR/dst-run" -v \
		"${DST_OPTIONS[@]}" </dev/null >"$DIR/dst.out" 2>>"$DIR/dst.log" &
	DST_PID=$!
	kill_at_exit "$DST_PID"
	wait_for 60 grep -qs '^listening on' "$DIR/dst.out" || fail "vmferry-dst does not listen again: $(tail -n 1 "$DIR/dst.log")"
}

# --- moments -------------------------------------------------------------------------------

move_is_over() {
	process_is_gone "$MOVE_PID"
}

reached() {
	fault_is_over || move_is_over
}

wait_at_fault() { # WHEN: the agent that comes to it is stopped there
	wait_for 60 reached || fail "$1 is not reached: $(tail -n 3 "$DIR/move.log")"
	[[ -s $DIR/fault ]] || absent "a move of this kind has no $1"
	AT_FAULT=$(<"$DIR/fault")
	wait_for 60 eval '[[ $(state_of $AT_FAULT) == T ]]' || fail "the agent does not stop at $1"
	unset VMFERRY_FAULT
}

reach() { # WHEN [OPTION OF THE MOVE...]
	local when=$1
	shift
	MOMENT=$when
	case $when in
	begun) ;;
	disks) set -- "${SLOW_DISKS[@]}" "$@" ;;
	memory) set -- "${SLOW_RAM[@]}" "$@" ;;
	*) fault "$when" stop ;;
	esac
	# a vmferry-dst that stands already keeps its own fault
	[[ -z ${VMFERRY_FAULT:-} ]] || "$TO_DESTINATION" "${DST_OPTIONS[@]}"
	move_start a "$DEST" "${MOVE_OPTIONS[@]}" "$@"
	REAL_TO=$TO
	case $when in
	begun) ;;
	disks) while_disks ;;
	memory) while_ram ;;
	*)
		wait_at_fault "$when"
		;;
	esac
}

pid_of() { # WHO
	case $1 in
	src-agent) echo "$MOVE_PID" ;;
	dst-agent) if [[ $AT_FAULT && $AT_FAULT != "$MOVE_PID" ]]; then echo "$AT_FAULT"; else agent_dst | head -n 1; fi ;;
	src-qemu) echo "${GUEST_PID[a]}" ;;
	dst-qemu) qemu_dst | head -n 1 ;;
	esac || true
}

go_on() {
	[[ ! $MOMENT =~ ^(disks|memory)$ ]] || timeout 5 "$BIN/vmferry" set "${GUEST_PID[a]}" bwlimit=0 >/dev/null 2>&1 || true
	[[ -z $AT_FAULT ]] || kill -CONT "$AT_FAULT" 2>/dev/null || true
	AT_FAULT=
}

kill_it() { # WHO PID
	case $1 in
	src-qemu)
		MAY_BE_NOWHERE=1
		! move_is_over || SOURCE_ENDED_LATER=1
		;;
	dst-qemu)
		FENCED=1
		[[ -z $(find "$DIR/dst-state" "$VMFERRY_STATE_DIR" -name '*-dst.journal*' -exec grep -l DST_START {} + 2>/dev/null) ]] || MAY_BE_NOWHERE=1 MAY_END_THERE=1
		;;
	esac
	[[ -n ${PID_BORN[$2]:-} ]] || kill_at_exit "$2"
	kill -KILL "$2" 2>/dev/null || true
	[[ $2 != "$AT_FAULT" ]] || AT_FAULT=
	wait_for 60 process_is_gone "$2" || fail "process $2 does not die"
}

stop_it() { # WHO PID
	kill -STOP "$2" 2>/dev/null || absent "$1 has ended"
}

hit() { # WHO WHAT: it is killed, stopped for five seconds (stop5), or stopped for ever (stop)
	local pid
	pid=$(pid_of "$1")
	[[ -n $pid ]] || absent "there is no $1 at that moment"
	case $2 in
	kill)
		kill_it "$1" "$pid"
		;;
	stop5)
		stop_it "$1" "$pid"
		[[ $pid == "$AT_FAULT" ]] || go_on
		wait_ms 5000
		kill -CONT "$pid" 2>/dev/null || true # a source QEMU has ended, rightly
		;;
	stop)
		stop_it "$1" "$pid"
		STOPPED+=("$pid")
		[[ $pid != "$AT_FAULT" ]] || AT_FAULT=
		;;
	*)
		fail "what is $2?"
		;;
	esac
}

# --- until it is known ----------------------------------------------------------------------

is_stopped() { # PID: by this cell
	[[ " ${STOPPED[*]} " == *" $1 "* ]]
}

# The agents and QEMUs that this cell stopped for ever: somebody at last sees that they hang. An agent is killed, a QEMU continued.
release_stopped() {
	local pid
	for pid in "${STOPPED[@]}"; do
		if [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == *qemu* ]]; then
			kill -CONT "$pid" 2>/dev/null || true
		else
			kill -KILL "$pid" 2>/dev/null || true
			wait_for 60 eval '[[ $(state_of '"$pid"') =~ ^Z?$ ]]' || fail "process $pid does not die"
		fi
	done
	STOPPED=()
}

ask_recover() { # [OPTION...]: sets CODE
	CODE=0 SAID_BY="recover${*:+ $*}"
	"${ON[@]}" timeout 100 "$BIN/vmferry" recover a -v "$@" </dev/null >"$DIR/recover.out" 2>>"$DIR/recover.log" || CODE=$?
	! tail -n 1 "$DIR/recover.log" | grep -q 'nothing to recover' || CODE=$NOTHING
}

# A move that waits while its guest runs, or its QEMU hangs, may do so for as long as its user likes.
somebody_acts() {
	if runs_at "$DIR" || [[ $(timeout 5 "$ASK" state "$DIR/a.mon" 2>/dev/null) =~ ^(paused|prelaunch)$ ]]; then
		note "the guest is as it was, the move waits: it is cancelled"
		timeout 20 "${ON[@]}" "$BIN/vmferry" cancel --no-wait "${GUEST_PID[a]}" >/dev/null 2>&1 || true
	elif is_stopped "${GUEST_PID[a]}"; then
		note "the move waits for the guest's QEMU, which goes on"
		release_stopped
	fi
}

# The client that paused the guest resumes it, wherever it is now.
somebody_resumes() {
	local at state
	for at in "$DIR" "$REAL_TO"; do
		state=$(timeout 5 "$ASK" state "$at/a.mon" 2>/dev/null || true)
		# prelaunch: it was reset as well
		[[ $state == paused || ($state == prelaunch && $at == "$DIR") || ($state == postmigrate && $CODE == 5 && $at == "$DIR") ]] || continue
		note "paused at $([[ $at == "$DIR" ]] && echo the source || echo the destination)"
		[[ $CODE != 5 || $at != "$DIR" ]] || CODE=1
		qmp "$at/a.mon" '{"execute": "cont"}' >/dev/null
	done
}

# A person starts the guest at the destination, knowing that it was not started at the source again.
somebody_starts_it_there() {
	CODE=0 SAID_BY='recover --peer-is-fenced, there,'
	VMFERRY_STATE_DIR=$DIR/dst-state VMFERRY_RUNTIME_DIR=$DIR/dst-run timeout 100 "$BIN/vmferry" recover a --peer-is-fenced \
		</dev/null >>"$DIR/recover.out" 2>>"$DIR/recover-there.log" || CODE=$?
	[[ $CODE == 0 ]] || return 0
	ask_recover
	assert_eq "$CODE" 0 "what the source says, asked afterwards ($(tail -n 1 "$DIR/recover.log"))"
	note "the source, asked afterwards, hears that it is there"
	CODE=0 SAID_BY='recover --peer-is-fenced, there,'
}

note_reason() { # the reason of the move, if it reports one
	local reason
	reason=$(result 'r.get("reason", "")' 2>/dev/null) || true
	[[ -z $reason ]] || note "it says: $reason"
}

qemu_dst_is_gone() {
	[[ -z $(qemu_dst) ]]
}

settle() {
	local i
	if is_stopped "$MOVE_PID"; then
		wait_for 60 guest_runs || note "the guest stands still while its agent is stopped"
	else
		wait_for 60 move_is_over || somebody_acts
		wait_for 150 move_is_over || fail "the move does not end: $(tail -n 2 "$DIR/move.log")"
	fi
	release_stopped
	"${HEAL:-true}"
	wait_for 60 move_is_over || fail "vmferry migrate does not end"
	CODE=0 SAID_BY=migrate
	wait "$MOVE_PID" || CODE=$?
	[[ $CODE -ge 128 ]] || NOTHING=$CODE
	note_reason
	guard_ends
	[[ -z $DST_PID ]] || { [[ -z $AGENT_STARTS_AGAIN ]] && ! process_is_gone "$DST_PID"; } || listen_again
	for i in 1 2 3; do
		case $CODE in
		0 | 1 | 5 | 8) [[ $SAID_BY != migrate || -n $(unfinished_journals) ]] || break ;;
		esac
		if [[ $CODE == 6 && $FENCED == 1 ]] && qemu_dst_is_gone; then
			ask_recover --peer-is-fenced
		elif [[ $CODE == 6 ]] && process_is_gone "${GUEST_PID[a]}" && has_said recover.log 'does not run here any more'; then
			somebody_starts_it_there
		else
			ask_recover
		fi
		case $CODE in 0 | 1 | 5 | 8 | nothing) break ;; esac
	done
}

# Settles a guest that could run at one place only, as it is shut down, or stays: hanging agents are ended, and unfinished work is
# recovered.
settle_one_place() { # COMMAND: what says where it is
	local i
	if ! wait_for 100 move_is_over; then
		note "it waits"
		release_stopped
		wait_for 100 move_is_over || fail "vmferry $1 does not end: $(tail -n 2 "$DIR/move.log")"
	fi
	release_stopped
	CODE=0 SAID_BY=$1
	wait "$MOVE_PID" || CODE=$?
	[[ $CODE -ge 128 ]] || NOTHING=$CODE
	guard_ends
	[[ -z $DST_PID ]] || ! process_is_gone "$DST_PID" || listen_again
	for i in 1 2 3; do
		[[ -n $(unfinished_journals) ]] || break
		ask_recover
		wait_for 10 eval '[[ -z $(unfinished_journals) ]]' || true # the destination's, after its last word
	done
}

# --- what must be true ----------------------------------------------------------------------

runs_at() { # DIRECTORY
	[[ -S $1/a.mon && $(timeout 5 "$ASK" state "$1/a.mon" 2>/dev/null) == running ]]
}

guest_runs() {
	runs_at "$DIR" || runs_at "$REAL_TO"
}

where_it_runs() {
	local where=()
	! runs_at "$DIR" || where+=(source)
	! runs_at "$REAL_TO" || where+=(destination)
	echo "${where[*]:-nowhere}"
}

# The agent was killed when it had said its last word, and there is nothing to recover.
has_said_migrated() {
	grep -qs '"event":"result","outcome":"migrated"' "$DIR/move.json"
}

says_where() { # CODE: of the last command
	case $1 in
	0 | 7) echo destination ;;
	1 | 4) [[ $SOURCE_ENDED_LATER == 1 ]] && echo nowhere || echo source ;;
	5) echo paused ;;
	3 | nothing) if has_said_migrated; then echo destination; elif [[ -n ${GUEST_PID[a]:-} ]] && process_is_gone "${GUEST_PID[a]}"; then echo nowhere; else echo source; fi ;; # where it was
	8) echo nowhere ;;
	*) echo "unknown ($1)" ;;
	esac
}

settings_may_stay() { # MONITOR: of the QEMU that has the guest now, if that was said
	[[ $SAID_BY == migrate ]] && result 'r.get("leftovers", [])' | grep -q 'settings of migration' || return 0
	note "it says that settings of migration stay as they are"
	SETTINGS=$("$ASK" settings "$1" "$DIR/nbd-probe")
}

# Removes files that vmferry has listed as left, with the reason, as a user would.
take_what_is_listed() {
	local file
	for file in "$TO"/*; do
		[[ -e $file ]] && grep -hsF -- "$file" "$DIR/recover.out" "$DIR/recover.log" "$DIR/dst.log" | grep -qE 'left|delete|remove' || continue
		note "it names ${file##*/} as left"
		rm "$file"
	done
	[[ $CODE != 4 ]] || CODE=1
	if [[ -n $(unfinished_journals) ]]; then listen_again; fi # the new agent settles the rest
	wait_for 10 eval '[[ -z $(unfinished_journals) ]]' || true
}

# Gives the script its name, if vmferry has reported where a script lies that could not get it.
name_script_that_is_listed() {
	local draft
	[[ $SAID_BY == migrate ]] || return 0
	draft=$(result 'r.get("after_error", "")' | sed -n 's/.*its text is in \([^:]*\).*/\1/p')
	[[ -n $draft && -e $draft ]] || return 0
	note "it says where the script is that has no name yet"
	mv "$draft" "$TO/a.sh"
}

# A beat is counted by the guest: none is there twice, in one console or in two, unless it booted in between.
assert_beats_once() {
	local beats=$DIR/beats
	{ cat "$DIR/a.console" "$REAL_TO/a.console" 2>/dev/null || true; } | tr -d '\r' | { grep -aE '^hb [0-9]+ [0-9]+$' || true; } | sort >"$beats"
	[[ -s $beats ]] || fail "the guest's consoles have no beats"
	[[ -z $(uniq -d "$beats") ]] || fail "the guest ran twice: $(uniq -d "$beats" | head -n 3)"
}

assert_never_two() {
	kill -TERM "$WATCHER" 2>/dev/null || true
	wait "$WATCHER" 2>/dev/null || true
	! grep -q '^BAD' "$DIR/watched" || fail "while it was watched: $(grep '^BAD' "$DIR/watched" | head -n 3)"
}

evidence() { # WHERE
	echo "green: $1, $SAID_BY says $CODE$(
		[[ ! -s $DIR/watched ]] || sed -n 's/^still \(.*\)/; it stood still for at most \1 ms/p' "$DIR/watched"
	)$(
		[[ ! -s $DIR/notes ]] || sed 's/^note: /; /' "$DIR/notes" | tr -d '\n'
	)"
}

verdict() {
	local where settings=$SETTINGS
	where=$(where_it_runs)
	if [[ $where == nowhere ]]; then # the guest may be about to run
		wait_for 5 guest_runs || true
		where=$(where_it_runs)
	fi
	[[ $where != 'source destination' ]] || fail "it runs twice"
	[[ $where != nowhere || $MAY_BE_NOWHERE == 1 ]] || fail "it runs nowhere, and $SAID_BY says $CODE"
	[[ $where == nowhere && $CODE == 0 && $MAY_END_THERE == 1 ]] ||
		assert_eq "$(says_where "$CODE")" "$where" "where the guest is, as $SAID_BY says ($(tail -n 1 "$DIR/recover.log" 2>/dev/null))"
	assert_beats_once
	TO=$REAL_TO
	wait_for 5 eval '[[ -z $(ls -A "$VMFERRY_RUNTIME_DIR" "$DIR/dst-run" 2>/dev/null | grep -v ":$" | xargs) ]]' || true # somebody may be about to
	case $where in
	source)
		wait_for 10 is_alone || true
		take_what_is_listed
		assert_nothing_left $DST_PID
		assert_settled
		assert_names source
		;;
	destination)
		settings_may_stay "$REAL_TO/a.mon"
		name_script_that_is_listed
		if [[ $(qemu_dst) != "${GUEST_PID[a]}" ]]; then
			wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "the source QEMU is still there"
			guest_is_there
		fi
		assert_names destination
		assert_moved "$(old_disk)"
		;;
	nowhere)
		take_what_is_listed
		assert_nothing_unfinished
		wait_for 60 eval '[[ $(processes_of_this_test | grep -vx "${DST_PID:-0}" | wc -l) == 0 ]]' ||
			fail "left: $(processes_of_this_test | xargs -r ps -o pid=,args= -p)"
		[[ $CODE != 8 || -z $(ls -A "$TO") ]] || fail "left behind at the destination: $(ls -A "$TO")"
		;;
	esac
	assert_never_two
	SETTINGS=$settings
	[[ ! ${STARTER:-} ]] || end_process "$STARTER"
	[[ $where == nowhere ]] || assert_next_move_succeeds
	evidence "$where"
}
