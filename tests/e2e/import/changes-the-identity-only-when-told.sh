#!/bin/bash
# A guest out of a bundle has the UUID, the addresses and the network of the original, and with --clone a new UUID, new addresses, and a new
# generation; --name changes its name alone, --net what its network cards are attached to. What would make it another machine is refused.
# tier: gate
. "$(dirname "$0")/../../lib/export.sh"

UUID=11111111-2222-3333-4444-555555555555
MAC=52:54:00:aa:bb:cc
head -c 1M /dev/urandom >"$DIR/a.raw"
vmferry export "$DIR/bundle" -- "$QEMU" -accel tcg -machine q35 -m 64 -name "$A,debug-threads=on" -display none -nodefaults -uuid $UUID \
	-smbios type=1,uuid=$UUID -drive file="$DIR/a.raw,format=raw,if=virtio" -netdev user,id=n0 \
	-device virtio-net-pci,netdev=n0,mac=$MAC -netdev user,id=n1 -device '{"driver":"e1000","netdev":"n1","id":"nic1"}' \
	-device vmgenid,guid=$UUID -qmp "unix:$DIR/$A.qmp,server=on,wait=off" \
	>"$DIR/export.out" 2>"$DIR/export.err" || fail "$(<"$DIR/export.err")"

line() { # prints the command line of the script
	cat "$VMS"/*.sh
}

uuid_of() {
	qmp "$VMS/$A.qmp" '{"execute": "query-uuid"}' | grep -oE '[0-9a-f-]{36}'
}

macs_of() { # in their order
	for path in /machine/peripheral/nic1 $(qmp "$VMS/$A.qmp" '{"execute": "qom-list", "arguments": {"path": "/machine/peripheral-anon"}}' |
		grep -oE 'device\[[0-9]+\]' | sed 's,^,/machine/peripheral-anon/,'); do
		qmp "$VMS/$A.qmp" "{\"execute\": \"qom-get\", \"arguments\": {\"path\": \"$path\", \"property\": \"mac\"}}" 2>/dev/null || true
	done | grep -oE '([0-9a-f]{2}:){5}[0-9a-f]{2}' | sort | xargs
}

imports "$DIR/bundle" --paused
assert_eq "$(uuid_of)" $UUID "UUID without --clone"
plain=$(macs_of)
[[ " $plain " == *" $MAC "* ]] || fail "without --clone its address is another: $plain"
assert_eq "$(qmp "$VMS/$A.qmp" '{"execute": "query-vm-generation-id"}' | grep -oE '[0-9a-f-]{36}')" $UUID "generation without --clone"
end_process "$IMPORTED"
rm "$VMS"/*

imports "$DIR/bundle" --name "$ID-new" --paused
assert_eq "$(uuid_of)" $UUID "UUID with --name"
assert_eq "$(macs_of)" "$plain" "addresses with --name"
line | grep -q "guest=$ID-new,debug-threads=on\|name $ID-new,debug-threads=on" || fail "its name: $(line)"
end_process "$IMPORTED"
rm "$VMS"/*

for n in 1 2; do
	imports "$DIR/bundle" --clone --paused
	[[ $(uuid_of) != "$UUID" ]] || fail "a clone has the same UUID"
	macs=$(macs_of)
	assert_eq "$(wc -w <<<"$macs")" 2 "network cards"
	for mac in $macs; do
		[[ " $plain " != *" $mac "* && $mac == 52:54:00:* ]] || fail "a clone has the address $mac"
	done
	[[ $(line) != *$UUID* && $(line) != *$MAC* ]] || fail "something of the original is on its line: $(line)"
	clones+=("$(uuid_of) $macs")
	end_process "$IMPORTED"
	rm "$VMS"/*
done
[[ ${clones[0]} != "${clones[1]}" ]] || fail "two clones are the same"

imports "$DIR/bundle" --net none --paused
[[ $(line) != *'-netdev user'* && $(line) == *"mac=$MAC"* ]] || fail "--net none: $(line)"
end_process "$IMPORTED"
rm "$VMS"/*

for option in "--memory 1G" "--cpus 2" "--firmware uefi" "--bus ide" "--format raw" "--accel tcg"; do
	refuses 3 "${option% *}: a bundle says what machine it is" "$DIR/bundle" $option
done

# how long a socket waits is said in the words of the QEMU that is to run it
OLDER=$(qemu_called 7.2)
if [[ -x $OLDER ]]; then
	vmferry export "$DIR/waits" -- "$QEMU" -accel tcg -machine q35 -m 64 -name "$ID-waits" -display none -nodefaults \
		-drive file="$DIR/a.raw,format=raw,if=virtio" -chardev socket,id=c,host=127.0.0.1,port=1,reconnect-ms=1500 -serial chardev:c \
		>"$DIR/export.out" 2>"$DIR/export.err" || fail "$(<"$DIR/export.err")"
	imports "$DIR/waits" --qemu "$OLDER" --paused
	[[ $(line) == *reconnect=2* && $(line) != *reconnect-ms* ]] || fail "the words of another QEMU: $(line)"
	end_process "$IMPORTED"
	rm "$VMS"/*
else
	echo "skipped: words of an older QEMU: $OLDER is not there (scripts/install-deps --cross)"
fi
