#!/bin/bash
# A guest of VirtualBox's boots from its own settings and its VDI, and the port that its NAT leads to it is open here. A second one, for which it is
# taken, starts without that, and says so.
# timeout: 200
. "$(dirname "$0")/../../lib/import.sh"
. "$(dirname "$0")/../../lib/hmp.sh"

bootable_disk "$DIR/disk.raw"
mkdir "$DIR/vbox"
"$QEMU_IMG" convert -f raw -O vdi "$DIR/disk.raw" "$DIR/vbox/web.vdi"
PORT=$(free_port)
cat >"$DIR/vbox/web.vbox" <<-XML
	<?xml version="1.0"?>
	<VirtualBox xmlns="http://www.virtualbox.org/" version="1.19-linux">
	 <Machine uuid="{3f5f2c1e-0000-4000-8000-000000000003}" name="web" OSType="Debian_64">
	  <MediaRegistry><HardDisks><HardDisk uuid="{11111111-0000-4000-8000-000000000001}" location="web.vdi" format="VDI" type="Normal"/></HardDisks></MediaRegistry>
	  <Hardware><CPU count="1"/><Memory RAMSize="128"/>
	   <Network><Adapter slot="0" enabled="true" MACAddress="080027AABB01" type="82540EM">
	    <NAT><Forwarding name="ssh" proto="1" hostip="127.0.0.1" hostport="$PORT" guestport="22"/></NAT>
	   </Adapter></Network>
	   <StorageControllers><StorageController name="SATA" type="AHCI" PortCount="1">
	    <AttachedDevice type="HardDisk" port="0" device="0"><Image uuid="{11111111-0000-4000-8000-000000000001}"/></AttachedDevice>
	   </StorageController></StorageControllers>
	  </Hardware>
	 </Machine>
	</VirtualBox>
XML

boots() { # NAME
	imports --name "$1" --start "$DIR/vbox" -- -serial "file:$VM/$1.serial"
	wait_for 60 says "$VM/$1.serial" "disk $SUM" || fail "$1 has another disk: $(cat "$VM/$1.serial" "$DIR/import.out")"
}

boots "$ID-first"
says "$DIR/import.out" "TCP port $PORT of 127.0.0.1 leads to port 22 of network card #1, as there" || fail "the port is not noted: $(<"$DIR/import.out")"
# QEMU takes connections to it, whoever is in the guest
exec 3<>"/dev/tcp/127.0.0.1/$PORT" || fail "nobody listens at the port"
exec 3>&-
boots "$ID-second"
says "$DIR/import.out" "TCP port $PORT of 127.0.0.1 does not lead to network card #1 as there: it cannot be had here (Address already in use)" ||
	fail "a port that is taken is not noted: $(<"$DIR/import.out")"
! grep -q hostfwd "$VM/$ID-second.sh" || fail "a second guest has the port, too"
