#!/bin/bash
# Monitors that are objects (-object monitor-qmp, monitor-hmp: QEMU 11.1) are found, hidden and occupied as those of -mon are; a QEMU that knows no
# such objects gets -mon instead.
. "$(dirname "$0")/../../lib/aftermath.sh"

"$QEMU" -object help | grep -q monitor-qmp || skip "this QEMU has no monitors that are objects"

free_port() { # prints the first of two in a row
	python3 -S -c 'import random, socket
while True:
    first = random.randrange(20000, 30000)
    try:
        for port in (first, first + 1):
            with socket.socket() as s: s.bind(("127.0.0.1", port))
    except OSError: continue
    print(first)
    break'
}

PORT=$(free_port)
guest_a -chardev "socket,id=cq,path=$DIR/a.obj,server=on,wait=off" -object monitor-qmp,id=mq,chardev=cq \
	-object '{"qom-type": "monitor-hmp", "id": "mh", "chardev": "ch"}' \
	-chardev "socket,id=ch,host=127.0.0.1,port=$PORT,to=$((PORT + 1)),server=on,wait=off"

# Loaded and promised, the guest is nobody's to start: there is no socket, and who comes to the port is not heard.
move_until local src-ready:stop
[[ ! -e $TO/a.obj ]] || fail "the monitor is there before the guest is"
assert_eq "$(status_of "$(echo "$TO"/.vmferry-*/a.obj)")" paused "the guest at the destination"
"$TOP/tests/lib/monitors.py" cont "hmp:$((PORT + 1))"
assert_eq "$(status_of "$(echo "$TO"/.vmferry-*/a.obj)")" paused "the guest at the destination, after somebody's cont"
fault_continue
move_wait
"$TOP/tests/lib/monitors.py" ask "hmp:$((PORT + 1))"
assert_eq "$(status_of "$TO/a.obj")" running "the guest, as its monitor says"
guest_verify "$(orders a)" blocks
guest_stop a

# The monitor by which vmferry finds the guest may be one, and the only one.
launch() { # QEMU MACHINE
	"$1" -accel tcg -machine "$2" -m 64 -display none -nodefaults -name b -chardev "socket,id=c,path=$DIR/b.obj,server=on,wait=off" \
		-object monitor-qmp,id=m,chardev=c -chardev "socket,id=n,host=127.0.0.1,port=1,reconnect-ms=60000" -serial chardev:n </dev/null >"$DIR/b.stderr" 2>&1 &
	guest_adopt b $!
	wait_for 60 monitor_answers "$DIR/b.obj" || fail "QEMU does not start: $(<"$DIR/b.stderr")"
}

for there in 10.0 7.2; do
	[[ -x $(qemu_called $there) ]] || continue
	launch "$QEMU" pc-q35-7.2
	mkdir "$DIR/old"
	vmferry check b local -v --disk-dir "$DIR/old" --qemu "$(qemu_called $there)" >"$DIR/check.out" 2>&1 </dev/null || fail "to QEMU $there: $(<"$DIR/check.out")"
	grep -q 'written as -mon chardev=c,mode=control,id=m' "$DIR/check.out" || fail "the plan does not say what becomes of its monitor: $(<"$DIR/check.out")"
	move b local --qemu "$(qemu_called $there)"
	assert_eq "$(status_of "$TO/b.obj")" running "the guest in QEMU $there"
	guest_stop b
	rm -r "$DIR/old"
done
