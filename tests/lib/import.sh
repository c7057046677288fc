# shellcheck shell=bash
# For tests of vmferry import; to be sourced. Everything of move.sh, disks that boot by themselves and tell what is on them, and files as
# other hypervisors export them.
. "$(dirname "${BASH_SOURCE[0]}")/move.sh"

export QEMU
VM=$DIR/vm              # folder to which guests are imported
ID=$(tr -dc '[:alnum:]' <<<"${DIR##*/}") # before their names, as others may run tests here, too
mkdir -p "$VM"
SUM=                    # checksum of the disk that bootable_disk made last

# A raw disk of 16 MiB that a BIOS starts; it says "disk $SUM" (tests/guest/boot-sector.S) if its first 2 MiB are as they were made.
bootable_disk() { # FILE
	as --32 -o "$DIR/boot.o" "$TOP/tests/guest/boot-sector.S"
	ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o "$DIR/boot.bin" "$DIR/boot.o"
	SUM=$(python3 -S - "$DIR/boot.bin" "$1" <<-'END'
		import os, struct, sys
		boot, data, total = open(sys.argv[1], "rb").read(), os.urandom(64 * 64 * 512), 0
		assert len(boot) == 512
		for word, in struct.iter_unpack("<I", data):
		    total = ((total << 1 | total >> 31) + word) & 0xffffffff
		with open(sys.argv[2], "wb") as f:
		    f.write(boot + data)
		    f.truncate(16 << 20)
		print("%08x" % total)
	END
	)
}

import() { # [ARGUMENT...]: to VM, under TCG; what it said is in DIR/import.out and import.err
	local status=0 more=()
	[[ " $* " == *" --accel "* ]] || more=(--accel tcg)
	vmferry import --disk-dir "$VM" "${more[@]}" "$@" </dev/null >"$DIR/import.out" 2>"$DIR/import.err" || status=$?
	return "$status"
}

imports() { # ARGUMENT...: it succeeds; a guest that it started ends with the test
	import "$@" || fail "import $*: $(cat "$DIR/import.err")"
	IMPORTED=$(sed -nE 's/^imported: .*\(pid ([0-9]+)\).*/\1/p' "$DIR/import.out")
	[[ -z $IMPORTED ]] || kill_at_exit "$IMPORTED"
}

refuses() { # STATUS PATTERN ARGUMENT...: it says why, and leaves nothing
	local status=0 want=$1 pattern=$2 before after
	shift 2
	[[ " $* " == *" --name "* || $# -eq 0 ]] || set -- --name "$ID-refused" "$@" # a name that no other guest of this machine has
	before=$(everything)
	import "$@" || status=$?
	after=$(everything)
	assert_eq "$status" "$want" "exit code of import $* ($(cat "$DIR/import.err"))"
	grep -qE -- "$pattern" "$DIR/import.err" || fail "import $* does not say '$pattern': $(cat "$DIR/import.err")"
	[[ $before == "$after" ]] || fail "import $* left something: $(diff <(echo "$before") <(echo "$after"))"
}

everything() { # prints all files of this test with what they are, but for our own logs, history and sockets
	find "$DIR" \( -path "$DIR/import.*" -o -path "$VMFERRY_STATE_DIR*" -o -path "$VMFERRY_RUNTIME_DIR*" \) -prune -o -printf '%p %y %s %m %l\n' | sort
	find "$DIR" -type f ! -path "$DIR/import.*" ! -path "$VMFERRY_STATE_DIR/*" -printf '%p %i %C@\n' | sort # a write changes ctime
}

says() { # FILE TEXT
	grep -aqsF -- "$2" "$1"
}

# --- files as others export them -----------------------------------------------------------

# Makes the disks that a description of tests/data/import names, by the names that they have beside it in DIR/given, with what is in that one.
provide_disks() { # EXPECT RAW-DISK
	local file format
	sed -n 's/^disk [0-9]*: \(.*\), [0-9]* bytes$/\1/p' "$1" | sed '/^a drive$/d; /^blank$/d' | sed 's/.*[\/\\]//' | while IFS= read -r file; do
		case $file in
		*.vhdx | *.vmdk | *.qcow2 | *.vdi) format=${file##*.} ;;
		*) format=raw ;;
		esac
		"$QEMU_IMG" convert -f raw -O "$format" "$2" "$DIR/given/$file"
	done
}

# A description as its owner has it, with what it names beside it, in DIR/given.
give() { # EXPECT DISK
	rm -rf "$DIR/given"
	mkdir "$DIR/given"
	cp "${1%.expect}" "$DIR/given/"
	provide_disks "$1" "$2"
}

to_ova() { # NAME RAW-DISK [SCSI SUBTYPE (lsilogic)]: DIR/NAME.ova, with a manifest; its parts stay in DIR/NAME.d
	local dir=$DIR/$1.d
	mkdir -p "$dir"
	"$QEMU_IMG" convert -f raw -O vmdk -o subformat=streamOptimized "$2" "$dir/$1-disk1.vmdk"
	cat >"$dir/$1.ovf" <<-END
		<?xml version="1.0" encoding="UTF-8"?>
		<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
		 <References><File ovf:id="file1" ovf:href="$1-disk1.vmdk"/></References>
		 <DiskSection><Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="$(($(stat -c %s "$2") >> 20))" ovf:capacityAllocationUnits="byte * 2^20"/></DiskSection>
		 <VirtualSystem ovf:id="$1"><Name>$1</Name>
		  <VirtualHardwareSection>
		   <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
		   <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>256</rasd:VirtualQuantity></Item>
		   <Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>${4:-6}</rasd:ResourceType><rasd:ResourceSubType>${3:-lsilogic}</rasd:ResourceSubType></Item>
		   <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
		   <Item><rasd:Address>00:50:56:01:02:03</rasd:Address><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>E1000</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
		   <Item><rasd:InstanceID>6</rasd:InstanceID><rasd:ResourceType>15</rasd:ResourceType></Item>
		  </VirtualHardwareSection>
		 </VirtualSystem>
		</Envelope>
	END
	(cd "$dir" && for file in "$1.ovf" "$1-disk1.vmdk"; do
		echo "SHA256($file)= $(sha256sum "$file" | cut -d' ' -f1)"
	done >"$1.mf")
	pack_ova "$1"
}

pack_ova() { # NAME [TAR OPTION...]
	tar -C "$DIR/$1.d" --format=ustar "${@:2}" -cf "$DIR/$1.ova" "$1.ovf" "$1-disk1.vmdk" "$1.mf"
}
