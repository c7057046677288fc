#!/bin/bash
# A guest's firmware is used under the name that the other host's distribution gives it, if it is the same to the byte; otherwise it goes along beside
# the disks, and not into a folder of the distribution's; of what is there so the next guests take what is the same.
# takes: 6
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
for host in a b; do "on_$host" mount -t tmpfs usr /usr/share/doc; done
on_a sh -c 'head -c 256K /dev/urandom >/usr/share/doc/OVMF_CODE_4M.fd; head -c 256K /dev/urandom >/usr/share/doc/bios.bin'
head -c 1M /dev/urandom >"$VM/a.raw"
cat >"$VM/a.sh" <<END
#!/bin/sh
exec $QEMU -name a -accel tcg -machine pc -m 64 -nodefaults -display none -bios /usr/share/doc/bios.bin \\
    -drive if=pflash,format=raw,readonly=on,file=/usr/share/doc/OVMF_CODE_4M.fd -drive file=$VM/a.raw,format=raw,if=virtio
END
chmod 700 "$VM/a.sh"
found=$VM/edk2/ovmf/code.fd
mkdir -p "$(dirname "$(there "$found")")" "$(at_b "$HOME_B")/.config/qemu/firmware"
on_a cat /usr/share/doc/OVMF_CODE_4M.fd >"$(there "$found")"
echo "{\"mapping\": {\"device\": \"flash\", \"executable\": {\"filename\": \"$found\"}}}" >"$(at_b "$HOME_B")/.config/qemu/firmware/50-ovmf.json"

on_a "$BIN/vmferry" migrate "$VM/a.sh" root@host-b --how cold >"$DIR/move.log" 2>&1 || fail "$(tail -n 5 "$DIR/move.log")"
grep -q "OVMF_CODE_4M.fd .* is there already, as $found\$" "$DIR/move.log" || fail "the plan does not say so: $(<"$DIR/move.log")"
grep -q "file=$found" "$(there "$VM/a.sh")" || fail "it starts there from another file: $(<"$(there "$VM/a.sh")")"
grep -q "bios.bin .* -> $VM/bios.bin\$" "$DIR/move.log" || fail "the plan does not say so: $(<"$DIR/move.log")"
grep -q -- "-bios '*$VM/bios.bin" "$(there "$VM/a.sh")" || fail "it starts there from another file: $(<"$(there "$VM/a.sh")")"
assert_eq "$(on_a sha256sum </dev/null /usr/share/doc/bios.bin | cut -c1-64)" "$(sha256sum "$(there "$VM/bios.bin")" | cut -c1-64)" "the firmware"
assert_eq "$(on_b ls -A /usr/share/doc)" "" "what is in the distribution's folder"

goes_cold() { # NAME [OPTION...]
	head -c 1M /dev/urandom >"$VM/$1.raw"
	sed "s/-name a /-name $1 /; s/a.raw/$1.raw/" "$VM"/a.sh.moved-* >"$VM/$1.sh"
	chmod 700 "$VM/$1.sh"
	on_a "$BIN/vmferry" migrate "$VM/$1.sh" root@host-b --how cold "${@:2}" >"$DIR/move.log" 2>&1 || fail "$(tail -n 5 "$DIR/move.log")"
}

goes_cold b
grep -q "bios.bin .* is there already, as $VM/bios.bin\$" "$DIR/move.log" || fail "it goes along again: $(<"$DIR/move.log")"
on_a sh -c 'head -c 256K /dev/urandom >/usr/share/doc/bios.bin'
goes_cold c
grep -q "bios.bin .* -> $VM/2-bios.bin\$" "$DIR/move.log" || fail "another one has its place: $(<"$DIR/move.log")"
goes_cold d
grep -q "bios.bin .* is there already, as $VM/2-bios.bin\$" "$DIR/move.log" || fail "it goes along again: $(<"$DIR/move.log")"
assert_eq "$(cd "$(there "$VM")" && ls -d -- *bios.bin | xargs)" "2-bios.bin bios.bin" "firmware there"

# What is at the place of one of the guest's own disks goes when that comes, whatever is in it.
goes_cold e --disk "e.raw=$VM/2-bios.bin" --reuse "$VM/2-bios.bin"
grep -q "bios.bin .* -> $VM/3-bios.bin\$" "$DIR/move.log" || fail "its firmware is to be its disk: $(<"$DIR/move.log")"
cmp "$VM/e.raw" "$(there "$VM/2-bios.bin")"
cmp "$(there "$VM/3-bios.bin")" <(on_a cat /usr/share/doc/bios.bin </dev/null)
