#!/bin/bash
# A guest with an agent is frozen by it for the moment of an export, and for no longer: not if the exporter is killed then, and its group with it,
# either. Without an agent, or with one that does not answer, it is exported as it runs, and --freeze require is refused, or fails.
# timeout: 300
. "$(dirname "$0")/../../lib/export.sh"

agent_port() { # SOCKET-NAME: prints QEMU options
	echo "-device virtio-serial-pci -chardev socket,id=qga0,path=$DIR/$1,server=on,wait=off" \
		"-device virtserialport,chardev=qga0,name=org.qemu.guest_agent.0"
}

thawed_and_writing() {
	[[ $(pair_says "$DIR/$A.orders" frozen) == 0 ]] && pair_has_written "$DIR/$A.orders" $((at + 10))
}

WITNESS="agent=1" pair_start "$A" $(agent_port qga)
wait_for 60 pair_has_written "$DIR/$A.orders" 50 || fail "the guest does not write"
export_guest "$A" "$DIR/bundle" --freeze require
says "file systems were frozen" "$DIR/export.out"
at=$(pair_written "$DIR/$A.orders")
wait_for 60 thawed_and_writing || fail "the guest is still frozen"
rests "$A"
imports "$DIR/bundle" --name "$ID-new" --start -- -no-reboot
says 'its file systems frozen' "$DIR/import.out"
ready_again
found=$(pair_says "$VMS/$A.orders" found)
[[ ${found%,*} == "${found#*,}" ]] || fail "the guest was not still: $found"
end_process "$IMPORTED"
rm "$VMS"/*
goes_on "$A"

# killed while it is frozen
set -m # a group of its own
VMFERRY_FAULT="export-frozen:stop:$DIR/stopped" "$BIN/vmferry" export "$A" "$DIR/other" </dev/null >"$DIR/export.out" 2>&1 &
exporter=$!
set +m
kill_at_exit $exporter
wait_for 60 test -s "$DIR/stopped" || fail "the export does not come to its moment: $(<"$DIR/export.out")"
assert_eq "$(pair_says "$DIR/$A.orders" frozen)" 1 "frozen"
at=$(pair_written "$DIR/$A.orders")
kill -KILL -- -$exporter
wait_for 60 thawed_and_writing || fail "the guest stays frozen when its exporter is killed"
export_guest "$A" "$DIR/third"
says "file systems were frozen" "$DIR/export.out"

# killed while it is frozen, and with it the process that would thaw it
VMFERRY_FAULT="export-frozen:stop:$DIR/both" "$BIN/vmferry" export "$A" "$DIR/none" </dev/null >"$DIR/export.out" 2>&1 &
exporter=$!
kill_at_exit $exporter
wait_for 60 test -s "$DIR/both" || fail "the export does not come to its moment: $(<"$DIR/export.out")"
kill -KILL "$(pgrep -P $exporter -x vmferry-thaw)"
kill -KILL $exporter
wait_for 60 process_is_gone $exporter || fail "the exporter runs on"
assert_eq "$(pair_says "$DIR/$A.orders" frozen)" 1 "frozen, with nobody to thaw it"
at=$(pair_written "$DIR/$A.orders")
vmferry recover "$A" >"$DIR/recover.out" 2>&1 || fail "recover: $(<"$DIR/recover.out")"
wait_for 60 thawed_and_writing || fail "the guest stays frozen: $(<"$DIR/recover.out")"

# too long
VMFERRY_FAULT="export-frozen:stop:$DIR/again" "$BIN/vmferry" export "$A" "$DIR/fourth" </dev/null >"$DIR/export.out" 2>"$DIR/export.err" &
EXPORT_PID=$!
kill_at_exit $EXPORT_PID
wait_for 60 test -s "$DIR/again" || fail "the export does not come to its moment"
at=$(pair_written "$DIR/$A.orders")
wait_for 60 thawed_and_writing || fail "the guest is frozen for ever"
kill -CONT $EXPORT_PID
export_wait 1
says 'thawed before the disks. moment' "$DIR/export.err"
[[ ! -e $DIR/fourth ]] || fail "something of it is left"
assert_eq "$(of_ours "$DIR/$A.mon")" "" "what is left in QEMU"

# somebody else's freeze is left alone
printf '{"execute": "guest-fsfreeze-freeze"}\n' | python3 -S -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.stdin.buffer.read()); s.recv(100)' "$DIR/qga"
status=0
vmferry export "$A" "$DIR/fifth" --freeze require </dev/null >"$DIR/export.out" 2>"$DIR/export.err" || status=$?
assert_eq $status 1 "exit code with file systems that others have frozen"
says 'another client has frozen its file systems already' "$DIR/export.err"
assert_eq "$(pair_says "$DIR/$A.orders" frozen)" 1 "what somebody else has frozen"
guest_stop "$A"

# An agent whose answers to freeze and thaw are said here, in the place of the guest's: what may be frozen still is said on a line of its own. The socket
# that is listened to is QEMU's, too, which begins as the process that made it: no other is believed.
cat >"$DIR/player.py" <<-'END'
	import json, os, socket, sys
	at, plays, qemu = sys.argv[1], sys.argv[2], sys.argv[3:]
	s = socket.socket(socket.AF_UNIX)
	s.bind(at)
	s.listen()
	os.rename(at, at + ".played") # QEMU makes one of that name
	pid = os.fork()
	if pid:
	    with open(plays + ".pid", "w") as file:
	        file.write(str(pid))
	    s.set_inheritable(True)
	    os.execv(qemu[0], qemu)
	while True:
	    c, _ = s.accept()
	    for line in c.makefile("rb"):
	        q = json.loads(line.strip(b"\xff \n"))
	        name = q["execute"]
	        with open(plays) as file:
	            how = dict(zip(("guest-fsfreeze-freeze", "guest-fsfreeze-thaw"), file.read().split())).get(name, "ok")
	        if how == "closes":
	            break
	        answer = {"return": q["arguments"]["id"] if "sync" in name else "thawed" if "status" in name else 1}
	        if how == "refuses":
	            answer = {"error": {"class": "GenericError", "desc": "as played"}}
	        c.sendall((b"\xff" if "sync" in name else b"") + json.dumps(answer).encode() + b"\n")
	    c.shutdown(socket.SHUT_RDWR)
END

plays() { # FREEZE THAW: ok, refuses or closes
	echo "$1 $2" >"$DIR/plays"
}

may_be_frozen() { # TEXT: the export says so, leaves nothing else, and says that
	says "^  left behind: the guest's file systems may be frozen.*guest-fsfreeze-thaw" "$DIR/export.err"
	says "^failed: .*$1.*; what is left is listed" "$DIR/export.err"
	[[ ! -e $DIR/played ]] || fail "something of it is left"
	assert_eq "$(of_ours "$DIR/$A.mon")" "" "what is left in QEMU"
}

plays ok refuses
ON=(python3 -S "$DIR/player.py" "$DIR/qga3" "$DIR/plays")
pair_start "$A" $(agent_port qga3)
ON=()
kill_at_exit "$(<"$DIR/plays.pid")"
mv "$DIR/qga3.played" "$DIR/qga3"
export_start "$A" "$DIR/played"
export_wait 4
may_be_frozen 'its agent refuses guest-fsfreeze-thaw'
plays closes refuses
export_start "$A" "$DIR/played" # --freeze auto
export_wait 4
may_be_frozen 'its file systems cannot be frozen'
plays refuses refuses
export_guest "$A" "$DIR/refused"
says 'not frozen: its agent refuses' "$DIR/export.err"
# the disks' moment fails, too
plays ok closes
VMFERRY_FAULT="export-frozen:stop:$DIR/busy" "$BIN/vmferry" export "$A" "$DIR/played" </dev/null >"$DIR/export.out" 2>"$DIR/export.err" &
EXPORT_PID=$!
kill_at_exit $EXPORT_PID
wait_for 60 test -s "$DIR/busy" || fail "the export does not come to its moment"
target=$(of_ours "$DIR/$A.mon" | grep -m 1 -- '-q0"')
qmp "$DIR/$A.mon" "{\"execute\": \"blockdev-del\", \"arguments\": {\"node-name\": $target}}" >/dev/null
kill -CONT $EXPORT_PID
export_wait 4
may_be_frozen 'QEMU refused transaction'
guest_stop "$A"

# a port, and nobody in the guest who answers; none
pair_start "$A" $(agent_port qga2)
export_guest "$A" "$DIR/sixth"
says 'not frozen: its agent does not answer' "$DIR/export.err"
status=0
vmferry export "$A" "$DIR/seventh" --freeze require </dev/null >"$DIR/export.out" 2>"$DIR/export.err" || status=$?
assert_eq $status 1 "exit code without an answer"
[[ ! -e $DIR/seventh ]] || fail "something of it is left"
guest_stop "$A"
pair_start "$A"
status=0
vmferry export "$A" "$DIR/seventh" --freeze require </dev/null >"$DIR/export.out" 2>"$DIR/export.err" || status=$?
assert_eq $status 3 "exit code without an agent"
