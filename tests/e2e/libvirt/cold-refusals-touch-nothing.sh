#!/bin/bash
# A libvirt guest that cannot go cold is refused with a sentence, and nothing is touched at either end: neither the definitions of either
# libvirt, nor a file. A client that changes the guest, or starts it, while it is moved is noticed or refused; a network that is missing
# there keeps no guest from going.
# takes: 50
# tier: gate
export TINY=yes MEM=32
. "$(dirname "$0")/../../lib/libvirt-move.sh"

libvirt_host a
libvirt_host b
at_a=$(libvirt_at a "$LIBVIRT_GUESTS") at_b=$(libvirt_at b "$LIBVIRT_GUESTS")
NAME=news-$$ # unique: QEMUs of this machine are found by name from everywhere
image=$LIBVIRT_GUESTS/news.raw

v() { # HOST VIRSH'S WORDS...
	libvirt_in "$1" virsh -q "${@:2}" >/dev/null || fail "virsh at $1: ${*:2}"
}

all_of() { # HOST: its books and its files
	defined_at "$1"
	for name in $(defined_at "$1"); do
		libvirt_in "$1" virsh dumpxml --security-info --inactive "$name"
		libvirt_in "$1" virsh dominfo "$name" | grep -E 'Autostart|Persistent|State|Managed'
		libvirt_in "$1" virsh -q snapshot-list "$name" --tree
	done
	(cd "$(libvirt_at "$1" "$LIBVIRT_GUESTS")" && find . -type f -exec md5sum {} + | sort)
	find "$DIR/state-$1" \( -name '*.journal' -o -name '*definition' -o -name 'libvirt-*' \)
}

remember() {
	all_of a >"$DIR/all-a"
	all_of b >"$DIR/all-b"
}

assert_untouched() {
	all_of a | diff "$DIR/all-a" - || fail "changed at the source"
	all_of b | diff "$DIR/all-b" - || fail "changed at the destination"
}

refused() { # PATTERN [OPTION...]: of the guest as it is now, which `check` says, too
	local status=0
	remember
	vmferry_at a check "$NAME" "${ADDRESS_AT[b]}" --how cold "${@:2}" >"$DIR/check" 2>&1 || status=$?
	assert_eq "$status" 3 "exit code of check, for $1 ($(tail -n 1 "$DIR/check"))"
	grep -q -- "$1" "$DIR/check" || fail "check does not say '$1': $(cat "$DIR/check")"
	libvirt_move a b "$NAME" 3 --how cold "${@:2}"
	result 'r["reason"]' | says -- "$1" || fail "not '$1': $(result 'r["reason"]')"
	assert_untouched
}

head -c 2M /dev/urandom >"$at_a/news.raw"
WITNESS="ram_mb=4 rate=0" libvirt_define a "$NAME" "$image:raw"
v a autostart $NAME
listen_at a
listen_at b

# Options that are refused.
refused '--map-net cannot be given for a guest of libvirt' --map-net net0=bridge:br0
refused '--machine cannot be given for a guest of libvirt' --machine q35
refused '--install-unit is for guests that a script starts' --install-unit

# A name is libvirt's alone, if that is said: not a file's, nor a pid; and whoever else runs by it is left alone.
only_off() { # STATUS PATTERN NAME
	local status=0
	remember
	vmferry_at a check "$3" "${ADDRESS_AT[b]}" --how cold --only-off >"$DIR/check" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of check --only-off $3 ($(tail -n 1 "$DIR/check"))"
	grep -q -- "$2" "$DIR/check" || fail "check does not say '$2': $(<"$DIR/check")"
	assert_untouched
}
cd "$DIR" # the directory of the file
"$QEMU" -name $NAME -machine none -display none -nodefaults -S &
twin=$!
kill_at_exit $twin
wait_for 60 grep -aq -- -name "/proc/$twin/cmdline"
only_off 3 "a guest $NAME runs here" $NAME
"$QEMU_IMG" create -q -f qcow2 "$at_a/digits.qcow2" 1M
libvirt_define a $twin "$LIBVIRT_GUESTS/digits.qcow2:qcow2"
only_off 0 'shut down' $twin
v a undefine $twin
only_off 3 "libvirt here has no guest $twin that is shut down" $twin
kill -KILL $twin
touch "$DIR/$NAME"
only_off 0 'shut down' $NAME
rm "$DIR/$NAME" "$at_a/digits.qcow2"
cd "$TOP"

