#!/bin/bash
# A script that gives its QEMU a configuration by a here-document moves a guest that is shut down: what the document says, variables put in, is on the line
# that starts it at the destination. Without the script nobody knows it, and vmferry's own input is not taken for it.
. "$(dirname "$0")/../../lib/aftermath.sh"

cd "$DIR"
mkdir there
"$QEMU_IMG" create -q -f raw disk.raw 4M
printf 'a guest' | dd of=disk.raw conv=notrunc status=none
ID=$(tr -dc '[:alnum:]' <<<"${DIR##*/}")
cat >web.sh <<-'SCRIPT'
	#!/bin/sh
	cd "$(dirname "$0")" || exit
	disk=$PWD/disk.raw
	exec QEMU -M q35 -accel tcg -display none -readconfig /dev/stdin <<CONFIG
	[name]
	  guest = "NAME"
	[memory]
	  size = "64"
	[drive "d"]
	  file = "$disk"
	  format = "raw"
	  if = "virtio"
	CONFIG
SCRIPT
sed -i "s|QEMU|$QEMU|; s|NAME|$ID|" web.sh
chmod +x web.sh
vmferry migrate "$DIR/web.sh" local --how cold --disk-dir "$DIR/there" </dev/null >said 2>&1 || fail "$(<said)"
grep -q "is worked into the guest's command line" said || fail "it is not noted: $(<said)"
[[ $(head -c 7 there/disk.raw) == 'a guest' ]] || fail "its disk is not there"
for words in "guest=$ID" "file=$DIR/there/disk.raw" 'size=64'; do
	grep -qF -- "$words" "there/$ID.sh" || fail "'$words' is not on its line: $(<"there/$ID.sh")"
done
! grep -q readconfig "there/$ID.sh" || fail "its line reads a configuration there: $(<"there/$ID.sh")"

# vmferry's standard input is not the guest's
printf '[name]\n  guest = "own"\n' >own.cfg
vmferry check local --how cold --disk-dir "$DIR/there" -- "$QEMU" -m 64 -readconfig /dev/stdin <own.cfg >said 2>&1 && fail "its own input is a configuration"
grep -q 'readconfig /dev/stdin, whose contents are not known' said || fail "it is refused otherwise: $(<said)"
