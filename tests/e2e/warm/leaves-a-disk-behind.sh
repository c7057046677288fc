#!/bin/bash
# A disk of a guest that is moved warm is left behind: there it finds an empty one of the same size and format, here nothing of it is touched, and
# no later move takes it for an old copy that may go. A move that fails leaves no empty one.
# tier: gate
. "$(dirname "$0")/../../lib/warm.sh"

mkdir "$DIR/src"
head -c 8M /dev/urandom >"$DIR/src/a.raw"
head -c 9M /dev/urandom >"$DIR/src/c.raw"
"$QEMU_IMG" create -q -f qcow2 -o cluster_size=32k "$DIR/src/b.qcow2" 32M
"$QEMU_IO" -f qcow2 -c 'write -P 0x11 20M 8M' "$DIR/src/b.qcow2" >/dev/null
"$QEMU_IMG" snapshot -c before "$DIR/src/b.qcow2"
"$QEMU_IMG" create -q -f qcow2 -b b.qcow2 -F qcow2 "$DIR/src/d.qcow2"
cp -a "$DIR/src" "$DIR/was"
MEM=128 WITNESS="ram_mb=8 rate=100 disks=vda disk_mb=4 disk_rate=20 button=1" \
	tiny_start a $(guest_drive d0 "$DIR/src/a.raw" raw) $(guest_drive d1 "$DIR/src/b.qcow2" qcow2) $(guest_drive d2 "$DIR/src/c.raw" raw) \
	$(second_monitor a)

refused() { # PATTERN OPTION...
	move_refused "$1" local "${@:2}"
	assert_eq "$(status_of "$(free_monitor a)")" running "run state"
	assert_eq "$(ls -A "$TO")" "" "what is at the destination"
}

assert_left_as_it_was() { # here
	assert_same_content "$DIR/was/b.qcow2" qcow2 "$DIR/src/b.qcow2" qcow2
	cmp "$DIR/was/c.raw" "$DIR/src/c.raw" || fail "c.raw here is another now"
}

assert_is_empty() { # FILE FORMAT BYTES: the whole of a disk that holds nothing
	[[ -f $1 ]] || fail "there is no $1"
	"$QEMU_IMG" create -q -f raw "$DIR/nothing" "$3"
	assert_same_content "$DIR/nothing" raw "$1" "$2"
	assert_eq "$("$QEMU_IMG" info -U -f "$2" --output json "$1" | python3 -S -c 'import json, sys; print(json.load(sys.stdin)["virtual-size"])')" "$3" "$1"
	[[ $(allocated "$1") -lt 1000000 ]] || fail "it occupies $(allocated "$1") bytes"
}

refused 'empty disk cannot take the place of .*/b.qcow2.*a guest that runs on needs what is in it' --disk d1=empty
refused 'empty disk cannot take the place of .*/b.qcow2.*nothing of it would be brought' --only-disks --disk d1=empty
refused 'all disks of the guest would be left behind' --how warm --disk d0=empty --disk d1=empty --disk d2=empty
refused 'disk .*/b.qcow2 is left behind, and an old copy of it would serve nothing' --how warm --disk d1=empty --reuse "d1=$DIR/was/b.qcow2"
refused 'no disk of this guest is called d7' --how warm --disk d1=empty --disk d7=empty
vmferry migrate "${GUEST_PID[a]}" local --how warm --dry-run --disk-dir "$TO" --disk d1=empty --disk d2=empty &>"$DIR/plan"
grep -q "src/b.qcow2 (qcow2) is left behind -> $TO/b.qcow2, an empty one of 32.0 MiB" "$DIR/plan" || fail "the plan: $(<"$DIR/plan")"
assert_eq "$(ls -A "$TO")" "" "what a plan leaves"
vmferry migrate "${GUEST_PID[a]}" local --how warm --script --disk-dir "$TO" --disk d1=empty --disk c.raw=empty >"$DIR/script"
grep -q -e "--disk $DIR/src/b.qcow2=empty" "$DIR/script" && grep -q -e "--disk $DIR/src/c.raw=empty" "$DIR/script" || fail "the script: $(<"$DIR/script")"

# Files of a move that fails go, though the rest is kept.
move_start a local --how warm --disk d1=empty --disk d2=empty --hold
wait_event 'ev["event"] == "notice" and "vmferry switch" in ev["text"]' >/dev/null
[[ -e $TO/b.qcow2 ]] || fail "it is not there yet"
kill -TERM "$MOVE_PID"
move_wait 1
assert_eq "$(ls -A "$TO")" "" "left of a move that was cancelled"

move_start a local --how warm --disk d1=empty --disk d2=empty
move_wait
assert_is_empty "$TO/b.qcow2" qcow2 $((32 << 20))
assert_is_empty "$TO/c.raw" raw $((9 << 20))
assert_eq "$("$QEMU_IMG" info -U --output json "$TO/b.qcow2" | python3 -S -c 'import json, sys; print(json.load(sys.stdin)["cluster-size"])')" 32768 "its clusters"
assert_result '[d["node"] for d in r["disks"]] == [d["node"] for d in r["disks"] if d["from"].endswith("/a.raw")]' "disks that were copied"
wait_for 60 grep -aq '^witness ready' "$TO/a.console" || fail "it does not boot there"
goes_on a
assert_left_as_it_was
assert_eq "$(qmp "$(free_monitor a)" '{"execute": "query-block"}' | grep -o "$TO/[abc][.a-z0-9]*" | sort -u | xargs)" "$TO/a.raw $TO/b.qcow2 $TO/c.raw" "its disks"

# Back again: what was left behind is nobody's old copy.
from=$TO
move_start a local --how warm --disk-dir "$DIR/src" --reuse auto
move_wait 3
assert_result '"src/b.qcow2 exists already at the destination" in r["reason"]'
assert_left_as_it_was
move_start a local --how warm --disk "d0=$DIR/src/a.raw" --reuse auto
move_wait
wait_for 60 grep -aq '^witness ready' "$TO/a.console" || fail "it does not boot here again"
goes_on a
assert_left_as_it_was
assert_nothing_unfinished
