#!/bin/bash
# timeout: 400
# A guest's QEMU runs in the background (-daemonize), and something that is not above it starts it anew once it has ended: a loop that another shell has on its
# command line, reads from a script of another name, or from its input; one in python; one of another user's, who may write to the disk. The plan
# names it, and the disks get other names: no old copy starts. In place such a guest is refused, and so is the shutdown that begins a cold move. What only
# names the guest's files starts nothing.
# takes: 60
. "$(dirname "$0")/../../lib/aftermath.sh"

mkdir "$DIR/vm" "$DIR/bin"
START="$QEMU -accel tcg -machine q35 -m 64 -display none -nodefaults -no-user-config -name a,process=guest-a -serial file:$DIR/a.console \
-serial unix:$DIR/a.orders,server=on,wait=off -qmp unix:$DIR/a.qmp,server=on,wait=off -pidfile $DIR/vm/a.pid -kernel $TOP/build/guest/tiny.elf \
-append 'witness.ram_mb=8 witness.rate=100 witness.disks=vda witness.disk_mb=8 witness.disk_rate=20' $(guest_drive d0 "$DIR/vm/a.raw" raw) -daemonize"
ALIVE="kill -0 \$(cat $DIR/vm/a.pid) 2>/dev/null"

start_loop() { # COMMAND: prints a loop of a shell's that runs it
	echo "while :; do $ALIVE || { echo >>$DIR/starts; $1; }; sleep 0.2; done"
}

begin() { # COMMAND...: that watches
	rm -f "$DIR"/starts "$DIR"/a.* "$DIR"/vm/a.*
	guest_disk "$DIR/vm/a.raw" raw 16M
	chmod 666 "$DIR/vm/a.raw"
	"$@" <&0 >"$DIR/watch.log" 2>&1 &
	WATCH=$!
	kill_at_exit "$WATCH"
	wait_for 60 grep -aqs '^witness ready' "$DIR/a.console" || fail "the guest does not come up: $(<"$DIR/watch.log")"
	unset "GUEST_AT[a]"
	guest_adopt a "$(<"$DIR/vm/a.pid")"
	kill_at_exit "${GUEST_PID[a]}"
	[[ $(ps -o ppid= "${GUEST_PID[a]}") -ne $WATCH ]] || fail "QEMU is a child of what watches it: this test tests nothing"
}

was_tried_again() { # once the guest had gone
	[[ $(wc -l <"$DIR/starts") -ge 2 ]]
}

is_found() { # and keeps from the disk
	move_start a local --in-place
	move_wait 3
	assert_result "'process $WATCH (' in r['reason'] and '--starter-stopped' in r['reason']"
	move a local
	assert_result "any('process $WATCH (' in x and 'does not start the guest here again' in x for x in plan['afterwards'])"
	[[ ! -e $DIR/vm/a.raw ]] || fail "the old disk has its name"
	wait_for 60 was_tried_again || fail "nothing has tried again: this test tests nothing"
	guest_verify "$(orders a)" blocks
	end_process "$WATCH"
	end_process "${GUEST_PID[a]}"
}

is_none() {
	move a local
	assert_result "not any('process ' in x for x in plan['afterwards'])"
	[[ -e $DIR/vm/a.raw ]] || fail "the disk has another name, as if process $WATCH would start the guest"
	end_process "$WATCH"
	end_process "${GUEST_PID[a]}"
}

echo "== a command of a shell's"
begin sh -c "$(start_loop "$START"); :" </dev/null
is_found

echo "== a script that runs another"
printf '#!/bin/sh\nVM=%s/vm\n%s\n' "$DIR" "${START//"$DIR/vm/"/"\$VM/"}" >"$DIR/bin/start-it"
chmod +x "$DIR/bin/start-it"
printf 'BIN=%s\n%s\n' "$DIR/bin" "$(start_loop '$BIN/start-it')" >"$DIR/bin/keeper"
begin sh "$DIR/bin/keeper" </dev/null
is_found

echo "== a script at a shell's input"
begin sh -s <"$DIR/bin/keeper"
is_found

echo "== python"
cat >"$DIR/bin/keep.py" <<-END
	import os, subprocess, time
	HERE = "$DIR/vm"
	while True:
	    try:
	        os.kill(int(open(HERE + "/a.pid").read()), 0)
	    except (OSError, ValueError):
	        open("$DIR/starts", "a").write("\n")
	        subprocess.call("""$START""", shell=True)
	    time.sleep(0.2)
END
begin python3 -S "$DIR/bin/keep.py" </dev/null
move_start a local --how cold
move_wait 3
assert_result "'process $WATCH (' in r['reason'] and '--starter-stopped' in r['reason']"
is_found

echo "== what only names its files"
begin sh -c "$START; exec tail -f $DIR/vm/a.pid $DIR/vm/a.raw"
is_none
begin sh -c "$START; exec tail -f $DIR/vm/a.pid"
end_process "$WATCH"
python3 -S - "$DIR/bin/start-it" <<<"import signal; signal.pause()" &
kill_at_exit $!
sh -c "test -e $DIR/vm/a.raw && tail -f /dev/null; :" &
WATCH=$!
kill_at_exit "$WATCH"
is_none

echo "== a client of tmux, which only shows what its server runs"
begin sh -c "$START; exec tail -f $DIR/vm/a.pid"
end_process "$WATCH"
cp "$(command -v bash)" "$DIR/bin/tmux: client"
"$DIR/bin/tmux: client" -c 'tail -f /dev/null; :' new -s vm "$START" &
WATCH=$!
kill_at_exit "$WATCH"
is_none

if [[ $EUID -ne 0 ]]; then
	echo "skipped: only root can start a process as another user"
	exit
fi
echo "== another user's, who may write to the disk; and who may not"
chmod 711 "$DIR"
begin sh "$DIR/bin/keeper" </dev/null
end_process "$WATCH"
as_another() {
	setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "tail -f --pid=${GUEST_PID[a]} /dev/null; $START; :" </dev/null >/dev/null 2>&1 &
	WATCH=$!
	kill_at_exit "$WATCH"
}
as_another
chmod 600 "$DIR/vm/a.raw"
is_none
begin sh "$DIR/bin/keeper" </dev/null
end_process "$WATCH"
as_another
move a local
assert_result "any('process $WATCH (' in x and 'does not start the guest here again' in x for x in plan['afterwards'])"
[[ ! -e $DIR/vm/a.raw ]] || fail "the old disk has its name"
