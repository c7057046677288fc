#!/bin/bash
# Changes of a libvirt guest's devices that others make at the destination before libvirt there defines it: an image that it has got by then
# (a snapshot, a copy that was pivoted to) is in its definition, so that it never starts from an old one, and devices that were attached for
# now only are reported.
# timeout: 300
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"

order() { # WORDS...
	"${ON[@]}" "$BIN/vmferry" "$@" </dev/null
}

moved_for_now() {
	to_listener
	libvirt_live_start "$DEST" --revert-within 1h
	wait_event 'ev["event"] == "notice" and "vmferry revert '"$NAME"'" in ev["text"]' >/dev/null
	kill_at_exit "$(cat "$(libvirt_at b "/run/libvirt/qemu/$NAME.pid")")"
}

snapshot_there() {
	libvirt_in b virsh -q snapshot-create-as "$NAME" later --disk-only --diskspec "vda,file=$LIBVIRT_GUESTS/later.qcow2" --diskspec vdb,snapshot=no >/dev/null
}

sources_of() { # prints the files of its disks, at its next start; with "live" now
	libvirt_in b virsh -q domblklist "$NAME" $([[ ${1:-} == live ]] || echo --inactive) | awk '{ print $1 "=" $2 }' | xargs
}

has_gone_on_with() { # IMAGE of vda
	local was="vda=$LIBVIRT_GUESTS/$1 vdb=$LIBVIRT_GUESTS/b.raw"
	assert_eq "$(libvirt_in b virsh dominfo "$NAME" | grep -E '^(Autostart|Persistent):' | tr -s ' ' | xargs)" "Persistent: yes Autostart: enable" "what libvirt has of it"
	assert_eq "$(sources_of)" "$was" "its disks at its next start"
	guest_adopt "$NAME" "$(qemus)"
	GUEST_AT[$NAME]=$(libvirt_at b "$LIBVIRT_GUESTS")
	guest_verify "$(orders "$NAME")"
	libvirt_in b virsh -q destroy "$NAME" >/dev/null
	libvirt_in b virsh -q start "$NAME" >/dev/null
	assert_eq "$(sources_of live)" "$was" "the disks that it was started with"
	! libvirt_in b virsh dumpxml --inactive "$NAME" | grep -q '<backingStore' || fail "its definition says what an image is based on, which it did not"
	assert_nothing_unfinished
	libvirt_in b virsh -q destroy "$NAME" >/dev/null
	libvirt_in b virsh -q undefine "$NAME" --snapshots-metadata >/dev/null
}

libvirt_guest_runs

# A snapshot, and a disk and a card for now only, while it can be had back; then it is to stay.
moved_for_now
snapshot_there
truncate -s 1M "$(libvirt_at b "$LIBVIRT_GUESTS/c.raw")"
libvirt_in b virsh -q attach-disk "$NAME" "$LIBVIRT_GUESTS/c.raw" vdc --live >/dev/null
echo "<interface type='user'><mac address='52:54:00:00:00:77'/><model type='virtio'/></interface>" >"$DIR/card.xml"
libvirt_in b virsh -q attach-device "$NAME" "$DIR/card.xml" --live >/dev/null
order keep --no-wait "$NAME"
libvirt_cold_wait 0
result 'r["after_error"]' >"$DIR/told"
grep -q "gave the guest other images since it runs there .*disk vda is of <source file='$LIBVIRT_GUESTS/later.qcow2'/>; its definition as it came: /" "$DIR/told" || fail "$(<"$DIR/told")"
grep -q "changed the guest's devices since it runs there.*disk vdc was attached, interface 52:54:00:00:00:77 was attached" "$DIR/told" || fail "$(<"$DIR/told")"
! grep -q vdb "$DIR/told" || fail "$(<"$DIR/told")"
grep -q "guests/a.qcow2" "$(sed 's/.*as it came: \([^;]*\).*/\1/' "$DIR/told")" || fail "the definition as it came is not kept"
has_gone_on_with later.qcow2
libvirt_guest_again

# A move that is not to be had back, between the guest's start there and its definition.
to_local
fault after-DST_STARTED stop
to_listener
libvirt_live_start "$DEST"
fault_wait
snapshot_there
fault_continue
libvirt_cold_wait 0
has_gone_on_with later.qcow2
libvirt_guest_again

# A copy that was pivoted to, of another format.
moved_for_now
libvirt_in b virsh -q blockcopy "$NAME" vda "$LIBVIRT_GUESTS/copy.raw" --format raw --transient-job --wait --pivot >/dev/null
rm "$(libvirt_at b "$LIBVIRT_GUESTS/a.qcow2")"
order keep --no-wait "$NAME"
libvirt_cold_wait 0
has_gone_on_with copy.raw
