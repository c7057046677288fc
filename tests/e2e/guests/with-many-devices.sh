#!/bin/bash
# A guest with the devices of an ordinary guest: display and its VNC socket, USB tablet, random numbers, balloon, a channel for a guest
# agent, a watchdog, sound, a SATA disk that nobody uses.
. "$(dirname "$0")/../../lib/over-ssh.sh"
GUEST_START=guest_start
hosts_start
head -c 4M /dev/urandom >"$VM/sata.raw"
ssh_guest a -vnc "unix:$VM/a.vnc" -vga virtio -device qemu-xhci,id=usb -device usb-tablet,bus=usb.0 \
	-object rng-random,id=rng0,filename=/dev/urandom -device virtio-rng-pci,rng=rng0 -device virtio-balloon-pci,id=balloon0 \
	-device virtio-serial-pci -chardev "socket,id=agent,path=$VM/a.agent,server=on,wait=off" \
	-device virtserialport,chardev=agent,name=org.qemu.guest_agent.0 -device i6300esb -device pvpanic \
	-device intel-hda -audiodev none,id=sound -device hda-duplex,audiodev=sound -chardev "socket,id=s2,path=$VM/a.s2,server=on,wait=off" -device pci-serial,chardev=s2 \
	-drive "file=$VM/sata.raw,format=raw,if=none,id=sata" -device ide-hd,drive=sata,bus=ide.0 -rtc base=localtime,clock=host \
	-boot menu=off,strict=on -uuid 6a1f4f0e-32a1-4f05-9d0a-0c2a8a3f0001 -smbios type=1,serial=vm-a
qmp "$VM/a.mon" '{"execute": "balloon", "arguments": {"value": 234881024}}' BALLOON_CHANGE >/dev/null
ssh_move a root@host-b
assert_arrived
cmp "$VM/sata.raw" "$TO/sata.raw"
for socket in vnc agent s2 mon qmp orders; do
	[[ -S $TO/a.$socket ]] || fail "there is no socket a.$socket at the destination"
done
python3 -S - "$TO/a.vnc" <<-'END_OF_CLIENT' || fail "VNC does not answer"
	import socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.settimeout(5)
	s.connect(sys.argv[1])
	sys.exit(not s.recv(12).startswith(b"RFB "))
END_OF_CLIENT
assert_eq "$(qmp "$(free_monitor a)" '{"execute": "query-uuid"}')" '{"UUID": "6a1f4f0e-32a1-4f05-9d0a-0c2a8a3f0001"}'
assert_eq "$(qmp "$(free_monitor a)" '{"execute": "query-balloon"}')" '{"actual": 234881024}'
