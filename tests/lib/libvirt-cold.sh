# shellcheck shell=bash
# For tests in which something goes wrong while a libvirt guest that is shut down is moved; to be sourced after aftermath.sh (or faults/cell.sh), all of which
# then means these hosts: the guest $NAME is libvirt's at host a, with a snapshot, autostart and two disks; its disks go to $TO at host b.
#
#   libvirt_guest_at_rest               both hosts, the guest, and who watches both libvirts
#   libvirt_guest_again                 the guest at host a, when it has come to host b, or to none
#   move_start NAME DEST [OPTION...]    its move, to $DIR/guests at host b
#   libvirt_cold_start DEST [OPTION...] likewise, for one that is not cell.sh's
#   libvirt_cold_dies AGENT POINT [OPTION...]   such a move in which that agent (source, destination) dies at that fault point
#   defined_at HOST                     prints the guests that libvirt defines there
#   where_defined                       source, destination, both, or nowhere
#   assert_whole HOST                   libvirt has it there alone, as it was, and its disks lie there byte for byte
#   assert_never_two_books              at no moment had both libvirts defined it
. "$(dirname "${BASH_SOURCE[0]}")/libvirt.sh"

NAME=cold-$$ # unique: QEMUs of this machine are found by name from everywhere

libvirt_guest_at_rest() {
	local at
	if [[ -z ${LIBVIRT_PID[a]:-} ]]; then
		libvirt_host a
		libvirt_host b
		libvirt_way a
		ON=("${LIBVIRT_WAY[@]}")
		libvirt_way b
		DST_ON=("${LIBVIRT_WAY[@]}")
		python3 -S "$TOP/tests/lib/libvirt-watch.py" "$DIR/libvirt-a/etc/qemu/$NAME.xml" "$DIR/libvirt-b/etc/qemu/$NAME.xml" >"$DIR/books" 2>&1 &
		BOOKS_WATCHER=$!
		kill_at_exit "$BOOKS_WATCHER"
	fi
	at=$(libvirt_at a "$LIBVIRT_GUESTS")
	head -c 2M /dev/urandom >"$DIR/content"
	"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/content" "$at/a.qcow2"
	TINY=yes MEM=32 libvirt_define a "$NAME" "$LIBVIRT_GUESTS/a.qcow2:qcow2" "$LIBVIRT_GUESTS/b.qcow2:qcow2"
	"$QEMU_IMG" create -q -f qcow2 "$at/b.qcow2" 1M
	libvirt_in a virsh -q snapshot-create-as "$NAME" first >/dev/null
	libvirt_in a virsh -q autostart "$NAME" >/dev/null
	rm "$DIR/content"
	whole_at a >"$DIR/whole"
	grep -qx first "$DIR/whole" || fail "the guest has no snapshot"
	assert_eq "$(disks_of_whole | wc -l)" 2 "its disks"
}

libvirt_guest_again() { # at the source, with nothing there
	local host
	for host in a b; do libvirt_in "$host" virsh -q undefine "$NAME" --snapshots-metadata >/dev/null 2>&1 || true; done
	rm -f "$(libvirt_at a "$LIBVIRT_GUESTS")"/* "$(libvirt_at b "$LIBVIRT_GUESTS")"/* "$DIR"/{state,dst-state}/libvirt-*
	libvirt_guest_at_rest
}

whole_at() { # HOST
	libvirt_in "$1" virsh dumpxml --security-info --inactive "$NAME"
	libvirt_in "$1" virsh dominfo "$NAME" | grep -E 'UUID|State|Autostart|Persistent'
	libvirt_in "$1" virsh snapshot-current "$NAME" --name
	(cd "$(libvirt_at "$1" "$LIBVIRT_GUESTS")" && md5sum a.qcow2 b.qcow2)
}

disks_of_whole() { # Checksums as md5sum prints them.
	grep -E '^[0-9a-f]{32}  [ab]\.qcow2$' "$DIR/whole"
}

move_start() { # a DEST [OPTION...]
	MOVES=$((MOVES + 1))
	TO=$(libvirt_at b "$LIBVIRT_GUESTS")
	rm -f "$DIR/move.json" "$DIR/move.log"
	"${ON[@]}" "$BIN/vmferry" migrate "$NAME" "$2" --how cold --json -v "${@:3}" </dev/null >"$DIR/move.json" 2>"$DIR/move.log" &
	MOVE_PID=$!
	kill_at_exit "$MOVE_PID"
}

libvirt_cold_start() { # DEST [OPTION...]
	move_start "$NAME" "$1" --reconnect-timeout 3 "${@:2}"
}

libvirt_cold_dies() { # source|destination POINT [OPTION...]
	local died=destination
	to_local
	fault "$2"
	to_listener
	libvirt_cold_start "$DEST" "${@:3}"
	fault_wait
	[[ $FAULT_PID != "$MOVE_PID" ]] || died=source
	assert_eq "$died" "$1" "the agent that died at $2"
}

libvirt_cold_wait() { # [STATUS (0)]
	local status=0
	wait_for 100 process_is_gone "$MOVE_PID" || fail "the move does not end"
	wait "$MOVE_PID" || status=$?
	assert_eq "$status" "${1:-0}" "exit code ($(result 'r.get("reason", r["outcome"])' 2>/dev/null || tail -n 3 "$DIR/move.log"))"
}

recover() { # STATUS [OPTION...]
	local status=0
	"${ON[@]}" timeout 60 "$BIN/vmferry" recover "$NAME" -v "${@:2}" </dev/null >"$DIR/recover.log" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of vmferry recover ($(tail -n 2 "$DIR/recover.log"))"
}

defined_at() { # HOST
	libvirt_in "$1" virsh -q list --all --name | sort | xargs
}

where_defined() {
	case "$(defined_at a)/$(defined_at b)" in
	"$NAME/") echo source ;;
	"/$NAME") echo destination ;;
	"$NAME/$NAME") echo both ;;
	/) echo nowhere ;;
	*) echo "$(defined_at a)/$(defined_at b)" ;;
	esac
}

host_of() { # source|destination
	if [[ $1 == source ]]; then echo a; else echo b; fi
}

assert_whole() { # source|destination
	local host
	host=$(host_of "$1")
	assert_eq "$(where_defined)" "$1" "where libvirt has the guest"
	whole_at "$host" | diff "$DIR/whole" - || fail "it is not at the $1 as it was"
	for image in a.qcow2 b.qcow2; do # no process has the images locked any more
		"$QEMU_IMG" info "$(libvirt_at "$host" "$LIBVIRT_GUESTS/$image")" >/dev/null || fail "$image is locked at the $1"
	done
	[[ $1 == destination ]] || assert_eq "$(find "$(libvirt_at b "$LIBVIRT_GUESTS")" -type f)" "" "files at the destination"
	[[ -z $(find "$VMFERRY_STATE_DIR" "$DIR/dst-state" -name '*.definition') ]] || fail "a definition is left: $(ls "$VMFERRY_STATE_DIR" "$DIR/dst-state")"
}

assert_never_two_books() {
	! grep -q BAD "$DIR/books" || fail "$(grep BAD "$DIR/books" | head -n 2)"
	! process_is_gone "$BOOKS_WATCHER" || fail "nobody watched: $(cat "$DIR/books")"
}
