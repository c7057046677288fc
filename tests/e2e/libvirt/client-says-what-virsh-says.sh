#!/bin/bash
# The agents' own client of libvirt receives what virsh receives, and virsh sees what the client has libvirt do: guests, their definitions
# with secrets, snapshots, networks, pools, secrets, and refusals.
# tier: gate
export TINY=yes MEM=32
. "$(dirname "$0")/../../lib/guest.sh"
. "$(dirname "$0")/../../lib/libvirt.sh"

libvirt_host a

v() { # VIRSH'S WORDS...
	libvirt_in a virsh -q "$@"
}

asked() { # COMMAND [ARGUMENT...]
	libvirt_in a "$BIN/libvirt-tool" "$@"
}

same() { # VIRSH'S-WORDS COMMAND [ARGUMENT...]
	local -a words
	read -ra words <<<"$1"
	assert_eq "$(asked "${@:2}")" "$(v "${words[@]}")" "${*:2}"
}

refused() { # ERRNO PATTERN COMMAND [ARGUMENT...]
	local said
	! said=$(asked "${@:3}" 2>&1) || fail "${*:3} is not refused: $said"
	[[ $said == "$1 "*$2* ]] || fail "${*:3}: expected '$1 … $2 …', got '$said'"
}

uuid_of() { # GUEST
	v domuuid "$1" | tr -d '\n-'
}

# Guests that do not run, one with a secret in its definition.
image=$LIBVIRT_GUESTS/depot.qcow2
guest_disk "$(libvirt_at a "$image")" qcow2 16M
LIBVIRT_DEVICES="<graphics type='vnc' passwd='geheim'/>" libvirt_xml depot "$image:qcow2" >"$DIR/depot.xml"
assert_eq "$(asked define "$DIR/depot.xml")" "-1 $(uuid_of depot) depot" "define"
libvirt_define a other
assert_eq "$(asked domains | sort)" "$(printf -- '-1 %s %s\n' "$(uuid_of other)" other "$(uuid_of depot)" depot | sort)" domains
assert_eq "$(asked lookup depot)" "-1 $(uuid_of depot) depot" lookup
same "dumpxml --security-info --inactive depot" xml depot inactive
same "dumpxml --security-info --inactive --migratable depot" xml depot for-older
asked xml depot | says geheim || fail "the definition lacks its secret"
refused 2 "no domain with matching name 'nobody'" lookup nobody
refused 17 "already exists" define <(libvirt_xml depot | sed 's|<name>|<uuid>11111111-1111-4111-8111-111111111111</uuid>&|')
refused 121 "cannot define the guest" define <(echo "<domain/>")
assert_eq "$(asked version)" "$(v version | sed -n 's/^Using library: libvirt //p' | awk -F. '{ print $1 * 1000000 + $2 * 1000 + $3 }') system" version

asked autostart depot on
[[ $(v dominfo depot) =~ Autostart:\ +enable ]] || fail "virsh does not see autostart"
assert_eq "$(asked autostart depot)" yes autostart
asked autostart depot off
[[ $(v dominfo depot) =~ Autostart:\ +disable ]] || fail "virsh sees autostart"
assert_eq "$(asked autostart-once depot)" no "autostart for the next boot"
if v help autostart | says -- --once; then # libvirt 11.2 and later
	asked autostart-once depot on
	[[ $(v dominfo depot) =~ Autostart\ Once:\ +enable ]] || fail "virsh does not see autostart for the next boot: $(v dominfo depot)"
	assert_eq "$(asked autostart-once depot)" yes "autostart for the next boot"
	v autostart depot --disable --once >/dev/null
	assert_eq "$(asked autostart-once depot)" no "autostart for the next boot"
fi
assert_eq "$(asked autostart depot) $(asked persistent depot) $(asked managed-save depot) $(asked checkpoints depot)" "no yes no 0" "of a guest at rest"
assert_eq "$(asked state depot)" "5 0" "state of a guest at rest"

# Snapshots are forgotten together with the guest, and noted again: parents first.
assert_eq "$(asked snapshots depot)" "current " snapshots
for name in one two; do v snapshot-create-as depot "$name"; done >/dev/null
v snapshot-revert depot one
v snapshot-create-as depot three >/dev/null
tree=$(v snapshot-list depot --tree)
asked snapshots depot >"$DIR/snapshots"
assert_eq "$(head -n 1 "$DIR/snapshots")" "current three" "current snapshot"
csplit -s -z -f "$DIR/snapshot-" "$DIR/snapshots" '/^<domainsnapshot>/' '{*}'
v dumpxml --security-info --inactive depot >"$DIR/depot.xml"
asked undefine depot
refused 2 "no domain" lookup depot
asked define "$DIR/depot.xml" >/dev/null
for number in 01 02 03; do
	current=
	! grep -q '<name>three</name>' "$DIR/snapshot-$number" || current=current
	asked redefine depot "$DIR/snapshot-$number" $current
done
assert_eq "$(v snapshot-list depot --tree)" "$tree" "tree of snapshots"
assert_eq "$(v snapshot-current depot --name)" three "virsh's current snapshot"
asked snapshots depot | sort >"$DIR/again" # snapshots of one parent come in any order
sort "$DIR/snapshots" | cmp - "$DIR/again" || fail "snapshots that were noted again are others: $(sort "$DIR/snapshots" | diff - "$DIR/again")"

# A guest that runs.
asked create other
guest_adopt other "$(<"$(libvirt_at a /run/libvirt/qemu/other.pid)")"
assert_eq "$(asked state other)" "1 1" "state of a guest that runs"
same "dumpxml --security-info other" xml other
refused 114 "already running" create other
v managedsave other >/dev/null
assert_eq "$(asked managed-save other)" yes managed-save
refused 114 "managed save" undefine other
v managedsave-remove other
asked undefine other
assert_eq "$(asked domains)" "-1 $(uuid_of depot) depot" "domains at the end"

# Networks, pools, volumes, secrets.
refused 2 "no network" network nobody
assert_eq "$(asked networks)" "" "no networks"
v net-define <(echo "<network><name>lab</name><forward mode='bridge'/><bridge name='lab0'/></network>") >/dev/null
assert_eq "$(asked networks) $(asked network lab)" "lab no" "a network"
v net-start lab >/dev/null
assert_eq "$(asked network lab)" yes "a network that is active"
refused 2 "no storage pool" pool images
v pool-define-as images dir --target "$LIBVIRT_GUESTS" >/dev/null
assert_eq "$(asked pool images)" "no
$(v pool-dumpxml images)" "a pool"
v pool-start images >/dev/null
assert_eq "$(asked pool images | head -n 1)" yes "a pool that is active"
assert_eq "$(asked volume-path images depot.qcow2)" "$image" "a volume"
refused 2 "no storage vol" volume-path images new.raw
guest_disk "$(libvirt_at a "$LIBVIRT_GUESTS/new.raw")" raw 1M
asked pool-refresh images
assert_eq "$(asked volume-path images new.raw)" "$LIBVIRT_GUESTS/new.raw" "a volume that came later"
v secret-define <(echo "<secret><uuid>22222222-2222-4222-8222-222222222222</uuid></secret>") >/dev/null
asked secret 22222222222242228222222222222222
refused 2 "no secret" secret 22222222222242228222222222222223

# No libvirt runs there.
libvirt_stop a
refused 2 "no process listens" domains
libvirt_start_daemon a
assert_eq "$(asked domains)" "-1 $(uuid_of depot) depot" "after another start"
