#!/bin/bash
# A disk that is a volume of a pool is one at the destination where a pool of that name has the same place, and that pool knows of it at once;
# where it has another place, or there is none, the disk is a file there, and that is said.
. "$(dirname "$0")/../../lib/libvirt-move.sh"

web=web-$$
db=db-$$
libvirt_host a
libvirt_host b
pool() { # HOST NAME DIRECTORY
	mkdir -p "$(libvirt_at "$1" "$3")"
	libvirt_in "$1" virsh -q pool-define-as "$2" dir --target "$3" >/dev/null
	libvirt_in "$1" virsh -q pool-start "$2" >/dev/null
}

volumes() { # HOST POOL
	libvirt_in "$1" virsh -q vol-list "$2" | awk '{ print $1 }' | xargs
}

source_of() { # HOST GUEST
	libvirt_in "$1" virsh dumpxml --inactive "$2" >"$DIR/xml"
	grep -oE "<disk type='[a-z]*'" "$DIR/xml" | cut -d"'" -f2
	grep -oE "<source (file|pool)=.*/>" "$DIR/xml"
}

define() { # GUEST POOL VOLUME
	libvirt_xml "$1" /nowhere:raw | sed "s|<disk type='file'|<disk type='volume'|; s|<source file='/nowhere'/>|<source pool='$2' volume='$3'/>|" >"$DIR/$1.xml"
	libvirt_in a virsh -q define "$DIR/$1.xml" >/dev/null
}

pool a images "$LIBVIRT_GUESTS/images"
pool b images "$LIBVIRT_GUESTS/images"
pool a fast "$LIBVIRT_GUESTS/fast"
pool b fast "$LIBVIRT_GUESTS/elsewhere"
for at in images/web.img fast/db.img; do head -c 2M /dev/urandom >"$(libvirt_at a "$LIBVIRT_GUESTS/$at")"; done
for name in images fast; do libvirt_in a virsh -q pool-refresh "$name" >/dev/null; done
define $web images web.img
define $db fast db.img
mkdir -p "$(libvirt_at b "$LIBVIRT_GUESTS/fast")"
listen_at b

libvirt_move a b $web 0 --how cold
assert_eq "$(source_of b $web)" "volume
<source pool='images' volume='web.img'/>" "its disk there"
assert_eq "$(volumes b images)" web.img "volumes of the pool there"
cmp "$(libvirt_at a "$LIBVIRT_GUESTS/images/web.img")" "$(libvirt_at b "$LIBVIRT_GUESTS/images/web.img")"

libvirt_move a b $db 0 --how cold
result 'notices' | says "is no volume of the pool fast there" || fail "it is not said that the disk is no volume there: $(result 'notices')"
assert_eq "$(source_of b $db)" "file
<source file='$LIBVIRT_GUESTS/fast/db.img'/>" "its disk there"
cmp "$(libvirt_at a "$LIBVIRT_GUESTS/fast/db.img")" "$(libvirt_at b "$LIBVIRT_GUESTS/fast/db.img")"
