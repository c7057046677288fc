# shellcheck shell=bash
# For end-to-end tests and the demo; to be sourced. Starts real guests with the witness in
# them (tests/guest), gives orders to it, and cleans up at exit: the directory, and those
# processes that were recorded here, by pid. DIR and KEEP are base.sh's.
#
#   QEMU       the QEMU binary, or one of the three that scripts/install-deps provides: 7.2, 10.0, 11.1   (10.0)
#   QEMU_THERE the same, of moves' destinations, where it is another   (the one of the same path)
#   KERNEL     vmlinux, which starts sooner, or the smaller vmlinuz (vmlinux)
#   MACHINE    machine type and its properties, or `old`: the newest that all three QEMUs have   (q35)
#   MEM, SMP   MiB of RAM and processors        (512, 1)
#   WITNESS    options of the witness, without their prefix: "rate=200 disks=vda"
#   QUIET      not empty: whatever WITNESS says, the guest writes nothing to its memory (with QEMU=7.2, without KVM)
#   APPEND     more words of the kernel's command line
#   READY_S    how long a guest may take until the witness is ready (180)
#   GUEST_IS_BUILT   not empty: tests/guest/build-guest need not look whether it is
#   ON         an array: what starts QEMU, and vmferry migrate in move.sh: (ip netns exec src), say, in that namespace
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"
. "$(dirname "${BASH_SOURCE[0]}")/saved.sh"

qemu_called() { # VERSION|FILE: prints the file
	case $1 in
	7.2) echo "$TOP/build/qemu72/bin/qemu-system-x86_64" ;;
	10.0) echo "$TOP/build/qemu/bin/qemu-system-x86_64" ;;
	11.1) echo "$TOP/build/qemu111/bin/qemu-system-x86_64" ;;
	*) echo "$1" ;;
	esac
}

[[ ${QEMU:-} != 7.2 || ${ACCEL:-} == kvm ]] || export QUIET=yes # TCG of QEMU 7.2 loses guest writes to memory while that is migrated
QEMU=$(qemu_called "${QEMU:-10.0}")
old_qemu() { # true if the guests' QEMU is 7.2
	[[ $QEMU == "$(qemu_called 7.2)" ]]
}

exports_memory() { # skips a test that needs a QEMU of which memory can be exported
	! old_qemu || skip "QEMU 7.2 cannot export a guest's memory (--with-memory)"
}

[[ -z ${QEMU_THERE:-} ]] || QEMU_THERE=$(qemu_called "$QEMU_THERE")
[[ ${MACHINE:-} != old ]] || MACHINE=pc-q35-7.2
QEMU_IMG=${QEMU_IMG:-$TOP/build/qemu/bin/qemu-img}
ASK=$TOP/build/${VARIANT:-release}/ask-tool
declare -a ON=()

declare -A GUEST_PID=()
declare -A GUEST_AT=()  # NAME: the directory where the guest's sockets are now
declare -A PID_BORN=()

# --- processes -----------------------------------------------------------------------------

