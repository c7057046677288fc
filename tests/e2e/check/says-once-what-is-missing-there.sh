#!/bin/bash
# A directory that the destination lacks is one obstacle, with what to do about it: that QEMU does not start there without it is not said again.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

mkdir "$DIR/share"
WITNESS="ram_mb=16 rate=200" tiny_start a -virtfs "local,path=$DIR/share,mount_tag=h,security_model=mapped-xattr,id=h"
rmdir "$DIR/share"
move_refused "^-virtfs needs directory $DIR/share, .*mkdir -p" local
assert_eq "$(result 'len(r["obstacles"])')" 1 "how many obstacles"
