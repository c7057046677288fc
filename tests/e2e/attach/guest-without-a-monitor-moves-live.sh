#!/bin/bash
# A guest that was started without any monitor is refused by a sentence that names `vmferry attach`; once attached it moves live, nothing of it is
# lost, and it has a QMP monitor on its command line there, by which it moves on. Attached to twice it has one monitor.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

NAME=attached-$$
guest_disk "$DIR/a.qcow2" qcow2 64M
NO_QMP=yes WITNESS="ram_mb=64 rate=200 disks=vda disk_mb=32 disk_rate=20" tiny_start "$NAME" $(guest_drive d0 "$DIR/a.qcow2" qcow2)
at_exit "rm -f /run/$NAME.qmp"
vmferry check "${GUEST_PID[$NAME]}" local --disk-dir "$DIR" >"$DIR/check" 2>&1 && fail "check knows a way: $(cat "$DIR/check")"
grep -q "vmferry attach ${GUEST_PID[$NAME]}" "$DIR/check" || fail "check does not name it: $(cat "$DIR/check")"
vmferry list "${GUEST_PID[$NAME]}" -v >"$DIR/list" || true
grep -q "vmferry attach ${GUEST_PID[$NAME]}" "$DIR/list" || fail "list does not name it: $(cat "$DIR/list")"

vmferry attach "${GUEST_PID[$NAME]}" >"$DIR/attach" || fail "it is not attached to"
SOCKET=$VMFERRY_RUNTIME_DIR/vmferry-${GUEST_PID[$NAME]}.qmp
grep -q "has a QMP monitor now: $SOCKET" "$DIR/attach" || fail "attach does not say where: $(cat "$DIR/attach")"
vmferry attach "${GUEST_PID[$NAME]}" | grep -q "has its monitor already: $SOCKET" || fail "it is attached to a second time"
grep -q "r-xp 00000000 00:00 0 *\$" "/proc/${GUEST_PID[$NAME]}/maps" && fail "code that was put into QEMU is left there"

move "$NAME" local
[[ ! -e $SOCKET ]] || fail "the socket of the QEMU that has ended is left"
LINE=$(tr '\0' ' ' <"/proc/${GUEST_PID[$NAME]}/cmdline")
[[ $LINE == *"-qmp unix:/run/$NAME.qmp,server=on,wait=off"* ]] || fail "it has no monitor there: $LINE"
guest_verify "$(orders "$NAME")" blocks
move "$NAME" local
guest_verify "$(orders "$NAME")" blocks
