#!/bin/bash
# A guest works, is shut down, and moves by SSH to a host that has nothing of ours: its disk and what it boots from are there, bit for bit; its
# script starts it there and no more here; the other host is left as one would wish.
# tier: gate
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
ssh_guest
wait_for 60 has_disk_ops a 2 || fail "it has written nothing to its disk"
guest_order "$(orders a)" quiesce >/dev/null
line=$(tr '\0' '\n' <"/proc/${GUEST_PID[a]}/cmdline" | sed "s/'/'\\\\''/g; s/.*/'&'/" | tr '\n' ' ')
qmp "$(monitor a)" '{"execute": "quit"}' >/dev/null
wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "it does not end"
printf '#!/bin/sh\nexec %s\n' "$line" >"$VM/a.sh"
chmod 700 "$VM/a.sh"
sum=$(md5sum <"$VM/a.raw")

vmferry_on_a migrate "$VM/a.sh" root@host-b --how cold --json -v </dev/null >"$DIR/move.json" 2>"$DIR/move.log" || fail "$(tail -n 3 "$DIR/move.log")"
assert_result 'r["outcome"] == "migrated" and r["transport"].startswith("TLS")'
assert_eq "$(md5sum <"$(there "$VM/a.raw")")" "$sum" "its disk"
[[ -x $(there "$VM/a.sh") && ! -e $VM/a.sh ]] || fail "scripts: $(ls "$VM" "$(there "$VM")")"
[[ -z $(ls -A "$(there "$HOME_B/.cache/vmferry")" 2>/dev/null) && -z $(ls -A "$(there /run/vmferry)" 2>/dev/null) ]] || fail "the agent is left"
[[ -z $(find "$VMFERRY_STATE_DIR" "$(there /var/lib/vmferry)" -name '*.journal' 2>/dev/null) ]] || fail "unfinished journals"

start_on_b "$VM/a.sh"
GUEST_AT[a]=$(there "$VM")
wait_for 60 eval '[[ $(status_of "$(monitor a)" 2>/dev/null) == running ]]' || fail "it does not start there"
wait_for 60 eval 'guest_order "$(orders a)" stats &>/dev/null' || fail "the guest does not boot there"
guest_verify "$(orders a)" blocks
