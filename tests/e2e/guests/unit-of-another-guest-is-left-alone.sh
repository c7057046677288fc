#!/bin/bash
# The unit that --install-unit once made for a guest runs that guest; another of the same name, which was started by hand, is moved: the unit, and the guest
# that it runs, are left as they are.
. "$(dirname "$0")/../../lib/systemd.sh"

GUEST_NAME=b unit_guest a vmferry-b.service Restart=on-failure
before=$(unit_as_it_is vmferry-b.service)
guest_disk "$DIR/b.raw" raw 16M
WITNESS="ram_mb=8 rate=100 disks=vda disk_mb=8 disk_rate=20" tiny_start b $(guest_drive d0 "$DIR/b.raw" raw)
move_start b local
move_wait
assert_result 'any("unit vmferry-b.service runs another guest, and is left as it is" in x for x in plan["afterwards"]) and r["disabled"] == []'
assert_eq "$(unit_as_it_is vmferry-b.service)" "$before" "the unit"
guest_verify "$DIR/a.orders" blocks
