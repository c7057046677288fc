#!/bin/bash
# Units that --install-unit once made are down and enabled. The one's script starts another guest of the name of the guest that is moved, from a
# disk of its own, beside a medium that both read: it is left as it is. Another's starts the guest that is moved, or may do so, as its disk is
# behind a network: it is disabled.
. "$(dirname "$0")/../../lib/systemd.sh"

start_by_hand() { # NAME
	guest_disk "$DIR/$1.raw" raw 16M
	WITNESS="ram_mb=8 rate=100 disks=vda disk_mb=8 disk_rate=20" tiny_start "$1" $(guest_drive d0 "$DIR/$1.raw" raw) \
		-drive if=none,id=cd,media=cdrom,readonly=on,file="$DIR/shared.iso",format=raw -device ide-cd,drive=cd
}

unit_with_script() { # NAME DISK[,OPTIONS]
	printf '%s\n' '#!/bin/sh' 'cd / || exit' "exec qemu-system-x86_64 -name $1 -drive file=$2,format=raw -cdrom $DIR/shared.iso" >"$DIR/$1.sh"
	printf '%s\n' '[Service]' "ExecStart=/bin/sh $DIR/$1.sh" '[Install]' WantedBy=default.target >"$UNITS/vmferry-$1.service"
	"${SYSTEMCTL[@]}" daemon-reload
	"${SYSTEMCTL[@]}" enable -q "vmferry-$1.service"
}

truncate -s 1M "$DIR/shared.iso"
unit_with_script b "$DIR/others.raw"
unit_with_script c "$DIR/c.raw"
unit_with_script e nbd://127.0.0.1:1/e
before=$(unit_as_it_is vmferry-b.service)
start_by_hand b
move b local
assert_result 'any("unit vmferry-b.service starts another guest, and is left as it is" in x for x in plan["afterwards"]) and r["disabled"] == []'
assert_eq "$(unit_as_it_is vmferry-b.service)" "$before" "the unit"
for name in c e; do
	start_by_hand "$name"
	move "$name" local
	assert_eq "$(result 'r["disabled"][0]["unit"]')" "vmferry-$name.service"
	assert_eq "$(show UnitFileState "vmferry-$name.service")" disabled "the unit"
done