# Obstacles at the destination.
libvirt_xml "$NAME" >"$DIR/other.xml"
v b define "$DIR/other.xml"
refused "libvirt has another guest $NAME at the destination already"
v b undefine $NAME
libvirt_xml other | sed "s|<memory |<uuid>$(libvirt_in a virsh domuuid $NAME | xargs)</uuid>&|" >"$DIR/other.xml"
v b define "$DIR/other.xml"
refused 'libvirt has a guest with the UUID .* at the destination already'
v b undefine other
remember
kill -STOP "${LIBVIRT_DAEMON[b]}" # the socket exists, but libvirtd does not answer
libvirt_move a b "$NAME" 3 --how cold
result 'r["reason"]' | says 'libvirt does not answer at /run/libvirt' || fail "a libvirt that hangs there: $(result 'r["reason"]')"
kill -CONT "${LIBVIRT_DAEMON[b]}"
assert_untouched
libvirt_stop b
libvirt_move a b "$NAME" 3 --how cold
result 'r["reason"]' | says 'no libvirt runs at the destination' || fail "no libvirt there: $(result 'r["reason"]')"
libvirt_start_daemon b
assert_untouched

# Obstacles at the source: a disk that other guests may use; a checkpoint; a guest that runs, or was saved as it ran.
sed "s|<target dev='vda'|<shareable/>&|" "$DIR/$NAME.xml" >"$DIR/changed.xml"
uuid=$(libvirt_in a virsh domuuid $NAME | xargs)
with_uuid() { # XML
	sed "s|<memory |<uuid>$uuid</uuid>&|" "$1" >"$DIR/with-uuid.xml"
	v a define "$DIR/with-uuid.xml"
}
with_uuid "$DIR/changed.xml"
refused 'disk vda is one that other guests may use, too'
with_uuid "$DIR/$NAME.xml"
echo "<domaincheckpoint><name>monday</name><creationTime>1700000000</creationTime><disks><disk name='vda' checkpoint='bitmap'/></disks>
	$(libvirt_in a virsh dumpxml $NAME)</domaincheckpoint>" >"$DIR/checkpoint.xml"
v a checkpoint-create $NAME "$DIR/checkpoint.xml" --redefine
refused 'has 1 checkpoints, whose bitmaps would be lost'
v a checkpoint-delete $NAME monday --metadata
v a start $NAME
guest_adopt "$NAME" "$(<"$(libvirt_at a "/run/libvirt/qemu/$NAME.pid")")"
echo "<domainsnapshot><name>monday</name><creationTime>1700000000</creationTime><state>shutoff</state><disks><disk name='vda' snapshot='internal'/></disks>
	$(libvirt_in a virsh dumpxml --inactive $NAME)</domainsnapshot>" >"$DIR/snapshot.xml"
v a snapshot-create $NAME "$DIR/snapshot.xml" --redefine
libvirt_move a b "$NAME" 3
libvirt_in a env VMFERRY_STATE_DIR="$DIR/state-a" "$BIN/vmferry" list --json "$NAME" >"$DIR/list.json"
python3 -S -c 'import json, sys; g = json.load(open(sys.argv[1]))["guests"][0]
if (g["ram_bytes"], g["vcpus"], g["status"], g["movable"]) != (32 << 20, 1, "running", False): sys.exit(str(g))
if "knows of 1 snapshot" not in g["reasons"][0]["text"]: sys.exit(str(g))' "$DIR/list.json" || fail "list is wrong about libvirt's guest"
v a snapshot-delete $NAME monday --metadata
vmferry_at a check "$NAME" "${ADDRESS_AT[b]}" >"$DIR/kinds" 2>&1 || fail "check refuses one that runs: $(<"$DIR/kinds")"
grep -q -- '--how quick' "$DIR/kinds" && ! grep -q -- '--how warm' "$DIR/kinds" || fail "check names other ways than there are: $(<"$DIR/kinds")"
result 'r["reason"]' | says 'has 1 snapshot, with which libvirt lets no guest go as it runs: --how cold .*snapshot-delete, with --metadata.*--drop=snapshots' || fail "live: $(result 'r["reason"]')"
libvirt_move a b "$NAME" 3 --how warm
result 'r["reason"]' | says 'belongs to libvirt, whose guests go live, quick, or shut down' || fail "warm: $(result 'r["reason"]')"
v a managedsave $NAME
refused 'has a saved state (virsh managedsave)'
v a managedsave-remove $NAME

