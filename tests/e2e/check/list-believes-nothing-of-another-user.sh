#!/bin/bash
# `vmferry list` as root beside processes of another user that call themselves QEMU, with lines that name devices, files and sockets,
# and beside a monitor that answers nonsense: no file is opened, nobody is talked to, no line is forged, and it does not crash. Nor is root of a
# container believed, and however many they are, a guest of root's is found.
# takes: 15
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

[[ $EUID -eq 0 ]] || skip "only root can start a process as another user"
let_others_come
chmod 711 "$DIR"
mkdir -m 755 "$DIR/bin"
mkdir -m 777 "$DIR/theirs"
LIAR=$DIR/bin/qemu-system-x86_64
PYTHON=/usr/bin/python3 # a Python that every user can run
[[ -x $PYTHON ]] || skip "there is no $PYTHON"
cp "$(readlink -f "$PYTHON")" "$LIAR"
cp "$TOP/tests/lib/liar.py" "$DIR/bin"
HOME_OF_PYTHON=$("$PYTHON" -S -c 'import sys; print(sys.base_prefix + ":" + sys.base_exec_prefix)')
as_nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
PYTHONHOME=$HOME_OF_PYTHON "${as_nobody[@]}" "$LIAR" -c 'import json, socket' 2>/dev/null || skip "another user cannot run a copy of this Python"

liars=()
liar() { # READY COMMAND...
	PYTHONHOME=$HOME_OF_PYTHON "${@:2}" </dev/null >"$1.log" 2>&1 &
	liars+=($!)
	kill_at_exit $!
	wait_for 60 test -e "$1" || fail "it does not start: $(<"$1.log")"
}

list() { # [OPTION...]: of the liars alone
	vmferry list "$@" "${liars[@]}"
}

echo '[machine]' >"$DIR/config"
mkfifo "$DIR/fifo"
forged=$'evil\033[2J\nvm1 (pid 1): 1 GiB'
line=("$DIR/theirs/idle" -name "$forged" -readconfig "$DIR/config" -readconfig "$DIR/fifo" -readconfig /dev/null -kernel "$DIR/config"
	-drive "file=$DIR/config,format=raw" -qmp "unix:$DIR/root.sock,server=on,wait=off")
python3 -S -c 'import socket, sys, signal
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(1)
open(sys.argv[1] + ".ready", "w").close()
s.accept()
open(sys.argv[1] + ".met", "w").close()
signal.pause()' "$DIR/root.sock" &
kill_at_exit $!
wait_for 60 test -e "$DIR/root.sock.ready" || fail "no socket"

liar "$DIR/theirs/idle" "${as_nobody[@]}" "$LIAR" "$DIR/bin/liar.py" idle "${line[@]}"
opened=$(python3 -S "$TOP/tests/lib/opened.py" "$DIR/config" "$DIR/fifo" /dev/null -- "$BIN/vmferry" list --json "${liars[@]}" 2>"$DIR/list.json") ||
	fail "list fails: $(<"$DIR/list.json")"
assert_eq "${opened//\/dev\/null/}" "" "files that were opened" # /dev/null is everybody's
list >"$DIR/list"
! grep -q $'\033\|^vm1' "$DIR/list" || fail "a forged line: $(cat -v "$DIR/list")"
grep -qF "evil?[2J?vm1 (pid 1): 1 GiB (pid ${liars[0]})" "$DIR/list" || fail "it is not shown: $(cat -v "$DIR/list")"
grep -q "another user (.*uid 65534): run" "$DIR/list" || fail "list says: $(<"$DIR/list")"
python3 -S -c 'import json, sys
g, = json.load(open(sys.argv[1]))["guests"]
assert g["monitor"] == "foreign" and not g["movable"] and g["disks"] == [] and "qmp" not in g, g' "$DIR/list.json" || fail "as JSON"
for command in status check migrate; do
	vmferry "$command" "${liars[0]}" local --disk-dir "$DIR" >"$DIR/out" 2>&1 && fail "$command accepts it"
