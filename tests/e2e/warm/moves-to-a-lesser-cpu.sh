#!/bin/bash
# The destination's QEMU gives a CPU without features that the guest has found: what runs cannot go there, and what boots there can.
. "$(dirname "$0")/../../lib/aftermath.sh"

real=$(readlink -f "$QEMU")
# What QEMU is started as at the destination is what /proc/PID/exe is: a copy that can be replaced.
copy=$DIR/tree/usr/bin/qemu-system-x86_64
root=
[[ $real == /usr/* ]] || root=${real%/bin/*}
mkdir -p "$DIR/tree/usr/bin" # it finds its libraries from where it lies
ln -s "$root/usr/lib" "$DIR/tree/usr/lib"
ln -s "$root/lib" "$DIR/tree/lib"
cp --reflink=auto "$root/usr/bin/qemu-system-x86_64" "$copy.real"
cp --reflink=auto "$copy.real" "$copy"
lib=$root/usr/lib/x86_64-linux-gnu
cat >"$DIR/run-qemu" <<-END
	#!/bin/sh
	export QEMU_MODULE_DIR=$lib/qemu
	exec "$copy" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "\$@"
END
chmod +x "$DIR/run-qemu"
head -c 8M /dev/urandom >"$DIR/a.raw"
QEMU=$DIR/run-qemu MEM=64 WITNESS="ram_mb=8 rate=100 disks=vda disk_rate=20 button=1" tiny_start a -cpu max,vendor=GenuineIntel \
	$(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)
SETTINGS=$(settings_of a)
rm "$copy"
printf '#!/bin/sh\ncase " $* " in *" -cpu "*) set -- "$@" -cpu max,vendor=AuthenticAMD,-sse4.1,-popcnt ;; esac\nexec "%s.real" "$@"\n' "$copy" >"$copy"
chmod +x "$copy"

move_start a local
move_wait 3
assert_result '"AuthenticAMD" in r["reason"] and any("--how warm" in n for n in notices)'
# Somebody else migrates it just now: then it is not to be shut down.
qmp "$(free_monitor a)" '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 100000}}' >/dev/null
qmp "$(free_monitor a)" '{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}' >/dev/null
move_start a local --how warm
move_wait 3
assert_result '"a migration of this guest is under way already" in r["reason"]'
qmp "$(free_monitor a)" '{"execute": "migrate_cancel"}' >/dev/null
qmp "$(free_monitor a)" '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 134217728}}' >/dev/null
wait_for 10 eval 'qmp "$(free_monitor a)" "{\"execute\": \"query-migrate\"}" | grep -q cancelled' || fail "it is not cancelled"
move a local --how warm
wait_for 60 grep -aq '^witness ready' "$TO/a.console" || fail "it does not boot there"
assert_moved
