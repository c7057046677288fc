#!/bin/bash
# A libvirt guest one disk of which both hosts see goes as it runs: that disk stays where it is, another one is copied, both verified from inside, and it belongs to
# QEMU's user whatever either libvirt does with it as it forgets the guest. A move that fails leaves it so. If somebody writes to the disk while the guest is
# handed over, its memory goes on nowhere.
# takes: 30
# tier: gate
export TINY=yes MACHINE=pc MEM=64 WITNESS="ram_mb=16 rate=500 disks=vda,vdb disk_mb=4 disk_rate=50"
. "$(dirname "$0")/../../lib/libvirt-move.sh"

export LIBVIRT_QEMU_USER=libvirt-qemu
LIBVIRT_QEMU_CONF="remember_owner = 0" # without extended attributes, which most file systems lack that hosts share
web=web-$$
libvirt_host a
libvirt_host b
G=$LIBVIRT_GUESTS
shared=$DIR/both/web.qcow2
mkdir "$DIR/both"
"$QEMU_IMG" create -q -f qcow2 "$shared" 8M
"$QEMU_IMG" create -q -f qcow2 "$(libvirt_at a "$G")/data.qcow2" 8M
libvirt_define a $web "$shared:qcow2" "$G/data.qcow2:qcow2"
libvirt_in a virsh dumpxml --inactive $web >"$DIR/before.xml"
libvirt_run a $web
listen_at a

is_qemus() {
	[[ $(stat -c %u "$shared") == 64055 && -z $(find "$DIR"/state-* -name '*.journal') ]]
}

is_gone() { # HOST
	[[ -z $(defined_at "$1") ]]
}

runs_at() { # HOST OTHER IMAGES: so many are left at the other
	wait_for 10 is_gone "$2" || true # libvirt forgets it a moment after its QEMU has ended
	assert_is_at "$1" "$2" $web
	assert_eq "$(libvirt_in "$1" virsh -q domstate $web)" running "the guest's state"
	libvirt_in "$1" virsh dumpxml --inactive $web | diff "$DIR/before.xml" - || fail "its definition has changed"
	guest_adopt $web "$(<"$(libvirt_at "$1" "/run/libvirt/qemu/$web.pid")")"
	GUEST_AT[$web]=$(libvirt_at "$1" "$G")
	guest_verify "$(orders $web)"
	wait_for 60 is_qemus || fail "the shared disk belongs to user $(stat -c %u "$shared")" # the destination's, after its last word
	assert_eq "$(find "$(libvirt_at "$2" "$G")" -name '*.qcow2' | wc -l)" "$3" "images at $2"
	assert_nothing_unfinished
}

# A move that fails: libvirt there has ended its QEMU, and given its images to root, or is away.
for point in dst-libvirt-prepared dst-libvirt-held; do
	VMFERRY_FAULT=$point:kill:$DIR/$point listen_at b
	libvirt_move a b $web 1
	[[ -s $DIR/$point ]] || fail "the destination did not die"
	runs_at a b 0
done

listen_at b
vmferry_at a check $web "${ADDRESS_AT[b]}" >"$DIR/check" 2>&1 || fail "check: $(<"$DIR/check")"
grep -qF "$shared (qcow2, 8.0 MiB) stays where it is" "$DIR/check" || fail "check: $(<"$DIR/check")"
libvirt_move a b $web 0
assert_result 'sorted(d["transfer"] for d in plan["disks"]) == ["copy", "shared"] and not any("/both/" in d["path"] for d in r["deletable"])'
runs_at b a 1

# Somebody writes to it while it is handed over.
VMFERRY_FAULT=before-DST_START:stop:$DIR/stopped listen_at a
libvirt_move_start b a $web --reuse auto
wait_for 60 test -s "$DIR/stopped"
wait_for 60 eval '[[ $(sed "s/.*) \(.\).*/\1/" "/proc/$(<"$DIR/stopped")/stat") == T ]]'
touch "$shared"
kill -CONT "$(<"$DIR/stopped")"
libvirt_move_wait 6
result 'r["reason"]' | says 'both hosts see' || fail "it says: $(result 'r["reason"]')"
assert_eq "$(sed 's/.*) \(.\).*/\1/' "/proc/${GUEST_PID[$web]}/stat")" T "the source's QEMU is held"
assert_eq "$(libvirt_in a virsh -q list --all --name | xargs)" "" "guests there"