done
[[ ! -e $DIR/root.sock.met ]] || fail "a socket that it names was connected to"

# with root's rights, but not root's doing
install -m 4755 "$LIAR" "$DIR/bin/setuid"
if [[ $(PYTHONHOME=$HOME_OF_PYTHON "${as_nobody[@]}" "$DIR/bin/setuid" -c 'import os; print(os.geteuid())') == 0 ]]; then
	line[0]=$DIR/theirs/setuid
	liar "$DIR/theirs/setuid" "${as_nobody[@]}" bash -c 'exec -a qemu-system-x86_64 "$@"' - "$DIR/bin/setuid" "$DIR/bin/liar.py" idle "${line[@]}"
	opened=$(python3 -S "$TOP/tests/lib/opened.py" "$DIR/config" "$DIR/fifo" -- "$BIN/vmferry" list 2>"$DIR/list") || fail "list fails"
	assert_eq "$opened" "" "files that were opened for a setuid program"
	unset 'liars[1]'
else
	echo "no setuid programs on this file system"
fi

# a guest of root's whose monitor was replaced by another user's
liar "$DIR/theirs/ear" "${as_nobody[@]}" "$LIAR" "$DIR/bin/liar.py" ear "$DIR/theirs/ear" "$DIR/theirs/ear.sock"
liars=()
liar "$DIR/theirs/own" "$LIAR" "$DIR/bin/liar.py" idle "$DIR/theirs/own" -name own -qmp "unix:$DIR/theirs/ear.sock,server=on,wait=off" \
	-readconfig "$DIR/fifo"
opened=$(python3 -S "$TOP/tests/lib/opened.py" "$DIR/fifo" -- "$BIN/vmferry" list "${liars[@]}" 2>"$DIR/list") || fail "list fails: $(<"$DIR/list")"
assert_eq "$opened" "" "files that a line of root's names, and are none that QEMU reads"
grep -q "served by another user (uid 65534)" "$DIR/list" || fail "list says: $(<"$DIR/list")"
[[ ! -s $DIR/theirs/ear.heard ]] || fail "it was told: $(<"$DIR/theirs/ear.heard")"

# a name of theirs does not stand in front of ours
theirs=$DIR/theirs/same
liar "$theirs" "${as_nobody[@]}" "$LIAR" "$DIR/bin/liar.py" idle "$theirs" -name own
vmferry status own >"$DIR/out" 2>&1 && fail "there is no move"
! grep -q "more than one guest" "$DIR/out" || fail "status says: $(<"$DIR/out")"

# a monitor without any sense
liars=()
liar "$DIR/empty" "$LIAR" "$DIR/bin/liar.py" empty "$DIR/empty" "$DIR/empty.sock" -name empty -qmp "unix:$DIR/empty.sock,server=on,wait=off"
list >"$DIR/list" 2>&1 || fail "list fails with status $?: $(<"$DIR/list")"
grep -q "QEMU does not tell its state" "$DIR/list" || fail "list says: $(<"$DIR/list")"

# root of a container: another pid namespace, in which a name means another file
inside() { # READY COMMAND...: liar(), whose process is the only child of what makes the namespaces
	liar "$@"
	container=$(pgrep -P "${liars[-1]}") || fail "nothing runs in the container"
}
if unshare --pid --fork true 2>/dev/null; then
	inside "$DIR/theirs/pid" unshare --pid --fork --kill-child "$LIAR" "$DIR/bin/liar.py" idle "$DIR/theirs/pid" -name own -readconfig "$DIR/config"
	opened=$(python3 -S "$TOP/tests/lib/opened.py" "$DIR/config" -- "$BIN/vmferry" list "$container" 2>"$DIR/list") || fail "list fails: $(<"$DIR/list")"
	assert_eq "$opened" "" "files that were opened for a container"
	grep -q "cannot be moved: its QEMU runs in a container" "$DIR/list" || fail "list says: $(<"$DIR/list")"
	vmferry status own >"$DIR/out" 2>&1 && fail "there is no move"
	! grep -q "more than one guest" "$DIR/out" || fail "status says: $(<"$DIR/out")"
