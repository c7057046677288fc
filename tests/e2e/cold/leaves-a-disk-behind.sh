#!/bin/bash
# Disks of a guest that is shut down are left behind: there are empty ones of the same size and format in their place, to the byte, and they are
# there after a power failure, too, if that was promised.
. "$(dirname "$0")/../../lib/cold.sh"

BIN=$BIN/shared
[[ -x $BIN/vmferry-dst ]] || fail "there is no $BIN: make tests"
IMAGES='a.raw e.qcow2 f.raw'

mkdir "$DIR/images"
head -c 3M /dev/urandom >"$DIR/images/f.raw"
head -c 5000000 /dev/urandom >"$DIR/images/a.raw"
printf x >>"$DIR/images/a.raw"
"$QEMU_IMG" create -q -f qcow2 "$DIR/images/e.qcow2" 24M
"$QEMU_IO" -f qcow2 -c 'write -P 0x11 1M 3M' "$DIR/images/e.qcow2" >/dev/null
"$QEMU_IMG" snapshot -c before "$DIR/images/e.qcow2"
make_script() {
	cat >"$1/a.sh" <<-END
		#!/bin/sh
		exec $QEMU -accel tcg -machine q35 -m 64 -name a -display none -nodefaults -no-user-config \\
		    -drive file=$1/f.raw,format=raw,if=virtio \\
		    -drive file=$1/e.qcow2,format=qcow2,if=virtio \\
		    -drive file=$1/a.raw,format=raw,if=virtio \\
		    -qmp unix:$1/a.qmp,server=on,wait=off
	END
	chmod 700 "$1/a.sh"
}

refused() { # PATTERN [OPTION...]
	cold_start "$DIR/src" local "${@:2}"
	cold_wait 3
	result 'r["reason"]' | grep -q "$1" || fail "not '$1': $(result 'r["reason"]')"
	assert_untouched
}

assert_empties() { # in TO
	[[ $(stat -c %s "$TO/a.raw") -eq 5000001 ]] || fail "a.raw has $(stat -c %s "$TO/a.raw") bytes"
	cmp -n 5000001 "$TO/a.raw" /dev/zero || fail "a.raw is not empty"
	"$QEMU_IMG" create -q -f raw "$DIR/nothing" 24M
	assert_same_content "$DIR/nothing" raw "$TO/e.qcow2" qcow2
	! "$QEMU_IMG" snapshot -l "$TO/e.qcow2" | grep -q before || fail "it has a snapshot"
	assert_sound "$TO/e.qcow2"
	cmp "$DIR/src/f.raw" "$TO/f.raw" || fail "f.raw is another there"
}

guest_at_rest
refused 'all disks of the guest would be left behind' --disk a.raw=empty --disk e.qcow2=empty --disk f.raw=empty
mkdir "$DIR/src/more"
make_images "$DIR/src/more"
sed -i "s|a.raw,format=raw,if=virtio|more/c.qcow2,format=qcow2,if=virtio|" "$DIR/src/a.sh"
cold_start "$DIR/src" local --disk c.qcow2=empty
cold_wait 3
assert_result '"take the place of" in r["reason"] and "it is encrypted by QEMU" in r["reason"]'
sed -i "s|more/c.qcow2|more/b.qcow2|" "$DIR/src/a.sh"
cold_start "$DIR/src" local --disk b.qcow2=empty
cold_wait 3
assert_result '"take the place of" in r["reason"] and "it has backing files" in r["reason"]'
make_script "$DIR/src"
rm -r "$DIR/src/more"

# Promised, and then the power fails: what was not synced is taken back (tests/lib/power-failure.h).
logs=$DIR/power
mkdir "$logs" "$DIR/disks"
fault after-DST_PREPARED stop
export POWER_ROOT="$DIR" POWER_LOGS="$logs"
LD_PRELOAD="$BIN/power.so" cold_start "$DIR/src" local --disk a.raw=empty --disk e.qcow2=empty
fault_wait
for pid in $MOVE_PID $(pgrep -f "^[^ ]*/vmferry-dst .*$DIR/"); do kill_now "$pid"; done
echo "$("$TOP/build/${VARIANT:-release}/power-tool" "$logs") changes are taken back"
assert_empties
unset POWER_ROOT POWER_LOGS
recover 1
assert_untouched

cold "$DIR/src" local --disk a.raw=empty --disk e.qcow2=empty
assert_empties
assert_result '[d["to"].rsplit("/", 1)[1] for d in r["disks"]] == ["f.raw"]' "disks that were copied"
(cd "$DIR/src" && md5sum --quiet -c "$DIR/sums") || fail "something was done to the files here"
"$TO/a.sh" </dev/null >"$DIR/a.out" 2>&1 &
kill_at_exit $!
wait_for 60 eval '[[ $(status_of "$MONITOR" 2>/dev/null) == running ]]' || fail "the guest does not start there: $(<"$DIR/a.out")"
assert_nothing_unfinished
