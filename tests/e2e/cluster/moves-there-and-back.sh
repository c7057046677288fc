#!/bin/bash
# Pacemaker moves a guest as it runs to its other node and back, with its own disk and with one that both nodes see; a stop shuts it down. By hand
# vmferry leaves it to Pacemaker, and says how.
. "$(dirname "$0")/../../lib/pacemaker.sh"
cluster_start
for DISKS in local shared; do
	guest_configure
	guest_runs_on pa
	written=$(tiny_written vm1)
	: >"$CALLS"
	move_to pb
	read -r pages blocks <<<"$(tiny_written vm1)"
	[[ $pages -ge ${written% *} && $blocks -ge ${written#* } ]] || fail "the guest has begun anew"
	assert_eq "$(calls)" "pa migrate_to 0,pb migrate_from 0,pa stop 0" "what the agent was asked"

	status=0
	on pb vmferry migrate vm1 pa:7788 --plaintext >"$DIR/said" 2>&1 || status=$?
	assert_eq "$status" 3 "exit code of a move by hand"
	grep -q 'crm_resource --move --resource vm1 --node' "$DIR/said" || fail "it does not say how Pacemaker moves it: $(<"$DIR/said")"
	on pb vmferry list | grep -q ' Pacemaker ' || fail "list does not say whose it is: $(on pb vmferry list)"

	move_to pa
	guest_verify "$(orders vm1)" blocks
	"$ASK" qmp "$(node_dir pa)/vm1.mon" '{"execute": "query-status"}' SHUTDOWN >"$DIR/shutdown" &
	hears=$!
	guest_forget
	wait "$hears"
	assert_eq "$(tail -n 1 "$CALLS")" "pa stop 0" "the last call"
	grep -q 'guest-shutdown' "$DIR/shutdown" || fail "the guest was not told to shut down: $(<"$DIR/shutdown")"
	[[ -z $(on pa ls /run/vmferry/owners | grep -v log) && -z $(on pb ls /run/vmferry/owners | grep -v log) ]] || fail "notes are left"
	rm -f "$(node_dir pb)"/* # the same as before
done