process_born() { # PID: $BORN is its start time, so that a pid used again is not taken for it; empty when it is gone
	local stat= threads=("/proc/$1/task/"*)
	{ read -rd '' stat <"/proc/$1/stat"; } 2>/dev/null || true # the file ends without a delimiter
	set -- ${stat##*) }
	BORN=
	# a first thread that has ended before the others is a zombie, and what the process has open and locked it has still
	[[ ${1:-Z} == Z && ${#threads[@]} -le 1 ]] || BORN=${20:-}
}

process_is_gone() { # PID
	process_born "$1"
	[[ $BORN != "${PID_BORN[$1]}" ]]
}

kill_at_exit() { # PID
	process_born "$1"
	PID_BORN[$1]=${BORN:-gone}
}

end_process() { # PID
	[[ -n ${PID_BORN[$1]:-} ]] || fail "process $1 was not started here"
	process_is_gone "$1" && return 0
	kill "$1" 2>/dev/null || true
	wait_for 10 process_is_gone "$1" || kill -KILL "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

show_guest() { # NAME: what it said, for the log of a failed test
	local file
	for file in "$DIR/$1.console" "$DIR/$1.stderr"; do
		[[ -s $file ]] || continue
		echo "--- ${file##*/}" >&2
		grep -av '^hb ' "$file" | tail -n 30 >&2 || true
	done
}

on_failure() {
	local name
	for name in "${!GUEST_PID[@]}"; do show_guest "$name"; done
}

end_processes() {
	local pid
	for pid in "${!PID_BORN[@]}"; do end_process "$pid"; done
}

# --- guests --------------------------------------------------------------------------------

witness_words() {
	local word
	for word in ${WITNESS:-}; do
		[[ -n ${QUIET:-} && $word == rate=* ]] || printf ' witness.%s' "$word"
	done
	[[ -z ${QUIET:-} ]] || printf ' witness.rate=0'
}

guest_cmdline() {
	local line='console=ttyS0 quiet mitigations=off nokaslr cryptomgr.notests no_timer_check' # the timer check fails on a busy host
	echo "$line$(witness_words)${APPEND:+ $APPEND}"
}

# Starts a QEMU and does not wait for the guest: for one with -incoming, say.
guest_launch() { # NAME [QEMU OPTION...]
	local name=$1
	local -a monitor=(-qmp "unix:$DIR/$1.qmp,server=on,wait=off")
	shift
	[[ -z ${NO_QMP:-} ]] || monitor=(-monitor none)
	rm -f "$DIR/$name".{console,orders,qmp}
	"${ON[@]}" "$QEMU" -accel tcg -machine "${MACHINE:-q35}" -m "${MEM:-512}" -smp "${SMP:-1}" \
		-display none -nodefaults -no-user-config -name "$name" \
		-serial "file:$DIR/$name.console" \
		-serial "unix:$DIR/$name.orders,server=on,wait=off" \
		"${monitor[@]}" \
		-kernel "$TOP/build/guest/${KERNEL:-vmlinux}" -initrd "$TOP/build/guest/initrd.img" \
		-append "$(guest_cmdline)" "$@" </dev/null >"$DIR/$name.stderr" 2>&1 &
	guest_adopt "$name" $!
}

TCG_FAILED="iotlb_to_section: Assertion\|kthread timer wakeup didn't happen"

guest_settled_or_stuck() { # NAME
	guest_settled "$1" || grep -qas "$TCG_FAILED" "$DIR/$1.console"
}

# With several processors QEMU's TCG can end itself while firmware and kernel map the devices' BARs: a processor then looks
# an address up in a map that another has just replaced; or a processor's timer is lost, and its kernel stands still and
# says so. Either happens before anything is tested, so the guest starts again.
guest_start() { # NAME [QEMU OPTION...]
	local left
	if can_go_on_from_saved "${@:2}"; then
		saved_state
		guest_launch "$@" -incoming "file:$STATE"
		guest_wait_ready "$1"
		return
	fi
	for left in 2 1 0; do
		guest_launch "$@"
		wait_for "${READY_S:-180}" guest_settled_or_stuck "$1" || break
		((left)) && ! grep -qas 'witness ready' "$DIR/$1.console" && grep -qas "$TCG_FAILED" "$DIR/$1".{stderr,console} || break
		echo "note: QEMU's TCG failed while $1 started: starting it again" >&2
		guest_stop "$1"
	done
	guest_wait_ready "$1"
}

# Records a QEMU that someone else started, so that it ends with the test.
guest_adopt() { # NAME PID
	GUEST_PID[$1]=$2
	kill_at_exit "$2"
}

guest_settled() { # NAME: ready, or beyond hope
	local -a said=()
	{ mapfile -t said <"$DIR/$1.console"; } 2>/dev/null || true
	[[ ${said[*]} =~ witness\ (ready|failed)|Kernel\ panic ]] || process_is_gone "${GUEST_PID[$1]}"
}

guest_wait_ready() { # NAME
	wait_for "${READY_S:-180}" guest_settled "$1" || fail "guest $1 is not ready after ${READY_S:-180} s"
	grep -aq 'witness ready' "$DIR/$1.console" ||
		fail "guest $1 did not come up: $(grep -ah '^witness failed' "$DIR/$1.console" || tail -n 1 "$DIR/$1.stderr")"
	guest_order "$DIR/$1.orders" ping >/dev/null
}

guest_stop() { # NAME
	end_process "${GUEST_PID[$1]}"
	unset "GUEST_PID[$1]"
}

# The answer's lines without the closing `ok`; fails when the witness says `err`.
guest_order() { # SOCKET ORDER [DEADLINE_S]
	"$ASK" order "$1" "$2" "${3:-60}"
}

orders() { # NAME: prints the path of its witness's socket
	echo "${GUEST_AT[$1]:-$DIR}/$1.orders"
}

disk_ops() { # NAME: how many writes its witness has made
	guest_order "$(orders "$1")" stats | sed -n 's/.* disk_ops=\([0-9]*\) .*/\1/p'
}

has_disk_ops() { # NAME AT-LEAST
	[[ $(disk_ops "$1") -ge $2 ]]
}

guest_verify() { # SOCKET [blocks]: with `blocks`, blocks must have been checked, too
	local answer line
	answer=$(guest_order "$1" verify 120) || fail "the witness at $1 did not verify"
	echo "$answer"
	line=$(grep '^verify ' <<<"$answer") || fail "no verdict from the witness at $1"
	[[ $line =~ pages_checked=[1-9] ]] || fail "the witness checked no pages: $line"
	[[ ${2:-} != blocks || $line =~ blocks_checked=[1-9] ]] || fail "the witness checked no blocks: $line"
	[[ $line == *' pages_wrong=0 '* && $line == *' blocks_wrong=0' ]] || fail "the guest lost data: $line"
}

qmp() { # SOCKET COMMAND-JSON [EVENT]: with EVENT, returns when it has come; prints what QEMU returned
	"$ASK" qmp "$@"
}

# --- disks ---------------------------------------------------------------------------------

guest_disk() { # FILE raw|qcow2 SIZE
	"$QEMU_IMG" create -q -f "$2" "$1" "$3"
}

guest_ext4() { # FILE raw|qcow2 SIZE: for the witness's db=; blocks of the size that a disk has that is not tiny
	local raw=$1
	[[ $(<"$TOP/build/guest/database") == with ]] || skip "the witness has no database: libsqlite3-dev is not installed"
	[[ $2 == raw ]] || raw=$1.ext4
	rm -f "$raw"
	truncate -s "$3" "$raw"
	PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F -t ext4 -b 4096 -E lazy_itable_init=0,lazy_journal_init=0 "$raw"
	[[ $2 == raw ]] && return
	"$QEMU_IMG" convert -f raw -O "$2" "$raw" "$1"
	rm -f "$raw"
}

# Prints QEMU options, to be used unquoted: guest_start a $(guest_drive d0 $DIR/a.raw raw)
guest_drive() { # ID FILE FORMAT [virtio|scsi|nvme]
	local drive="-drive file=$2,format=$3,if=none,id=$1,discard=unmap,detect-zeroes=off"
	case ${4:-virtio} in
	virtio) echo "$drive -device virtio-blk-pci,drive=$1,id=$1-dev" ;;
	scsi) echo "$drive -device virtio-scsi-pci,id=$1-bus -device scsi-hd,bus=$1-bus.0,drive=$1,id=$1-dev" ;;
	nvme) echo "$drive -device nvme,drive=$1,serial=$1,id=$1-dev" ;;
	*) fail "guest_drive: $4?" ;;
	esac
}

# -------------------------------------------------------------------------------------------

[[ -x $QEMU ]] || skip "no QEMU at $QEMU: run scripts/install-deps"
[[ -x $ASK ]] || fail "no $ASK: run make tests"
[[ -n ${GUEST_IS_BUILT:-} ]] || "$TOP/tests/guest/build-guest"
test_begins
at_exit end_processes
