#!/bin/bash
# vmferry may-start: the host that a guest has left does not start its old copy, by whatever script; the one that it came to may, once it runs no
# more; and the other way round when it has come back. Live and cold: the same is noted by every kind of move.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

may_start() { # STATE WORD: the exit code; what was said is in DIR/said
	local status=0
	VMFERRY_STATE_DIR=$1 vmferry may-start "$2" </dev/null >"$DIR/said" 2>&1 || status=$?
	echo "$status"
}

says() { # TEXT
	grep -qF -- "$1" "$DIR/said" || fail "not '$1': $(<"$DIR/said")"
}

here=$VMFERRY_STATE_DIR there=$DIR/dst-state
A=a$$ # no test beside this one has a guest of that name
head -c 16M /dev/urandom >"$DIR/$A.raw"
MEM=256 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20" tiny_start "$A" $(guest_drive d0 "$DIR/$A.raw" raw) $(second_monitor "$A")
cat >"$DIR/mine.sh" <<END
cd / || exit
exec $QEMU -name $A -machine q35 -m 256 -drive file=$DIR/$A.raw,format=raw,if=virtio
END
assert_eq "$(may_start "$here" "$DIR/mine.sh")" 3 "may it start beside itself?"
says "it may run already"
says "is locked by a QEMU (process ${GUEST_PID[$A]})"

# A move that was rolled back has taken nothing away.
to_listener
move_start "$A" "$DEST" --hold
wait_event 'ev["event"] == "notice" and "vmferry switch" in ev["text"]' >/dev/null
assert_eq "$(may_start "$here" "$DIR/mine.sh")" 3 "may it start while it moves?"
says "its move to another host is not over"
kill -TERM "$MOVE_PID"
move_wait 1
assert_eq "$(may_start "$here" "$DIR/mine.sh")" 3 "may it start beside itself again?"
says "it may run already"

move "$A" "$DEST"
assert_eq "$(may_start "$here" "$DIR/mine.sh")" 3 "may its old copy start?"
says "it went to $DEST"
grep -q '"instance": "[^"]' "$here/guests/$A.json" || fail "it is not noted which host that is: $(<"$here/guests/$A.json")"
assert_eq "$(may_start "$here" "$A")" 3 "may it, by its name?"
assert_eq "$(may_start "$there" "$TO/$A.sh")" 3 "may it start there beside itself?"
says "it may run already"
end_process "${GUEST_PID[$A]}"
assert_eq "$(may_start "$there" "$TO/$A.sh")" 0 "may it start there?"
says "it came from"
assert_eq "$(VMFERRY_STATE_DIR=$there vmferry may-start "$A" --json | python3 -S -c 'import json, sys; print(json.load(sys.stdin)["may_start"])')" True "in JSON"

# Back, cold, onto another disk: that may start here, the first one still may not, nor what is left there.
mkdir "$DIR/back"
from=$TO
to_listener --state-dir "$here"
VMFERRY_STATE_DIR=$there vmferry migrate "$from/$A.sh" "$DEST" --how cold --disk-dir "$DIR/back" --json </dev/null >"$DIR/move.json" 2>"$DIR/move.log" ||
	fail "$(tail -n 3 "$DIR/move.log")"
assert_eq "$(may_start "$here" "$DIR/back/$A.sh")" 0 "may it start here again?"
assert_eq "$(may_start "$here" "$A")" 0 "may it, by its name?"

# A guest of its name runs here from another disk, as after it came by its replica: neither by its script nor by its name may it start beside that.
truncate -s 1M "$DIR/other.raw"
$QEMU -name "$A" -machine q35 -m 64 -S -display none -drive file="$DIR/other.raw",format=raw,if=virtio -daemonize -pidfile "$DIR/other.pid"
kill_at_exit "$(<"$DIR/other.pid")"
for word in "$DIR/back/$A.sh" "$A"; do
	assert_eq "$(may_start "$here" "$word")" 3 "may $word beside a guest of its name?"
	says "a guest $A runs here already (pid $(<"$DIR/other.pid"))"
done
end_process "$(<"$DIR/other.pid")"
assert_eq "$(may_start "$here" "$DIR/back/$A.sh")" 0 "may it, after that has ended?"

# The guest runs here by another name: on its own disk, which this script does not name; by a line that names it, whatever is open; or by
# its UUID.
uuid=$(</proc/sys/kernel/random/uuid)
cat >"$DIR/third.sh" <<END
exec $QEMU -name $A -machine q35 -m 64 -uuid $uuid -drive file=$DIR/other.raw,format=raw,if=virtio
END
assert_eq "$(may_start "$here" "$DIR/third.sh")" 0 "may it, by a script of another disk?"
stranger() { # WORDS OPTION...: a QEMU of another name, beside which none may start, for that reason
	$QEMU -name "other$$" -machine q35 -m 64 -S -display none "${@:2}" -daemonize -pidfile "$DIR/other.pid"
	kill_at_exit "$(<"$DIR/other.pid")"
	assert_eq "$(may_start "$here" "$DIR/third.sh")" 3 "may it beside a guest of another name ($1)?"
	says "(pid $(<"$DIR/other.pid")) runs here$1"
	end_process "$(<"$DIR/other.pid")"
}
stranger " on its disk $DIR/back/$A.raw" -drive "file=$DIR/back/$A.raw,format=raw,if=virtio"
stranger " on its disk $DIR/back/$A.raw" -blockdev '{"driver": "raw", "node-name": "d", "file": {"driver": "file", "filename": "'"$DIR/back/./$A.raw"'"}}'
stranger ", and has its UUID" -uuid "${uuid^^}"
python3 -S - "$DIR/back/$A.raw" <<-'END' &
	import os, sys
	r, w = os.pipe()
	os.dup2(r, 0)
	os.set_inheritable(w, True) # the reader waits for ever
	os.execv("/bin/bash", ["qemu-system-x86_64", "-c", "read x", "-drive", "if=virtio,file=raw:" + sys.argv[1]])
END
pid=$!
kill_at_exit $pid
wait_for 60 grep -aq qemu-system "/proc/$pid/cmdline"
assert_eq "$(may_start "$here" "$DIR/third.sh")" 3 "may it beside a process that has its disk on its line?"
says "(pid $pid) runs here on its disk"
end_process $pid
assert_eq "$(may_start "$here" "$DIR/third.sh")" 0 "may it, after they have ended?"

assert_eq "$(may_start "$here" "$DIR/mine.sh")" 3 "may its first disk?"
assert_eq "$(may_start "$there" "$from/$A.sh")" 3 "may what is left there, whose script has another name?"
says "it went to $DEST"
assert_eq "$(may_start "$there" "$from/$A.sh.moved-"*)" 3 "may it by that?"
