#!/bin/bash
# Either agent dies at a step of the cold move of a plain guest that is to be libvirt's (--as libvirt): in the end it is the source's, where its script starts
# it as it was, and no libvirt defines it; or the destination's, whose libvirt defines it, and nothing starts it at the source.
# timeout: 300
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-cold.sh"

plain_guest_at_rest() { # at host a, with nothing at host b
	local at=$1
	libvirt_in b virsh -q undefine "$NAME" >/dev/null 2>&1 || true
	rm -rf "$at"/* "$TO"/*
	head -c 2M /dev/urandom >"$DIR/content"
	"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/content" "$at/a.qcow2"
	"$QEMU_IMG" create -q -f qcow2 "$at/b.qcow2" 1M
	rm "$DIR/content"
	cat >"$at/$NAME.sh" <<-END
		#!/bin/sh
		exec $QEMU -name $NAME -machine pc -accel tcg -m 32 -nodefaults -display none \\
			-drive file=$LIBVIRT_GUESTS/a.qcow2,format=qcow2,if=virtio -drive file=$LIBVIRT_GUESTS/b.qcow2,format=qcow2,if=virtio \\
			-qmp unix:$LIBVIRT_GUESTS/$NAME.qmp,server=on,wait=off
	END
	chmod 755 "$at/$NAME.sh"
	(cd "$at" && md5sum a.qcow2 b.qcow2 "$NAME.sh") >"$DIR/whole"
}

becoming_start() {
	rm -f "$DIR/move.json" "$DIR/move.log"
	"${ON[@]}" "$BIN/vmferry" migrate "$LIBVIRT_GUESTS/$NAME.sh" "$DEST" --how cold --as libvirt --json -v --reconnect-timeout 3 </dev/null \
		>"$DIR/move.json" 2>"$DIR/move.log" &
	MOVE_PID=$!
	kill_at_exit "$MOVE_PID"
}

assert_becomes() { # source|destination: whose it is in the end
	if [[ $1 == source ]]; then
		(cd "$FROM" && md5sum a.qcow2 b.qcow2 "$NAME.sh") | diff "$DIR/whole" - || fail "it is not here as it was: $(ls "$FROM")"
		assert_eq "$(find "$TO" -type f)" "" "files at the destination"
		assert_eq "$(where_defined)" nowhere "where libvirt has the guest"
	else
		[[ ! -e $FROM/$NAME.sh ]] || fail "its script is here yet"
		(cd "$TO" && md5sum a.qcow2 b.qcow2) | diff <(grep qcow2 "$DIR/whole") - || fail "its disks are not there as they were"
		assert_eq "$(where_defined)" destination "where libvirt has the guest"
	fi
	[[ -z $(find "$VMFERRY_STATE_DIR" "$DIR/dst-state" \( -name '*.journal' -o -name '*.definition' \)) ]] || fail "unfinished: $(ls "$VMFERRY_STATE_DIR" "$DIR/dst-state")"
}

source_dies() { # POINT WHERE STATUS of recover
	to_listener
	fault "$1"
	becoming_start
	fault_wait
	wait_for 60 process_is_gone "$MOVE_PID" || fail "$1: the agent lives on"
	recover "$3"
	assert_becomes "$2"
}

destination_dies() { # POINT WHERE STATUS of the move
	to_local
	fault "$1"
	to_listener
	becoming_start
	fault_wait
	libvirt_cold_wait "$3"
	assert_becomes "$2"
}

libvirt_host a
libvirt_host b
libvirt_way a
ON=("${LIBVIRT_WAY[@]}")
libvirt_way b
DST_ON=("${LIBVIRT_WAY[@]}")
FROM=$(libvirt_at a "$LIBVIRT_GUESTS") TO=$(libvirt_at b "$LIBVIRT_GUESTS")
plain_guest_at_rest "$FROM"
for point in $(some_of src-set-aside src-completed before-SRC_COMMITTED); do
	source_dies "$point" source 1
done
for point in $(some_of dst-definition-kept before-DST_PREPARED after-DST_PREPARED); do
	destination_dies "$point" source 1
done
for point in $(some_of after-SRC_COMMITTED before-SRC_RELEASED); do
	source_dies "$point" destination 0
	plain_guest_at_rest "$FROM"
done
for point in $(some_of before-DST_START dst-defined before-DST_STARTED before-DST_DONE); do
	destination_dies "$point" destination 0
	plain_guest_at_rest "$FROM"
done
