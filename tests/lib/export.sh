# shellcheck shell=bash
# For tests of vmferry export and of the import of its bundles; to be sourced. Everything of move.sh, and a guest whose two disks are
# written in turn (tests/guest/witness-pair.c).
#
#   pair_start NAME [OPTION...]     of QEMU's; vda (raw, DIR/NAME.a) and vdb (qcow2, DIR/NAME.b) are the pair
#   export_start VM TO [OPTION...]; ...; export_wait [STATUS]     or: export_guest VM TO [OPTION...]
#   imports FILE [OPTION...]        to $VMS; a guest that it started is $IMPORTED, with its sockets in $VMS
. "$(dirname "${BASH_SOURCE[0]}")/move.sh"

export QEMU
VMS=$DIR/vms           # folder to which guests are imported
ID=$(tr -dc '[:alnum:]' <<<"${DIR##*/}") # before their names, as others may run tests here, too
A=$ID-a                # the guest
export TMPDIR=$DIR/tmp # folder in which streams are made
EXPORT_PID=
IMPORTED=
mkdir -p "$VMS" "$TMPDIR"

pair_disks() { # NAME: with something in them that no load writes
	head -c 4M /dev/urandom >"$DIR/$1.a"
	truncate -s 24M "$DIR/$1.a"
	guest_disk "$DIR/$1.b" qcow2 32M
	"${QEMU_IMG%/*}/qemu-io" -f qcow2 -c 'write -P 0x42 1M 4M' "$DIR/$1.b" >/dev/null
}

pair_options() { # NAME
	guest_drive d0 "$DIR/$1.a" raw
	guest_drive d1 "$DIR/$1.b" qcow2
}

pair_start() { # NAME [OPTION...]
	local name=$1
	shift
	[[ -e $DIR/$name.a ]] || pair_disks "$name"
	MEM=256 WITNESS="ram_mb=8 rate=100 bg_check=100 pair=vda,vdb ${WITNESS:-}" guest_start "$name" $(pair_options "$name") $(second_monitor "$name") "$@"
}

pair_says() { # SOCKET WHAT (found, written, frozen): prints it
	guest_order "$1" pair | sed -n "s/.* $2=\([0-9,]*\).*/\1/p"
}

pair_written() { # SOCKET: how many pairs are whole and on stable storage
	pair_says "$1" written | cut -d, -f2
}

pair_has_written() { # SOCKET AT-LEAST
	[[ $(pair_written "$1") -ge $2 ]]
}

# The guest keeps a processor busy for up to half of the time: where only another one is looked at, it rests.
rests() { # NAME
	qmp "$DIR/$1.mon" '{"execute": "stop"}' STOP >/dev/null
}

goes_on() { # NAME
	qmp "$DIR/$1.mon" '{"execute": "cont"}' RESUME >/dev/null
}

export_start() { # VM TO [OPTION...]
	"$BIN/vmferry" export "$@" </dev/null >"$DIR/export.out" 2>"$DIR/export.err" &
	EXPORT_PID=$!
	kill_at_exit "$EXPORT_PID"
}

export_wait() { # [STATUS (0)]
	local status=0
	wait_for 60 process_is_gone "$EXPORT_PID" || fail "the export does not end"
	wait "$EXPORT_PID" || status=$?
	assert_eq "$status" "${1:-0}" "exit code of vmferry export ($(tail -n 2 "$DIR/export.err"))"
}

export_guest() { # VM TO [OPTION...]
	export_start "$@"
	export_wait
}

says() { # TEXT FILE
	grep -aqsE -- "$1" "$2" || fail "${2##*/} does not say '$1': $(cat "$2")"
}

of_ours() { # SOCKET: prints what of an export is in that QEMU
	qmp "$1" '{"execute": "query-named-block-nodes", "arguments": {"flat": true}}' | grep -o '"vmferry-x[^"]*"' || true
	qmp "$1" '{"execute": "query-jobs"}' | grep -o '"vmferry-x[^"]*"' || true
}

vmferry_says() { # TEXT COMMAND [ARGUMENT...]: in its answer
	vmferry "${@:2}" 2>&1 | grep -aqE -- "$1"
}

is_copying() { # NAME: its jobs have begun, so the moment is behind us
	[[ $(qmp "$DIR/$1.mon" '{"execute": "query-jobs"}') == *vmferry-x* ]]
}

try_import() { # FILE [OPTION...]: to VMS; what it said is in DIR/import.out and import.err
	vmferry import "$1" --disk-dir "$VMS" "${@:2}" >"$DIR/import.out" 2>"$DIR/import.err"
}

imports() { # FILE [OPTION...]
	try_import "$@" </dev/null || fail "import $*: $(cat "$DIR/import.err")"
	find_imported
}

find_imported() {
	IMPORTED=$(sed -nE 's/^imported: .*\(pid ([0-9]+)\).*/\1/p' "$DIR/import.out")
	[[ -z $IMPORTED ]] || kill_at_exit "$IMPORTED"
}

ready_again() { # the imported guest, with A's serial ports
	wait_for 120 grep -aq 'witness ready' "$VMS/$A.console" || fail "the imported guest does not come up: $(tail -n 5 "$VMS/$A.console")"
}

everything() { # prints all files below a directory, with what they are
	find "$1" -printf '%p %y %s %m %l\n' | sort
	find "$1" -type f -print0 | sort -z | xargs -0r sha256sum
}

refuses() { # STATUS PATTERN FILE [OPTION...]: an import that leaves nothing
	local status=0 before want=$1 pattern=$2
	shift 2
	before=$(everything "$VMS")
	try_import "$@" </dev/null || status=$?
	assert_eq "$status" "$want" "exit code of import $* ($(cat "$DIR/import.err"))"
	says "$pattern" "$DIR/import.err"
	[[ $before == "$(everything "$VMS")" ]] || fail "import $* left something: $(diff <(echo "$before") <(everything "$VMS"))"
}
