# shellcheck shell=bash
# Functions for every end-to-end test; sourced by the other libraries. It defines only functions, TOP and BIN.
#
#   DIR        where everything of this test lies (made under build/tmp, or under /var/tmp where that is a long way down, when
#              not given): test_begins
#   KEEP       when not empty, DIR is left in place

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BIN=${BIN:-$TOP/build/${VARIANT:-release}}
# Disks are compared with what is there of them, all of it: how much is sent uncompared is a matter of who is faster.
export VMFERRY_FAULT_BEFORE=${VMFERRY_FAULT_BEFORE:-src-compares-all:fail}
[[ -v EXIT_COMMANDS ]] || EXIT_COMMANDS=() # commands of a library that was sourced before

fail() { # MESSAGE
	echo "FAIL: $*" >&2
	exit 1
}

skip() { # REASON
	echo "skip: $*"
	exit 77
}

assert_eq() { # ACTUAL EXPECTED [WHAT]
	[[ $1 == "$2" ]] || fail "${3:-value}: expected '$2', got '$1'"
}

# Asks at once, then ever more seldom, as most conditions take processes to look at. To read from a pipe to which nobody writes is to
# sleep, without a process for it. The deadline only ends a test that hangs; it grows with the limit of the whole test, TIMEOUT_S.
wait_for() { # DEADLINE_S COMMAND...
	local end=$((SECONDS + $1 * ${TIMEOUT_S:-180} / 180)) status=0 never pause_ms=10
	shift
	"$@" && return
	exec {never}<> <(:)
	until "$@"; do
		[[ $SECONDS -lt $end ]] || { status=1 && break; }
		read -rt "0.0$pause_ms" -u "$never" || true
		((pause_ms >= 80)) || pause_ms=$((pause_ms * 5 / 4))
	done
	exec {never}>&-
	return "$status"
}

# True if that does not come to be for so long. The time does not grow with the limit of the test: it is that of something that must not act yet.
does_not_come() { # SECONDS COMMAND...
	! TIMEOUT_S=180 wait_for "$@"
}

# For a mount namespace of its own: an empty file system over that directory, in which this checkout and DIR stay where they are.
hide() { # DIRECTORY [MODE (755)]
	local kept
	mount -n -t tmpfs -o "mode=${2:-755}" hidden /mnt
	for kept in "$(realpath "$TOP")" "$(realpath "$DIR")"; do
		[[ $kept == "$1"/* && ! -e /mnt${kept#"$1"} ]] || continue
		mkdir -p "/mnt${kept#"$1"}"
		mount -n --rbind "$kept" "/mnt${kept#"$1"}"
	done
	mount -n --move /mnt "$1" # -n, as the table is in /run
}

closed_directory() { # prints the uppermost directory above this checkout that other users may not enter, if there is one
	local at closed=
	at=$(dirname "$(realpath "$TOP")")
	while [[ $at != / ]]; do
		[[ $(stat -c %A "$at") == *[xt] ]] || closed=$at
		at=$(dirname "$at")
	done
	echo "$closed"
}

# Likewise, where the checkout lies below a directory that other users may not enter: now they may.
open_the_way() {
	local closed
	closed=$(closed_directory)
	[[ -z $closed ]] || hide "$closed"
}

# The test begins again in a mount namespace of its own, in which it may mount as root or as a user who is root there alone.
begin_in_own_mounts() {
	local -a as=()
	[[ -z ${IN_OWN_MOUNTS:-} ]] || return 0
	[[ $EUID -eq 0 ]] || as=(--map-root-user)
	unshare "${as[@]}" --mount true 2>/dev/null || skip "namespaces cannot be made here"
	IN_OWN_MOUNTS=yes DIR=$DIR exec unshare "${as[@]}" --mount --propagation private "$(realpath "$0")"
}

# For a test whose other users come to DIR or to this checkout, also where a directory above is closed to them.
let_others_come() {
	[[ -n $(closed_directory) ]] || return 0
	begin_in_own_mounts
	open_the_way
}

# The steps at which a test acts in turn: with LONG, as in make check-long, or ALL_STEPS all of them; else each third, and the last.
some_of() { # STEP...
	local i
	for ((i = 1; i <= $#; i++)); do
		[[ -z ${LONG:-}${ALL_STEPS:-} && $((i % 3)) -ne 1 && $i -ne $# ]] || echo "${!i}"
	done
}

# Whether that part of a test of the gate runs which other tests of the gate cover: with LONG or ALL_STEPS, as in make check-all. They are named,
# so that whoever takes one of them away finds what it has stood for.
beyond_gate() { # TEST...
	[[ -n ${LONG:-}${ALL_STEPS:-} ]]
}

at_exit() { # COMMAND: run at exit, the last one first; $status is the test's
	EXIT_COMMANDS=("$1" "${EXIT_COMMANDS[@]}")
}

on_failure() { # Shows the state of a failed test before anything is cleaned up.
	:
}

clean_up() {
	local status=$? command
	trap - EXIT
	set +e
	[[ $status -eq 0 || $status -eq 77 ]] || on_failure
	for command in "${EXIT_COMMANDS[@]}"; do eval "$command"; done
	[[ -n ${KEEP:-} ]] || rm -rf "$DIR"
	exit "$status"
}

# DIR, and that it is cleaned up whatever happens.
test_begins() {
	local parent=$TOP/build/tmp
	if [[ -z ${DIR:-} ]]; then # the test may have a folder of its own, and no right to write here
		[[ ${#parent} -le 54 ]] || parent=/var/tmp # the names of sockets are short
		mkdir -p "$parent"
		DIR=$(mktemp -d "$parent/t.XXXXXX")
	fi
	mkdir -p "$DIR"
	trap clean_up EXIT
	trap 'exit 143' TERM
	trap 'exit 130' INT
}
