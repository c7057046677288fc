#!/bin/bash
# Somebody's virsh in the middle of the cold move of a libvirt guest, at either end: who defines it here again has it here; who defines another of its name or
# UUID there has it not come; who undefines it there has undefined it. A libvirt that is busy with the guest undefines it late, and not after it was defined again.
# timeout: 200
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-cold.sh"

stopped_at() { # POINT: an agent is
	to_local
	fault "$1" stop
	to_listener
	libvirt_cold_start "$DEST"
	fault_wait
}

libvirt_guest_at_rest
old=$DIR/old.xml
libvirt_in a virsh dumpxml --security-info --inactive "$NAME" >"$old"

# The definition of before is defined here while the guest is moved: it stays here.
stopped_at src-undefined
libvirt_in a virsh -q define "$old" >/dev/null
fault_continue
libvirt_cold_wait 1
result 'r["reason"]' | says 'another client defined the guest .* in libvirt here again' || fail "$(result 'r["reason"]')"
assert_whole source

# A guest of that UUID, or of that name, is defined there: ours never is, and runs here again.
stopped_at after-DST_START
libvirt_in b virsh -q define "$old" >/dev/null
fault_continue
libvirt_cold_wait 1
result 'r["reason"]' | says 'another client defined a guest with the UUID' || fail "$(result 'r["reason"]')"
libvirt_in b virsh -q undefine "$NAME" >/dev/null
assert_whole source
stopped_at after-DST_START
sed '/<uuid>/d' "$old" >"$DIR/other.xml"
libvirt_in b virsh -q define "$DIR/other.xml" >/dev/null
fault_continue
libvirt_cold_wait 1
result 'r["reason"]' | says "already exists with uuid" || fail "$(result 'r["reason"]')"
libvirt_in b virsh -q undefine "$NAME" >/dev/null
assert_whole source

# The guest is undefined there as soon as it is defined: any client may do that, and the guest is not the source's again.
stopped_at dst-defined
libvirt_in b virsh -q undefine "$NAME" >/dev/null
fault_continue
libvirt_cold_wait 0
assert_eq "$(where_defined)" nowhere "where libvirt has it that somebody has undefined"
assert_result '"after_error" in r'
assert_nothing_unfinished
libvirt_guest_again

# Likewise, and the agent there dies: the next one does not define it once more.
stopped_at before-DST_STARTED
libvirt_in b virsh -q undefine "$NAME" --snapshots-metadata >/dev/null
kill_now "$FAULT_PID"
libvirt_cold_wait 0
assert_eq "$(where_defined)" nowhere "where libvirt has it that somebody has undefined"
assert_nothing_unfinished
libvirt_guest_again

# A start of it waits for a hook, and what is asked of libvirt meanwhile for that; then the agent dies, and its guard has it here again.
mkdir -p "$DIR/libvirt-a/etc/hooks"
printf '#!/bin/sh\n[ "$2" != prepare ] || { : >%s; while [ ! -e %s ]; do sleep 0.1; done; exit 1; }\n' "$DIR/hooked" "$DIR/unhook" >"$DIR/libvirt-a/etc/hooks/qemu"
chmod 755 "$DIR/libvirt-a/etc/hooks/qemu"
libvirt_stop a
libvirt_start_daemon a # libvirt looks for hooks once, at its start
stopped_at src-undefining
libvirt_in a virsh start "$NAME" </dev/null >"$DIR/start.out" 2>&1 &
START=$!
kill_at_exit "$START"
wait_for 60 test -e "$DIR/hooked" || fail "libvirt has run no hook: $(cat "$DIR/start.out")"
fault_continue
wait_for 60 eval '[[ $(cut -d" " -f1 "/proc/$MOVE_PID/syscall") == 7 ]]' || fail "libvirt is not asked to undefine it" # poll(2)
kill_now "$MOVE_PID"
wait_for 60 guard_pid >/dev/null || fail "there is no guard"
: >"$DIR/unhook"
wait_for 60 process_is_gone "$START" || fail "virsh start does not end"
guard_ends
recover 1
assert_whole source
assert_nothing_unfinished
