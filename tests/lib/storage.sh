# shellcheck shell=bash
# For tests of `vmferry storage`; to be sourced. Everything of aftermath.sh; a guest `a` whose script lies beside its disks as a move leaves
# one, and what must be true of script, images and QEMU afterwards. The guest is the tiny witness, with two disks: vda raw, vdb qcow2.
. "$(dirname "${BASH_SOURCE[0]}")/aftermath.sh"

QEMU_IO=$TOP/build/qemu/bin/qemu-io

# The options of the guest's QEMU, as words of a shell. DEVICE0: what the first disk's device has more; MORE: other words.
guest_words() { # DIRECTORY OF DISKS
	echo "-accel tcg -machine q35 -m ${MEM:-128} -smp 1 -display none -nodefaults -no-user-config -name a" \
		"-serial file:$DIR/a.console -serial unix:$DIR/a.orders,server=on,wait=off -qmp unix:$DIR/a.qmp,server=on,wait=off" \
		"-qmp unix:$DIR/a.mon,server=on,wait=off -kernel $TOP/build/guest/tiny.elf" \
		"-drive file=$1/a.raw,format=raw,if=none,id=d0,discard=unmap ${MORE:-} -device virtio-blk-pci,drive=d0,id=d0-dev${DEVICE0:-}" \
		"-blockdev driver=file,filename=$1/b.qcow2,node-name=p1 -blockdev driver=qcow2,file=p1,node-name=d1" \
		"-device virtio-blk-pci,drive=d1,id=d1-dev"
}

make_guest_files() { # DIRECTORY
	mkdir -p "$1"
	head -c 12M /dev/urandom >"$1/a.raw"
	truncate -s 24M "$1/a.raw"
	chmod 640 "$1/a.raw"
	"$QEMU_IMG" create -q -f qcow2 "$1/b.qcow2" 32M
	"$QEMU_IO" -f qcow2 -c 'write -P 0x5a 4M 12M' "$1/b.qcow2" >/dev/null
	{
		printf '#!/bin/sh\n# Starts the guest a again. A comment that stays.\ncd / || exit\nexec %s' "$QEMU"
		# shellcheck disable=SC2046
		printf ' \\\n    %s' $(guest_words "$1") \
			-append "'witness.ram_mb=16 witness.rate=500 witness.disks=vda,vdb witness.disk_mb=8 witness.disk_rate=${DISK_RATE:-40}'"
		echo
	} >"$1/a.sh"
	chmod 750 "$1/a.sh"
}

# The script starts the guest, whatever it names now.
guest_from_script() { # [SCRIPT]
	rm -f "$DIR"/a.{console,orders,qmp,mon}
	"${1:-$DIR/src/a.sh}" </dev/null >"$DIR/a.stderr" 2>&1 &
	guest_adopt a $!
	guest_wait_ready a
}

storage_guest() {
	make_guest_files "$DIR/src"
	mkdir -p "$DIR/new"
	guest_from_script
}

BOTH=(--disk "d0-dev=$DIR/new/a.qcow2" --disk "d1-dev=$DIR/new/b.raw")

storage_start() { # VM [OPTION...]
	rm -f "$DIR/move.json" "$DIR/move.log"
	"$BIN/vmferry" storage "$1" --json=fine -v "${@:2}" </dev/null >"$DIR/move.json" 2>"$DIR/move.log" &
	MOVE_PID=$!
	kill_at_exit "$MOVE_PID"
}

storage_wait() { # [STATUS (0)]
	local status=0
	wait_for 60 process_is_gone "$MOVE_PID" || fail "vmferry storage does not end"
	wait "$MOVE_PID" || status=$?
	assert_eq "$status" "${1:-0}" "exit code ($(result 'r.get("reason", r["outcome"])' 2>/dev/null || tail -n 3 "$DIR/move.log"))"
}

storage() { # The same as storage_start, to its end.
	storage_start "$@"
	storage_wait
}

images_in_use() { # prints what QEMU has behind its drives
	qmp "$DIR/a.mon" '{"execute": "query-block"}' | python3 -S -c '
import json, sys
print(*[b["inserted"]["file"] for b in json.load(sys.stdin) if "inserted" in b])'
}

nodes_in_qemu() { # prints the files of all block nodes, each once
	qmp "$DIR/a.mon" '{"execute": "query-named-block-nodes", "arguments": {"flat": true}}' | python3 -S -c '
import json, sys
print(*sorted({n["file"] for n in json.load(sys.stdin)}))'
}

images_in_script() { # prints the images that the script names, in its order
	grep -oE "file(name)?=$DIR/[^,' ]*" "${1:-$DIR/src/a.sh}" | grep -vF "$DIR/a." | sed 's/.*=//' | xargs
}

OLD_IMAGES="$DIR/src/a.raw $DIR/src/b.qcow2" NEW_IMAGES="$DIR/new/a.qcow2 $DIR/new/b.raw"

assert_nothing_of_ours_in_qemu() {
	assert_eq "$(qmp "$DIR/a.mon" '{"execute": "query-jobs"}')" "[]" "jobs in QEMU"
	assert_eq "$(qmp "$DIR/a.mon" '{"execute": "query-block-exports"}')" "[]" "exports in QEMU"
}

# The guest runs on the images of $1, which are what its script names; nothing is left over.
assert_on() { # "IMAGE IMAGE" [GUEST IS GONE]
	assert_eq "$(images_in_script)" "$1" "images that the script names"
	assert_nothing_unfinished
	assert_eq "$(find "$DIR/src" "$DIR/new" -name '.*vmferry-*')" "" "drafts"
	[[ -z ${2:-} ]] || return 0
	assert_eq "$(images_in_use)" "$1" "images in use"
	assert_eq "$(nodes_in_qemu)" "$1" "files that QEMU has open"
	assert_nothing_of_ours_in_qemu
	guest_verify "$DIR/a.orders" blocks
}

assert_kept() { # Checks that the guest has its old disks, unchanged.
	assert_on "$OLD_IMAGES" "${1:-}"
	assert_eq "$(ls -A "$DIR/new")" "" "files at the new place"
	assert_eq "$(cd "$DIR/src" && ls -A | xargs)" "a.raw a.sh b.qcow2" "files at the old place"
}
