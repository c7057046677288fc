#!/bin/bash
# Two units that --install-unit once made are down and enabled. The one's script starts another guest of the name of the guest that is moved, from a
# disk of its own: it is left as it is. The other's starts the guest that is moved: it is disabled.
# timeout: 120
. "$(dirname "$0")/../lib/systemd.sh"

start_by_hand() { # NAME
	guest_disk "$DIR/$1.raw" raw 16M
	WITNESS="ram_mb=8 rate=100 disks=vda disk_mb=8 disk_rate=20" tiny_start "$1" $(guest_drive d0 "$DIR/$1.raw" raw)
}

unit_with_script() { # NAME DISK
	printf '%s\n' '#!/bin/sh' 'cd / || exit' "exec qemu-system-x86_64 -name $1 -drive file=$2,format=raw" >"$DIR/$1.sh"
	printf '%s\n' '[Service]' "ExecStart=/bin/sh $DIR/$1.sh" '[Install]' WantedBy=default.target >"$UNITS/vmferry-$1.service"
	"${SYSTEMCTL[@]}" daemon-reload
	"${SYSTEMCTL[@]}" enable -q "vmferry-$1.service"
}

unit_with_script b "$DIR/others.raw"
unit_with_script c "$DIR/c.raw"
before=$(unit_as_it_is vmferry-b.service)
start_by_hand b
move b local
assert_result 'any("unit vmferry-b.service starts another guest, and is left as it is" in x for x in plan["afterwards"]) and r["disabled"] == []'
assert_eq "$(unit_as_it_is vmferry-b.service)" "$before" "the unit"
start_by_hand c
move c local
assert_eq "$(result 'r["disabled"][0]["unit"]')" vmferry-c.service
assert_eq "$(show UnitFileState vmferry-c.service)" disabled "the unit"
