#!/bin/bash
# A guest whose machine type the destination's QEMU does not have is refused while it runs on, with what to do instead; and one that boots there
# does so with the type that is asked for.
# takes: 6
. "$(dirname "$0")/../../lib/aftermath.sh"
other=$TOP/build/qemu72/bin/qemu-system-x86_64
[[ -x $other ]] || skip "no QEMU 7.2 at build/qemu72: run scripts/install-deps --cross"
QEMU=$(qemu_called 10.0)
to_local
TO=$DIR/there
mkdir "$TO"
refused() { # WORDS COMMAND...
	! vmferry "${@:2}" --disk-dir "$TO" --qemu "$other" >"$DIR/log" 2>&1 || fail "not refused: ${*:2}"
	grep -qE -- "$1" "$DIR/log" || fail "'$1' is not in: $(<"$DIR/log")"
	[[ -z $(ls -A "$TO") ]] || fail "left at the destination: $(ls -A "$TO")"
}

MACHINE=pc-q35-10.0 guest_a
vm=${GUEST_PID[a]}
refused "does not take this guest's machine type, pc-q35-10.0 .*very same.*--how warm --machine TYPE \(q35, which is pc-q35-7.2 there\)" check "$vm" local
refused "does not take this guest's machine type, pc-q35-10.0 .*boots there.*--machine TYPE \(q35, which is pc-q35-7.2 there\)" check "$vm" local --how warm
refused "does not take this guest's machine type, pc-q35-10.7 .*--machine TYPE \(q35, " check "$vm" local --how warm --machine pc-q35-10.7
refused '--machine is for a guest that boots there' migrate "$vm" local --machine q35
vmferry check "$vm" local --disk-dir "$TO" --qemu "$other" --how warm --machine q35 -v >"$DIR/log" 2>&1 ||
	fail "refused, though that QEMU has such a machine: $(<"$DIR/log")"
grep -q 'machine type pc-q35-10.0 becomes q35' "$DIR/log" || fail "the plan does not say so: $(<"$DIR/log")"
guest_stop a

cat >"$DIR/b.sh" <<END
#!/bin/sh
exec $QEMU -name b -accel tcg -machine pc-q35-10.0,smm=off -m 64 -display none -drive file=$DIR/a.raw,format=raw,if=virtio
END
chmod 700 "$DIR/b.sh"
refused "does not take this guest's machine type, pc-q35-10.0 .*boots there" migrate "$DIR/b.sh" local --how cold
vmferry migrate "$DIR/b.sh" local --how cold --disk-dir "$TO" --qemu "$other" --machine q35 >"$DIR/log" 2>&1 ||
	fail "$(tail -n 3 "$DIR/log")"
grep -q -- '-machine q35,smm=off' "$TO/b.sh" || fail "it has another machine there: $(<"$TO/b.sh")"
