#!/bin/bash
# --dry-run shows the plan and changes nothing: no file, no process, no setting, bitmap, export
# or NBD server of the source QEMU.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

qemu_state() {
	local query
	for query in query-status query-migrate query-migrate-capabilities query-migrate-parameters query-block-jobs \
		query-block-exports query-block; do
		qmp "$(monitor a)" "{\"execute\": \"$query\"}"
	done
	qmp "$(monitor a)" '{"execute": "nbd-server-stop"}' 2>&1 || true # an error, as none runs
}

files() {
	(cd "$DIR" && find . ! -path './move.*' ! -path './seen*' ! -name a.console ! -name . -printf '%p %y %i %s %m\n' | sort &&
		find . -type f ! -path './move.*' ! -path './seen*' ! -name a.console -printf '%p %T@\n' | sort)
}

see() { # WHEN
	qemu_state >"$DIR/seen/qemu.$1"
	files >"$DIR/seen/files.$1"
}

guest_disk "$DIR/a.raw" raw 32M
guest_disk "$DIR/b.qcow2" qcow2 32M
MEM=256 WITNESS="ram_mb=16 disks=vda,vdb disk_mb=8" tiny_start a \
	$(guest_drive d0 "$DIR/a.raw" raw) $(guest_drive d1 "$DIR/b.qcow2" qcow2)
guest_order "$(orders a)" quiesce
mkdir "$DIR/seen" "$DIR/d1"
see before
move_start a local --dry-run
wait "$MOVE_PID" || fail "exit code $? of a dry run"
see after
diff -u "$DIR/seen/qemu.before" "$DIR/seen/qemu.after" || fail "QEMU was changed"
diff -u "$DIR/seen/files.before" "$DIR/seen/files.after" || fail "files were changed"
assert_nothing_left
assert_result '[d["to"] for d in plan["disks"]] == ["'"$TO"'/a.raw", "'"$TO"'/b.qcow2"] and len(plan["command_line"]) > 10'
guest_verify "$(orders a)" blocks
