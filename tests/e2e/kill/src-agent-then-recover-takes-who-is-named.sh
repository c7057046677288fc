#!/bin/bash
# Moves of three guests are cut off after COMMITTED, two of them called alike. `recover` settles the one that is named, by name, pid
# or attempt, and never one whose name, or whose journal's path, only contains what was said.
. "$(dirname "$0")/../../lib/aftermath.sh"

cut_off() { # GUEST
	fault after-SRC_COMMITTED
	to_local
	move_start "$1" "$DEST"
	fault_wait
	while_it_dies
}

while_it_dies() { # the destination's agent, which is its child, has nothing more to say
	wait_for 60 process_is_gone "$MOVE_PID" || fail "the agent does not die"
}

tell() { # STATUS WORD...: to recover; nothing that is not asked for becomes of a journal
	local status=0
	timeout 60 "$BIN/vmferry" recover "${@:2}" </dev/null >"$DIR/recover.out" 2>"$DIR/recover.log" || status=$?
	assert_eq "$status" "$1" "exit code of vmferry recover ${*:2} ($(tail -n 2 "$DIR/recover.log"))"
}

assert_not_settled() { # GUEST...: its QEMU still waits for word of the destination, stopped as a process or not
	local name
	for name in "$@"; do
		[[ $(state_of "${GUEST_PID[$name]}") == T || $(status_of "$(free_monitor "$name")") == postmigrate ]] || fail "$name was settled"
	done
}

journals() {
	(cd "$VMFERRY_STATE_DIR" && find . -name '*-src.journal' -exec sha256sum {} + | sort)
}

attempt_of() { # PID
	local file
	for file in "$VMFERRY_STATE_DIR"/*-src.journal; do
		! grep -q "\"pid\":$1[,}]" <<<"$(vmferry journal "$file")" || basename "$file" -src.journal
	done
}

for name in web twin two; do
	guest_disk "$DIR/$name.raw" raw 32M
	MEM=128 WITNESS="ram_mb=16 disks=vda disk_mb=8" tiny_start "$name" $(guest_drive d0 "$DIR/$name.raw" raw) $(second_monitor "$name") \
		-name "${name/two/twin}"
done
for name in web twin two; do cut_off "$name"; done
assert_eq "$(journals | wc -l)" 3 "journals of the moves that were cut off"
web=$(attempt_of "${GUEST_PID[web]}") twin=$(attempt_of "${GUEST_PID[twin]}")
[[ $web =~ ^[0-9a-f]{32}$ && $twin =~ ^[0-9a-f]{32}$ && $web != "$twin" ]] || fail "attempts: '$web', '$twin'"

before=$(journals)
state=${VMFERRY_STATE_DIR##*/}
for word in src vm we eb w e WEB 'web ' webs ferry journal -src "$state" db ad fe "${web:0:2}" "${web:0:7}" "${web:8:16}" "${web}0" \
	"${GUEST_PID[web]:0:1}" 0 '' "$VMFERRY_STATE_DIR/$web-src.journal"; do
	[[ $word != -* ]] || word="./$word"
	tell 0 "$word"
	said recover.log 'nothing to recover'
	tell 3 "$word" --peer-is-fenced
	assert_eq "$(journals)" "$before" "the journals after recover '$word'"
done
tell 2 --peer-is-fenced
tell 3 twin
said recover.log "$twin"
tell 3 twin --peer-is-fenced
assert_eq "$(journals)" "$before" "the journals after recover of two"
assert_not_settled web twin two

# The destination is fenced indeed: its agents and its QEMUs end.
for name in d1 d2 d3; do
	for pid in $(pgrep -f "^[^ ]*/(qemu-system-[^ ]*|vmferry-dst) .*$DIR/$name/"); do kill_now "$pid"; done
done
tell 1 web --peer-is-fenced -v
assert_eq "$(journals | wc -l)" 2 "journals after that of web was settled"
assert_eq "$(status_of "$(free_monitor web)")" running "the run state of web"
assert_not_settled twin two
tell 1 "${twin:0:8}" --peer-is-fenced
assert_eq "$(status_of "$(free_monitor twin)")" running "the run state of twin"
assert_not_settled two
tell 1 "${GUEST_PID[two]}" --peer-is-fenced
assert_eq "$(status_of "$(free_monitor two)")" running "the run state of two"
assert_nothing_unfinished
for name in web twin two; do guest_verify "$DIR/$name.orders" blocks; done
