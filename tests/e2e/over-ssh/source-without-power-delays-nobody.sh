#!/bin/bash
# All goes through SSH, and the source's host has no power any more when the destination has promised: there nobody hears of that for hours, as its
# connection ends at its own sshd. A person who knows has the guest started at once.
. "$(dirname "$0")/../../lib/over-ssh.sh"
command -v nft >/dev/null || skip "nft is not installed"
hosts_start
ssh_guest
ON=(on_a)

fault src-ready stop
ssh_move_start a root@host-b --listen-address 127.0.0.1
fault_wait
agent=$(agent_on_b | head -n 1)
on_b nft -f - <<-END
	table inet test {
		chain in { type filter hook input priority 0; iifname "to-a" drop; }
		chain out { type filter hook output priority 0; oifname "to-a" drop; }
	}
END
kill_agent_here
kill_now "${GUEST_PID[a]}"
begin=$SECONDS
timeout 60 nsenter -t "$HOST_B" -n -m -u env -u VMFERRY_STATE_DIR -u VMFERRY_RUNTIME_DIR "/proc/$agent/exe" recover a --peer-is-fenced \
	</dev/null >"$DIR/recover.out" 2>"$DIR/recover.log" || fail "recover: $? ($(tail -n 2 "$DIR/recover.log"))"
echo "it took $((SECONDS - begin)) s"
[[ $((SECONDS - begin)) -lt 50 ]] || fail "it took $((SECONDS - begin)) s"
adopt_on_b
assert_eq "$(status_of "$(free_monitor a)")" running "the guest"
guest_verify "$(orders a)" blocks
