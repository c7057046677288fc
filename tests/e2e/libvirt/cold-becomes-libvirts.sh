#!/bin/bash
# A plain guest that is shut down becomes one of libvirt's at the destination (--as libvirt): its definition is made of its script's line, libvirt defines and
# starts it there, and it boots from its disks; nothing starts it here any more. It goes back with --as plain. A name that libvirt has already, a host
# without libvirt and what a definition cannot have are refused before anything is touched; a guest that fails to be defined is here as it was.
# tier: gate
export TINY=yes MEM=64
. "$(dirname "$0")/../../lib/libvirt-move.sh"

NAME=blog-$$ # other tests' guests are on this machine, too
libvirt_hold a # a host as the other one, without a libvirtd
LIBVIRT_PID[a]=${LIBVIRT_HELD[a]}
libvirt_find
mkdir "$DIR"/libvirt-{bin,helpers}
[[ -z $LIBVIRT_ROOT ]] || libvirt_wrap_all
at_exit libvirt_hosts_end
libvirt_furnish a
libvirt_stub_swtpm
libvirt_host b
at_a=$(libvirt_at a "$LIBVIRT_GUESTS") at_b=$(libvirt_at b "$LIBVIRT_GUESTS")
listen_at a
listen_at b

script() { # [OPTION...]: what starts it
	local word
	echo "#!/bin/sh"
	printf 'exec %s' "$QEMU"
	for word in -name "$NAME" -machine pc -accel tcg -m 64 -smp 1 -nodefaults -display none -no-user-config \
		-kernel "$TOP/build/guest/tiny.elf" -append "$(witness_words)" \
		-drive "file=$LIBVIRT_GUESTS/$NAME.qcow2,format=qcow2,if=virtio,discard=unmap" \
		-blockdev "driver=file,filename=$LIBVIRT_GUESTS/data.qcow2,node-name=f1" -blockdev "driver=qcow2,file=f1,node-name=d1" \
		-device virtio-blk-pci,drive=d1,serial=DATA \
		-serial "file:$LIBVIRT_GUESTS/$NAME.console" -serial "unix:$LIBVIRT_GUESTS/$NAME.orders,server=on,wait=off" \
		-netdev user,id=net0 -device virtio-net-pci,netdev=net0,mac=52:54:00:12:34:57 \
		-qmp "unix:$LIBVIRT_GUESTS/$NAME.qmp,server=on,wait=off" -device virtio-rng-pci "$@"; do
		printf " '%s'" "$word"
	done
	echo
}

moves() { # FROM TO GUEST STATUS [OPTION...]
	libvirt_move "$1" "$2" "$3" "$4" --how cold "${@:5}"
}

"$QEMU_IMG" create -q -f qcow2 "$at_a/$NAME.qcow2" 16M
guest_disk "$at_a/data.qcow2" qcow2 16M
WITNESS="ram_mb=4 rate=100 disks=vda,vdb disk_rate=20 disk_mb=8" script >"$at_a/$NAME.sh"
chmod 755 "$at_a/$NAME.sh"
facts() { md5sum "$at_a"/{"$NAME.qcow2",data.qcow2,"$NAME.sh"}; }
facts >"$DIR/before"

# --- what cannot go so ------------------------------------------------------------------------

script -device edu -device ivshmem-plain,memdev=m -object memory-backend-ram,id=m,size=1M >"$at_a/odd.sh"
moves a b "$LIBVIRT_GUESTS/odd.sh" 3 --as libvirt
assert_result '"device ivshmem-plain" in r["reason"] and "edu" not in r["reason"] and r["guest"] == "source"'
rm "$at_a/odd.sh"
moves a b "$LIBVIRT_GUESTS/$NAME.sh" 3 --as libvirt --map-net net1=network:default
assert_result '"net1" in r["reason"]'
moves a a "$LIBVIRT_GUESTS/$NAME.sh" 3 --as libvirt --disk-dir "$LIBVIRT_GUESTS/new"
assert_result '"no libvirt runs at the destination" in r["reason"]'
libvirt_define b "$NAME"
moves a b "$LIBVIRT_GUESTS/$NAME.sh" 3 --as libvirt
assert_result '"libvirt has another guest" in r["reason"] and r["guest"] == "source"'
libvirt_in b virsh -q undefine "$NAME"
facts | diff "$DIR/before" - || fail "it is not as it was"

# --- one that goes, boots there, and comes back -------------------------------------------------

vmferry_at a check "$LIBVIRT_GUESTS/$NAME.sh" "${ADDRESS_AT[b]}" --how cold --as libvirt >"$DIR/check" 2>&1 || fail "check refuses it: $(cat "$DIR/check")"
for words in 'libvirt there (.*) defines the guest' 'serial port 1' 'serial port 2'; do
	grep -q "$words" "$DIR/check" || fail "check does not say '$words': $(cat "$DIR/check")"