else
	echo "skipped: a pid namespace cannot be made here"
fi
if unshare --user --map-root-user true 2>/dev/null; then
	inside "$DIR/theirs/user" bash -c '"$@" & wait' - unshare --user --map-root-user "$LIAR" "$DIR/bin/liar.py" idle "$DIR/theirs/user" -name own
	vmferry list "$container" >"$DIR/list" || fail "list fails"
	grep -q "cannot be moved: its QEMU runs in a container" "$DIR/list" || fail "list says: $(<"$DIR/list")"
else
	echo "skipped: a user namespace cannot be made here"
fi

# a guest with a mount namespace of its own is ours, but its files are only read where both namespaces have the same file
if unshare --mount true 2>/dev/null; then
	printf '[name]\nguest = "of-ours"\n' >"$DIR/named.cfg"
	printf '[name]\nguest = "of-its-own"\n' >"$DIR/other.cfg"
	mounts=(unshare --mount --propagation private bash -c 'mount --bind "$0/other.cfg" "$0/named.cfg" && exec "$@"' "$DIR" "$LIAR" "$DIR/bin/liar.py" idle)
	liar "$DIR/theirs/mount" "${mounts[@]}" "$DIR/theirs/mount" -readconfig "$DIR/named.cfg"
	vmferry list "${liars[-1]}" >"$DIR/list"
	grep -q "^qemu-${liars[-1]} (pid ${liars[-1]}): " "$DIR/list" || fail "list says: $(<"$DIR/list")"
	liar "$DIR/theirs/same-mount" unshare --mount "$LIAR" "$DIR/bin/liar.py" idle "$DIR/theirs/same-mount" -readconfig "$DIR/named.cfg"
	vmferry list "${liars[-1]}" >"$DIR/list"
	grep -q "^of-ours (pid ${liars[-1]}): " "$DIR/list" || fail "list says: $(<"$DIR/list")"
else
	echo "skipped: a mount namespace cannot be made here"
fi

# more of them than are looked at, with pids below that of root's guest
liar "$DIR/theirs/crowd" "${as_nobody[@]}" "$LIAR" "$DIR/bin/liar.py" crowd "$DIR/theirs/crowd" 1100 -name crowd
crowd=${liars[-1]}
NAME=${DIR##*/}-late
liar "$DIR/theirs/late" "$LIAR" "$DIR/bin/liar.py" idle "$DIR/theirs/late" -name "$NAME"
vmferry list "$NAME" >"$DIR/list" 2>"$DIR/err" || fail "list fails: $(<"$DIR/err")"
grep -q "^$NAME (pid ${liars[-1]}): " "$DIR/list" || fail "list says: $(<"$DIR/list")"
grep -q "not all of those are shown" "$DIR/err" || fail "list says nothing of those that it leaves out: $(<"$DIR/err")"
! vmferry list no-such-guest >/dev/null 2>"$DIR/err" || fail "it shows a guest that there is not"
! grep -q "no guest no-such-guest runs here" "$DIR/err" || fail "what cannot be told is told: $(<"$DIR/err")"
grep -q "cannot tell whether guest no-such-guest runs here" "$DIR/err" || fail "list says: $(<"$DIR/err")"
truncate -s 1M "$DIR/other.raw"
vmferry import "$DIR/other.raw" --name "$NAME" --qemu "$QEMU" --dry-run >"$DIR/out" 2>&1 && fail "another guest of that name may be made"
grep -q "a guest $NAME runs here already (pid ${liars[-1]})" "$DIR/out" || fail "import says: $(<"$DIR/out")"
kill "$crowd"
wait_for 60 eval '[[ -z $(pgrep -f "^$LIAR .* crowd ") ]]' || fail "the crowd does not end"
