#!/bin/bash
# A guest that was started with -readconfig and -set, and whose NICs are attached to something else at the destination.
. "$(dirname "$0")/../../lib/move.sh"

guest_disk "$DIR/a.raw" raw 32M
cat >"$DIR/a.cfg" <<END
[drive "d0"]
  file = "$DIR/a.raw"
  format = "raw"
  if = "none"
[device "d0-dev"]
  driver = "virtio-blk-pci"
  drive = "d0"
[netdev "n0"]
  type = "user"
[device "nic0"]
  driver = "virtio-net-pci"
  netdev = "n0"
END
MEM=256 WITNESS="ram_mb=32 disks=vda disk_mb=8 disk_rate=100" guest_start a -readconfig "$DIR/a.cfg" \
	-set drive.d0.discard=unmap -netdev '{"type": "user", "id": "n1"}' -device '{"driver": "e1000", "netdev": "n1", "mac": "52:54:00:00:00:07"}'

move_start a local --map-net 52:54:00:00:00:99=none
move_wait 3
assert_result '"the guest has no NIC 52:54:00:00:00:99; it has: n0, n1" in r["reason"]'

move_start a local --map-net nic0=none --map-net 52:54:00:00:00:07=as-is
move_wait
assert_result 'not any("readconfig" in w or w == "-set" for w in plan["command_line"])'
assert_result 'any(w.startswith("hubport,id=n0") for w in plan["command_line"])'
assert_result 'any("network n0 (user here) is attached to nothing" in n for n in plan["notes"])'
guest_verify "$(orders a)" blocks

# a further move
move a local --map-net n0=user
guest_verify "$(orders a)" blocks
