#!/bin/bash
# libvirt's migration job, at both ends, by the agents' own client: it ends with its connection, the guest at the source as it was, and what was
# prepared at the destination gone; and step by step it leads to one guest, at the destination, that has lost nothing.
# tier: gate
export TINY=yes MEM=32 WITNESS="ram_mb=8 rate=200"
. "$(dirname "$0")/../../lib/guest.sh"
. "$(dirname "$0")/../../lib/libvirt.sh"

declare -A STEPS_PID=() STEPS_IN=() STEPS_OUT=()

steps_begin() { # CONNECTION HOST
	mkfifo "$DIR/$1".{in,out}
	libvirt_way "$2"
	"${LIBVIRT_WAY[@]}" "$BIN/libvirt-steps-tool" <"$DIR/$1.in" >"$DIR/$1.out" 2>"$DIR/$1.err" &
	STEPS_PID[$1]=$!
	kill_at_exit "$!"
	exec {in}>"$DIR/$1.in" {out}<"$DIR/$1.out"
	STEPS_IN[$1]=$in STEPS_OUT[$1]=$out
	rm "$DIR/$1".{in,out}
}

step() { # CONNECTION WORDS...: sets SAID
	echo "${*:2}" >&"${STEPS_IN[$1]}"
	read -rt 60 -u "${STEPS_OUT[$1]}" SAID || fail "${*:2}: no answer: $(<"$DIR/$1.err")"
}

does() { # CONNECTION WORDS...
	step "$@"
	[[ $SAID == ok* ]] || fail "${*:2}: $SAID"
}

refused() { # ERRNO CONNECTION WORDS...
	step "${@:2}"
	[[ $SAID == "error $1 "* ]] || fail "${*:3}: not refused with $1, but $SAID"
}

kill_steps() { # CONNECTION
	local in=${STEPS_IN[$1]} out=${STEPS_OUT[$1]}
	kill -KILL "${STEPS_PID[$1]}"
	wait "${STEPS_PID[$1]}" 2>/dev/null || true
	exec {in}>&- {out}<&-
}

state() { # HOST
	libvirt_in "$1" virsh -q domstate chat --reason 2>/dev/null | head -n 1
}

knows_none() { # HOST WHAT: libvirt sees the end of a QEMU a moment after it
	wait_for 60 eval '[[ -z $(libvirt_in "$1" virsh -q list --all) ]]' || fail "guests $2: $(libvirt_in "$1" virsh -q list --all)"
}

begins() { # Begins a migration over another connection.
	step other begin chat "unix://$DIR/ram" "$DIR/cookie" "$DIR/xml"
	[[ $SAID == ok* ]]
}

libvirt_host a
libvirt_host b
libvirt_define a chat
libvirt_run a chat
source=${GUEST_PID[chat]}

# The job holds others off, and is gone with the connection.
steps_begin job a
steps_begin other a
does job begin chat "unix://$DIR/ram" "$DIR/cookie" "$DIR/xml"
refused 114 other begin chat "unix://$DIR/ram" "$DIR/cookie" "$DIR/xml"
kill_steps job
wait_for 60 begins || fail "the job outlives its connection: $SAID"
assert_eq "$(state a)" "running (booted)" "the guest afterwards"
does other confirm chat cancel
assert_eq "$(state a)" "running (booted)" "the guest after a Confirm that cancels"

# A prepared migration ends with its connection, or by Finish.
does other begin chat "unix://$DIR/ram" "$DIR/cookie" "$DIR/xml"
for way in close finish; do
	steps_begin there b
	does there prepare chat "unix://$DIR/ram" "$DIR/cookie" "$DIR/xml"
	guest_adopt "chat-$way" "$(<"$(libvirt_at b /run/libvirt/qemu/chat.pid)")"
	[[ $way == close ]] || does there finish chat cancel
	kill_steps there
	wait_for 60 process_is_gone "${GUEST_PID[chat-$way]}" || fail "QEMU outlives $way"
	knows_none b "there after $way"
	rm -f "$DIR/ram"
done

# All steps: it goes there, and is nowhere else.
steps_begin there b
does there prepare chat "unix://$DIR/ram" "$DIR/cookie" "$DIR/xml"
guest_adopt chat "$(<"$(libvirt_at b /run/libvirt/qemu/chat.pid)")"
does other watch chat
does other qmp chat '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 0}}'
does other qmp chat "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"unix:$DIR/ram\"}}"
does other event MIGRATION completed
does other event STOP
does there finish chat
assert_eq "$(state b)" "paused (user)" "the guest before it is resumed"
does there resume chat
assert_eq "$(state b)" "running (unpaused)" "the guest there"
does other confirm chat
process_is_gone "$source" || fail "the source's QEMU is still there"
knows_none a "at the source"
GUEST_AT[chat]=$(libvirt_at b "$LIBVIRT_GUESTS")
guest_verify "$(orders chat)"
libvirt_in b virsh -q destroy chat >/dev/null
knows_none b "a transient guest that was ended"
