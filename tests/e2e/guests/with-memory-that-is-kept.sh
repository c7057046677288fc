#!/bin/bash
# A part of the guest's memory is kept in a file (nvdimm): it is a disk to the guest. What was in it is in the destination's file, and on stable
# storage (QEMU sees to that when it has loaded the guest); a file that somebody has there is not overwritten.
. "$(dirname "$0")/../../lib/over-ssh.sh"
! old_qemu || skip "QEMU 7.2 does not migrate several blocks of memory without KVM, and is refused"
hosts_start
kept() { # SHARE: QEMU's options
	echo -machine nvdimm=on -m "128M,slots=1,maxmem=1G" -device nvdimm,id=nv,memdev=kept \
		-object "memory-backend-file,id=kept,size=128M,mem-path=$VM/kept,share=$1"
}

head -c 128M /dev/urandom >"$VM/kept"
cp "$VM/kept" "$DIR/kept"
# shellcheck disable=SC2046
MEM=128 ssh_guest a $(kept on)
printf 'of another guest' >"$(there "$VM")/kept"
ssh_move_start a root@host-b
move_wait 3
assert_result '"kept, already exists at the destination" in r["reason"]'
assert_eq "$(<"$TO/kept")" "of another guest" "what somebody has there"
rm "$TO/kept"

ssh_move a root@host-b
unsynced=$(python3 -S - "$TO/kept" <<-'END'
	import ctypes, os, sys
	fd, told = os.open(sys.argv[1], os.O_RDONLY), (ctypes.c_uint64 * 5)()
	if ctypes.CDLL(None).syscall(451, fd, (ctypes.c_uint64 * 2)(0, 0), told, 0): # cachestat(2), since Linux 6.5
	    print("?")
	else:
	    print(told[1] + told[2])
END
)
[[ $unsynced == [0?] ]] || fail "$unsynced pages of what is kept are on no stable storage"
cmp "$DIR/kept" "$TO/kept" || fail "what was kept is not there"
assert_arrived
[[ $unsynced == 0 ]] || echo "skipped: this kernel does not tell what is on stable storage"
