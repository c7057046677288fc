#!/bin/bash
# A plain guest that runs becomes one of libvirt's (--how cold --as libvirt): its disks go ahead while it runs, it is told to shut down, and libvirt at the
# destination defines and starts it, with all that it had written. One that does not go down runs on here, and libvirt has nothing of it.
export TINY=yes MEM=64
. "$(dirname "$0")/../../lib/libvirt-move.sh"

NAME=web-$$
libvirt_hold a # a host as the other one, without a libvirtd
LIBVIRT_PID[a]=${LIBVIRT_HELD[a]}
libvirt_find
mkdir "$DIR"/libvirt-{bin,helpers}
[[ -z $LIBVIRT_ROOT ]] || libvirt_wrap_all
at_exit libvirt_hosts_end
libvirt_furnish a
libvirt_host b
at_a=$(libvirt_at a "$LIBVIRT_GUESTS") at_b=$(libvirt_at b "$LIBVIRT_GUESTS")
listen_at a
listen_at b

begins() { # BUTTON: as the witness takes it
	rm -rf "${at_a:?}"/* "${at_b:?}"/*
	head -c 8M /dev/urandom >"$at_a/$NAME.raw"
	libvirt_way a
	"${LIBVIRT_WAY[@]}" "$QEMU" -name "$NAME" -machine pc -accel tcg -m 64 -nodefaults -display none -no-user-config \
		-kernel "$TOP/build/guest/tiny.elf" -append "$(WITNESS="ram_mb=4 rate=100 disks=vda disk_rate=20 disk_mb=8 button=$1" witness_words)" \
		-drive "file=$LIBVIRT_GUESTS/$NAME.raw,format=raw,if=virtio" \
		-serial "file:$LIBVIRT_GUESTS/$NAME.console" -serial "unix:$LIBVIRT_GUESTS/$NAME.orders,server=on,wait=off" \
		-qmp "unix:$LIBVIRT_GUESTS/$NAME.qmp,server=on,wait=off" </dev/null >/dev/null 2>&1 &
	guest_adopt "$NAME" "$!"
	GUEST_AT[$NAME]=$at_a
	wait_for 60 grep -aqs 'witness ready' "$at_a/$NAME.console" || fail "it does not come up"
}

begins 2 # the guest does not obey
libvirt_move a b "$NAME" 4 --how cold --as libvirt --qemu "$QEMU" --shutdown-timeout 1
assert_result '"did not shut down within 1 s" in r["reason"] and r["guest"] == "source"'
guest_verify "$(orders "$NAME")" blocks
assert_eq "$(defined_at b)" "" "guests of libvirt"
vmferry_at a recover "$NAME" >"$DIR/recover" 2>&1 || true # disks that have arrived were kept for the next move
assert_nothing_unfinished
end_process "${GUEST_PID[$NAME]}"

begins 1
libvirt_move a b "$NAME" 0 --how cold --as libvirt --qemu "$QEMU"
assert_result 'r["started"] and r["ahead"]["passes"] > 0 and r["disks"][0]["bytes_kept"] > 0 and r["verified"] and "after_error" not in r'
process_is_gone "${GUEST_PID[$NAME]}" || fail "it runs here yet"
assert_eq "$(defined_at b)" "$NAME" "guests of libvirt"
guest_adopt "$NAME" "$(<"$(libvirt_at b "/run/libvirt/qemu/$NAME.pid")")"
libvirt_in b virsh -q domstate "$NAME" | says running || fail "libvirt has not started it"
libvirt_in b virsh dumpxml "$NAME" >"$DIR/xml"
port=$(sed -n "/<serial type='pty'>/,/<.serial>/s/.*<source path='\(.*\)'.*/\1/p" "$DIR/xml" | sed -n 2p)
"$TOP/tests/lib/pty-relay.py" "$port" "$DIR/orders" 2>"$DIR/relay" &
kill_at_exit "$!"
wait_for 60 "$ASK" order "$DIR/orders" ping 1 >/dev/null 2>&1 || fail "it does not come up there: $(cat "$DIR/relay")"
guest_verify "$DIR/orders" blocks
assert_nothing_unfinished
