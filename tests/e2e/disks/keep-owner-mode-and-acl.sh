#!/bin/bash
# A disk image has the same owner, mode and access control list at the destination. Where no list can be set, that is said, and the disk is moved.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

[[ $EUID -eq 0 ]] || skip "root is needed to give files away"
guest_disk "$DIR/a.qcow2" qcow2 16M
guest_disk "$DIR/b.raw" raw 16M
chown 1731:1732 "$DIR/a.qcow2"
chmod 640 "$DIR/a.qcow2"
# user::rw- user:1733:rw- group::r-- mask::rw- other::---, as acl(5) and the kernel's posix_acl_xattr.h have it
python3 -S - "$DIR/b.raw" <<-'END' || skip "no access control lists here"
	import os, struct, sys
	undefined = 0xffffffff
	entries = [(1, 6, undefined), (2, 6, 1733), (4, 4, undefined), (0x10, 6, undefined), (0x20, 0, undefined)]
	acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
	os.setxattr(sys.argv[1], "system.posix_acl_access", acl)
END

rights() { # FILE
	stat -c '%u %g %a' "$1"
	python3 -S -c 'import os, sys; print(os.getxattr(sys.argv[1], "system.posix_acl_access").hex())' "$1" 2>/dev/null || echo none
}

tiny_start a $(guest_drive d0 "$DIR/a.qcow2" qcow2) $(guest_drive d1 "$DIR/b.raw" raw)
a=$(rights "$DIR/a.qcow2") b=$(rights "$DIR/b.raw")
assert_eq "$a" $'1731 1732 640\nnone' "rights of a"
move a local
assert_eq "$(rights "$TO/a.qcow2")" "$a" "rights of a at the destination"
assert_eq "$(rights "$TO/b.raw")" "$b" "rights of b at the destination"
assert_result '[d["mode"] for d in plan["disks"]] == ["640", "660"] and plan["disks"][0]["owner"] == "1731:1732"'
assert_result '[d["acl"] for d in plan["disks"]] == [False, True]'

cp --preserve=all "$DIR/b.raw" "$DIR/c.raw"
tiny_start b $(guest_drive d0 "$DIR/c.raw" raw)
: >"$DIR/errors-on"
DST_ON=(env LD_PRELOAD="$BIN/shared/error.so" ERRORS="list 1 95 /c.raw" ERRORS_SEEN="$DIR/errors-seen" ERRORS_WHILE="$DIR/errors-on")
BIN=$BIN/shared listen_dst
move b "$DST_ADDRESS"
assert_result "['the access control list of $TO/c.raw cannot be set' in n for n in notices].count(True) == 1"
assert_eq "$(rights "$TO/c.raw" | tail -1)" none "the list of c at the destination"
