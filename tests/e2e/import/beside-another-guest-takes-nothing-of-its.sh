#!/bin/bash
# Guests out of one bundle can be in one directory: sockets, logs and pidfiles are each one's own, also of one that was not started yet. What gets such a
# name while the disks are made is somebody else's, and stays: the import fails.
. "$(dirname "$0")/../../lib/export.sh"

LOG=$ID-one.raw.log # a file named as if it belonged to the disk
head -c 1M /dev/urandom >"$DIR/a.raw"
vmferry export "$DIR/bundle" -- "$QEMU" -accel tcg -machine q35 -m 64 -name "$A" -display none -nodefaults \
	-drive file="$DIR/a.raw,format=raw,if=virtio" -qmp "unix:$DIR/$A.qmp,server=on,wait=off" -pidfile "$DIR/$A.pid" -D "$DIR/$LOG" \
	>"$DIR/export.out" 2>"$DIR/export.err" || fail "$(<"$DIR/export.err")"

name_of() { # SOCKET
	qmp "$1" '{"execute": "query-name"}' | grep -o "$ID-[a-z]*"
}

imports "$DIR/bundle" --name "$ID-one" --clone # the imported guest is not started
imports "$DIR/bundle" --name "$ID-two" --clone --paused
two=$IMPORTED
imports "$DIR/bundle" --name "$ID-three" --clone --paused
three=$IMPORTED
"$VMS/$ID-one.sh" </dev/null >"$DIR/one.log" 2>&1 &
one=$!
kill_at_exit $one
wait_for 60 eval '[[ $(status_of "$VMS/$A.qmp" 2>/dev/null) == running ]]' || fail "the first does not start: $(<"$DIR/one.log")"
assert_eq "$(name_of "$VMS/$A.qmp")" "$ID-one" "whose monitor has the name that it had"
for name in two three; do
	assert_eq "$(name_of "$VMS/$ID-$name-$A.qmp")" "$ID-$name" "whose monitor has a name of its own"
	assert_eq "$(<"$VMS/$ID-$name-$A.pid")" "${!name}" "its pidfile"
done
for pid in $one $two $three; do end_process "$pid"; done
rm "$VMS"/*

# named by somebody else while its disks are made
tar -C "$DIR/bundle" --format=ustar -cf "$DIR/bundle.tar" vmferry-bundle.json README disk0.qcow2
mkfifo "$DIR/slow"
vmferry import - --disk-dir "$VMS" --start <"$DIR/slow" >"$DIR/import.out" 2>"$DIR/import.err" &
importer=$!
kill_at_exit $importer
exec 8>"$DIR/slow"
head -c 20000 "$DIR/bundle.tar" >&8
wait_for 60 grep -q 'importing guest' "$DIR/import.out" || fail "it does not begin: $(<"$DIR/import.err")"
python3 -S -c 'import signal, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); signal.pause()' "$VMS/$A.qmp" 8>&- &
kill_at_exit $!
wait_for 60 test -S "$VMS/$A.qmp" || fail "there is no other"
echo theirs >"$VMS/$LOG"
tail -c +20001 "$DIR/bundle.tar" >&8
exec 8>&-
status=0
wait $importer || status=$?
assert_eq $status 1 "exit code where somebody else has taken a name ($(<"$DIR/import.err"))"
says "$A.* is there already.*; nothing is left behind" "$DIR/import.err"
assert_eq "$(ls -A "$VMS" | xargs)" "$A.qmp $LOG" "what is left"
assert_eq "$(<"$VMS/$LOG")" theirs "the log of somebody else"
