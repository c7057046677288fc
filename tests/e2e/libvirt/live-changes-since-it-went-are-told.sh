#!/bin/bash
# Changes of a libvirt guest that others make at its source after it was given up there do not go along, and libvirt here forgets them: the
# move, or recover, reports them, and a changed definition is kept in a file that is named.
# timeout: 300
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"

edited_here() {
	sed 's#</name>#</name><description>edited</description>#' "$DIR/definition" >"$DIR/edited.xml"
	libvirt_in a virsh -q define "$DIR/edited.xml" >/dev/null
}

libvirt_guest_runs

# The guest's definition is changed.
to_local
fault after-SRC_COMMITTED stop
to_listener
libvirt_live_start "$DEST"
fault_wait
edited_here
fault_continue
libvirt_cold_wait 0
assert_eq "$(result '", ".join(r["definition_changed"]["what"])')" "its definition (virsh edit)" "what was changed"
grep -q '<description>edited' "$(result 'r["definition_changed"]["file"]')" || fail "the definition as it was changed is not kept"
! grep -q '<description>edited' "$(result 'r["definition_left"]')" || fail "the definition as it was is not kept"
assert_runs_at destination
assert_nothing_unfinished
libvirt_guest_again

# The agent has died, with libvirt's job: its autostart is changed, too.
to_listener
fault after-SRC_COMMITTED
libvirt_live_start "$DEST"
fault_wait
guard_ends
edited_here
libvirt_in a virsh -q autostart --disable "$NAME" >/dev/null
recover 0
said recover.log 'another client changed its definition \(virsh edit\) in libvirt after the guest had gone'
said recover.log 'another client changed autostart \(it is off by now\) in libvirt after the guest had gone'
said recover.log 'its definition as it was changed: /.*-changed\.xml'
assert_runs_at destination
assert_nothing_unfinished