# A libvirt that hangs here, or has gone, is none that has the guest.
remember
kill -STOP "${LIBVIRT_DAEMON[a]}"
libvirt_move a b "$NAME" 3 --how cold
result 'r["reason"]' | says "cannot tell whether libvirt has a guest $NAME: .*does not answer" || fail "hung here: $(result 'r["reason"]')"
kill -CONT "${LIBVIRT_DAEMON[a]}"
assert_untouched

# While it is moved: somebody's other definition stays; a start fails, as its disk is locked.
before_it_is_undefined() { # MOVE_PID is stopped there
	rm -f "$DIR/fault"
	VMFERRY_FAULT=src-definition-kept:stop:$DIR/fault libvirt_move_start a b "$NAME" --how cold
	wait_for 60 eval '[[ -s $DIR/fault && $(sed "s/.*) \(.\).*/\1/" "/proc/$MOVE_PID/stat") == T ]]' || fail "the definition is not kept"
}
goes_on() { # STATUS
	kill -CONT "$MOVE_PID"
	libvirt_move_wait "$1"
	wait_for 20 eval '[[ -z $(find "$at_b" -type f) ]]' || true
}
before_it_is_undefined
sed 's|<memory unit=.MiB.>32|<memory unit="MiB">48|' "$DIR/$NAME.xml" >"$DIR/more.xml"
with_uuid "$DIR/more.xml"
goes_on 1
result 'r["reason"]' | says "the definition of guest $NAME was changed (virsh edit)" || fail "changed: $(result 'r["reason"]')"
libvirt_in a virsh dumpxml $NAME | says "<memory unit='KiB'>49152" || fail "somebody's change is lost"
with_uuid "$DIR/$NAME.xml"
assert_untouched
before_it_is_undefined
! libvirt_in a virsh start $NAME >"$DIR/start" 2>&1 || fail "it starts while it is moved"
grep -q 'lock' "$DIR/start" || fail "virsh start says: $(cat "$DIR/start")"
kill -TERM "$MOVE_PID"
goes_on 1
assert_untouched
before_it_is_undefined
v a undefine $NAME
goes_on 1
assert_eq "$(defined_at a) - $(defined_at b)" " - " "somebody undefined it"
with_uuid "$DIR/$NAME.xml"
v a autostart $NAME
assert_untouched

# A network that is missing there.
sed "s|<memballoon|<interface type='network'><source network='office'/><model type='virtio'/></interface>&|" "$DIR/$NAME.xml" >"$DIR/net.xml"
with_uuid "$DIR/net.xml"
libvirt_move a b "$NAME" 0 --how cold
assert_result 'any("libvirt has no network office (it has: none)" in c for c in plan["cautions"])'
assert_is_at b a "$NAME"
assert_nothing_unfinished

# However many strangers call themselves QEMU, libvirt tells whether its guest runs.
mkfifo "$DIR/end"
exec {end}<>"$DIR/end"
cp /bin/bash "$DIR/qemu-system-x86_64"
exec {program}<"$DIR/qemu-system-x86_64" # a program that another user may run, wherever it lies
setsid setpriv --reuid=65534 --regid=65534 --clear-groups "/proc/self/fd/$program" -c 'for ((i = 0; i < 1100; i++)); do read -r <&"$0" & done; wait' "$end" </dev/null >/dev/null 2>&1 &
crowd=$!
at_exit "kill -KILL -- -$crowd"
wait_for 60 eval '[[ $(pgrep -c -u 65534 -f "^/proc/self/fd/$program -c ") -ge 1100 ]]' || fail "there is no crowd"
vmferry_at b check "$NAME" "${ADDRESS_AT[a]}" --how cold --reuse auto >"$DIR/check" 2>&1 || fail "strangers keep it from going: $(tail -n 2 "$DIR/check")"
