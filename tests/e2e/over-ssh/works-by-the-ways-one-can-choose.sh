#!/bin/bash
# The ssh program, ports and address of the agent, an agent that stays, and a user who is not root, each with a guest.
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
for name in a b; do ssh_guest "$name"; done

listens() { # prints addresses that are listened on at host-b, but for sshd's
	on_b ss -Hlnt | awk '{ print $4 }' | grep -v ':22$' | sort | xargs
}

peers() { # ports of host-b that vmferry is connected to
	on_a ss -Hnt state established "dst $B_ADDRESS" | awk '{ print $4 }' | sed 's/.*://' | sort -u | xargs
}

# the ssh program, with its configuration: host-b under another name
printf 'Host the-other\n  HostName %s\n  HostKeyAlias host-b\n  User root\n' "$B_ADDRESS" >"$(at_a "$HOME_A/.ssh/config")"
ssh_move_start a the-other --ssh=openssh --data-ports 47000-47001 --listen-address "$B_ADDRESS" --keep-agent --hold --reconnect-timeout 0
wait_for 60 is_moving_with a 's["held"]' || fail "the move is not held"
assert_eq "$(listens)" "" "what the agent still listens on"
assert_eq "$(peers)" "22 47000" "where vmferry is connected to"
vmferry switch --no-wait "${GUEST_PID[a]}"
move_wait
cache=$(there "$HOME_B/.cache/vmferry")
assert_eq "$(ls "$cache" | wc -l)" 1 "agents that are kept"
kept=$(stat -c %i "$cache"/*)

# the agent is used again, and stays
ssh_move b "root@$B_ADDRESS" --data-ports 47000-47010
assert_eq "$(stat -c %i "$cache"/*)" "$kept" "the agent that was kept"
rm "$cache"/*
assert_arrived a
assert_arrived b
assert_result 'r["transport"] == "TLS 1.3, TLS_AES_128_GCM_SHA256"'

# all of its ports are taken
for name in a b; do guest_stop "$name"; done
rm -f "$TO"/*
ssh_guest a
start_on_b python3 -S -c 'import socket, time; s = socket.create_server(("10.231.0.2", 47000)); print("listening", flush=True); time.sleep(99)' \
	>"$DIR/taken"
wait_for 60 grep -q listening "$DIR/taken"
remember
refused 3 'cannot listen on 10.231.0.2, port 47000: Address already in use' root@host-b --data-ports 47000-47000 --listen-address "$B_ADDRESS"
refused 3 'cannot listen on 10.231.0.99' root@host-b --listen-address 10.231.0.99
# some of them are
ssh_move a root@host-b --data-ports 47000-47003 --listen-address "$B_ADDRESS"
end_process "$B_PID"
assert_arrived a
