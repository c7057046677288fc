#!/bin/bash
# A guest with a database in ext4 is given another disk while it commits transactions. QEMU is killed right afterwards; what its script starts
# then has every transaction that it was told was there, and the old image has not.
. "$(dirname "$0")/../../lib/storage.sh"

rows() { # prints how many were checked
	local said
	said=$(guest_verify "$DIR/a.orders" blocks) || fail "the database is damaged"
	sed -n 's/.* blocks_checked=\([0-9]*\) .*/\1/p' <<<"$said"
}

mkdir "$DIR/src" "$DIR/new"
guest_ext4 "$DIR/src/a.raw" raw 64M
{
	printf '#!/bin/sh\ncd / || exit\nexec %s -accel tcg -machine q35 -m 256 -display none -nodefaults -no-user-config -name a' "$QEMU"
	printf ' \\\n    %s' "-serial file:$DIR/a.console -serial unix:$DIR/a.orders,server=on,wait=off" \
		"-qmp unix:$DIR/a.qmp,server=on,wait=off -qmp unix:$DIR/a.mon,server=on,wait=off" \
		"-kernel $TOP/build/guest/vmlinux -initrd $TOP/build/guest/initrd.img" \
		"-drive file=$DIR/src/a.raw,format=raw,if=virtio,cache=none,aio=native,discard=unmap" \
		"-append '$(WITNESS='ram_mb=8 rate=0 db=vda db_rate=0' guest_cmdline)'"
	echo
} >"$DIR/src/a.sh"
chmod 700 "$DIR/src/a.sh"
guest_from_script
wait_for 180 has_disk_ops a 200 || fail "the database takes no transactions"
storage "${GUEST_PID[a]}" --disk "a.raw=$DIR/new/a.qcow2" --format qcow2
wait_for 180 has_disk_ops a $(($(disk_ops a) + 200)) || fail "the database takes no transactions any more"
before=$(rows)
kill_now "${GUEST_PID[a]}"
guest_from_script
assert_eq "$(images_in_use)" "$DIR/new/a.qcow2" "its disk"
after=$(rows)
echo "rows: $before before, $after after"
[[ $before -gt 0 && $after -ge $before ]] || fail "rows are gone"
wait_for 60 has_disk_ops a 10 || fail "the database takes no more transactions"
grep -q 'format=qcow2,if=virtio,cache=none,aio=native,discard=unmap' "$DIR/src/a.sh" || fail "options of the disk: $(grep file= "$DIR/src/a.sh")"

# The old image has older contents.
kill_now "${GUEST_PID[a]}"
sed -i "s|file=$DIR/new/a.qcow2,format=qcow2|file=$DIR/src/a.raw,format=raw|" "$DIR/src/a.sh"
guest_from_script
[[ $(rows) -lt $before ]] || fail "the old image has what was written after it was left"
