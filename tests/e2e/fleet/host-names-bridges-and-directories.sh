#!/bin/bash
# A host's file says what its bridges are called at every host, so that a guest finds its network behind a bridge of another name; where disks of guests that
# come go, of which --disk-dir auto takes the one with most room; and how much memory stays free.
# tier: check-all
. "$(dirname "$0")/../../lib/over-ssh.sh"
[[ -w /dev/net/tun ]] || skip "no /dev/net/tun"
hosts_start

on_a ip link add br0 type bridge
on_b ip link add vm-lan type bridge
for host in on_a on_b; do "$host" mount -t sysfs sysfs /sys; done # each host's sysfs shows its own network
on_a ip link set br0 up
on_b ip link set vm-lan up
printf '#!/bin/sh\nexec python3 -S "%s" "%s" "$@"\n' "$TOP/tests/lib/bridge-helper.py" "$VM/helper.log" >"$VM/helper"
chmod 755 "$VM/helper"
cp -p "$VM/helper" "$(there "$VM/helper")"
ssh_guest a -netdev "bridge,id=n0,br=br0,helper=$VM/helper" -device virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56

on_b mkdir "$VM/small" "$VM/large"
on_b mount -n -t tmpfs -o size=40M small "$VM/small"
on_b mount -n -t tmpfs -o size=90M large "$VM/large"
export VMFERRY_HOST=$DIR/host-a
printf 'net br0 lan\n' >"$DIR/host-a"
printf 'net other dmz\ndisk-dir %s/small/%%n\ndisk-dir %s/large/%%n\nkeep-memory 100T\n' "$VM" "$VM" >"$DIR/host-b"
DST_ON=(nsenter -t "$HOST_B" -n -m -u env "VMFERRY_HOST=$DIR/host-b") DST_AT=$B_ADDRESS
on_b umount -n "$BIN" # this one stands there
listen_dst --plaintext
MOVE=("$DST_ADDRESS" --plaintext --disk-dir auto)

ssh_move_start a "${MOVE[@]}"
move_wait 3
assert_result '"NIC n0 is attached to bridge br0, and there is no such bridge at the destination" in r["reason"]'
assert_result '"100 TiB stay free (keep-memory in /etc/vmferry/host)" in r["reason"]'

printf 'net other dmz\nnet vm-lan lan\ndisk-dir %s/small/%%n\ndisk-dir %s/large/%%n\n' "$VM" "$VM" >"$DIR/host-b"
DISK_DIR=$VM/large/a ssh_move a "${MOVE[@]}"
GUEST_AT[a]=$(there "$VM") # the guest's sockets have kept their names
[[ -s $(there "$VM/large/a/a.raw") ]] || fail "its disk is not there"
assert_result '[(n["attach"], n["to_type"], n["to_attach"]) for n in plan["nics"]] == [("br0", "bridge", "vm-lan")]'
assert_result "plan['disks'][0]['to'] == '$VM/large/a/a.raw'"
guest_verify "$(orders a)" blocks
[[ -n $(on_b ip -o link show master vm-lan) ]] || fail "the guest is not on its bridge: $(on_b ip -o link)"

rm "$VMFERRY_HOST"
on_a true
printf 'in 2\n' >"$DIR/host-b"
ssh_guest b
ssh_move_start b "${MOVE[@]}"
move_wait 3
assert_result '"/etc/vmferry/host at the destination names no directory that is there" in r["reason"]'