done
moves a b "$LIBVIRT_GUESTS/$NAME.sh" 0 --as libvirt --start --install-unit --map-net net0=user
assert_result 'r["verified"] and r["defined"] and r["autostart"] and r["guest"] == "destination" and "definition_left" not in r'
[[ ! -e $at_a/$NAME.sh ]] || fail "something starts it here yet"
assert_eq "$(defined_at b)" "$NAME" "guests of libvirt"
libvirt_in b virsh -q domstate "$NAME" | says running || fail "libvirt has not started it"
guest_adopt "$NAME" "$(<"$(libvirt_at b "/run/libvirt/qemu/$NAME.pid")")"
libvirt_in b virsh dumpxml "$NAME" >"$DIR/xml"
for words in "machine='pc-i440fx" "address='52:54:00:12:34:57'" "<serial>DATA</serial>" "discard='unmap'" "<rng model='virtio'"; do
	grep -q "$words" "$DIR/xml" || fail "its definition has no $words: $(cat "$DIR/xml")"
done
port=$(sed -n "/<serial type='pty'>/,/<.serial>/s/.*<source path='\(.*\)'.*/\1/p" "$DIR/xml" | sed -n 2p)
"$TOP/tests/lib/pty-relay.py" "$port" "$DIR/orders" 2>"$DIR/relay" &
kill_at_exit "$!"
wait_for 60 "$ASK" order "$DIR/orders" ping 1 >/dev/null 2>&1 || fail "it does not come up there: $(cat "$DIR/relay")"
guest_verify "$DIR/orders" blocks
libvirt_in b virsh -q destroy "$NAME"
assert_nothing_unfinished

(cd "$at_b" && md5sum "$NAME.qcow2" data.qcow2) >"$DIR/there"
moves b a "$NAME" 0 --as plain --disk-dir "$LIBVIRT_GUESTS/back"
assert_result 'r["verified"] and "defined" not in r'
(cd "$at_a/back" && md5sum "$NAME.qcow2" data.qcow2) | diff "$DIR/there" - || fail "it has not come back as it was"
[[ -x $at_a/back/$NAME.sh ]] || fail "nothing starts it here again"
assert_eq "$(defined_at b)" "" "guests of libvirt"
assert_nothing_unfinished

# --- one with UEFI variables and a TPM, whose files lie elsewhere there --------------------------

uuid=0f1e2d3c-0000-4000-8000-00000000abcd
head -c 3M /dev/urandom >"$at_a/efi.raw"
for name in vars code; do head -c 131072 /dev/urandom >"$at_a/$name.fd"; done
mkdir "$at_a/efi.tpm"
head -c 6000 /dev/urandom >"$at_a/efi.tpm/tpm2-00.permall"
cat >"$at_a/efi.sh" <<-END
	#!/bin/sh
	cd / || exit
	swtpm socket --daemon --terminate --tpm2 --tpmstate dir=$LIBVIRT_GUESTS/efi.tpm --ctrl type=unixio,path=$LIBVIRT_GUESTS/efi.tpm/socket
	exec $QEMU -name efi-$$ -uuid $uuid -machine q35 -accel tcg -m 64 -nodefaults -display none \\
	    -drive if=pflash,unit=0,format=raw,readonly=on,file=$LIBVIRT_GUESTS/code.fd -drive if=pflash,unit=1,format=raw,file=$LIBVIRT_GUESTS/vars.fd \\
	    -drive file=$LIBVIRT_GUESTS/efi.raw,format=raw,if=none,id=d0 -device nvme,drive=d0,serial=N \\
	    -chardev socket,id=chrtpm,path=$LIBVIRT_GUESTS/efi.tpm/socket -tpmdev emulator,id=tpm0,chardev=chrtpm -device tpm-crb,tpmdev=tpm0
END
moves a b "$LIBVIRT_GUESTS/efi.sh" 0 --as libvirt --disk-dir "$LIBVIRT_GUESTS/new"
assert_result 'r["verified"]'
result 'str(notices)' | says 'NVMe here is on SATA' || fail "nothing is said of NVMe"
for name in efi.raw vars.fd code.fd; do cmp "$at_a/$name" "$at_b/new/$name"; done
cmp "$at_a/efi.tpm/tpm2-00.permall" "$(libvirt_at b "/var/lib/libvirt/swtpm/$uuid/tpm2/tpm2-00.permall")"
libvirt_in b virsh dumpxml --inactive "efi-$$" >"$DIR/xml"
for words in "<uuid>$uuid" "type='pflash'[^>]*>$LIBVIRT_GUESTS/new/code.fd<" ">$LIBVIRT_GUESTS/new/vars.fd</nvram>" "<tpm model='tpm-crb'" "dev='sda' bus='sata'"; do
	grep -q "$words" "$DIR/xml" || fail "its definition has no $words: $(cat "$DIR/xml")"
done
assert_nothing_unfinished
