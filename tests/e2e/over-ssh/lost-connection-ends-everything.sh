#!/bin/bash
# An sshd that dies, that is not there, that does not answer: an error in time, no hang; with both back ends.
. "$(dirname "$0")/../../lib/ssh-host.sh"
ssh_hosts_start
on_b "$BIN/ssh-tool" serve 7000 >"$DIR/serve" &
wait_for 60 grep -q listening "$DIR/serve" || fail "the other end does not listen"

streams_begun() { # AT-LEAST
	[[ $(grep -c begun "$DIR/serve") -ge $1 ]]
}

STREAMS=0
begin_and_kill() { # OPTION...
	rm -f "$DIR/begun"
	STREAMS=$((STREAMS + 2))
	on_a setsid -w "$BIN/ssh-tool" "$@" root@host-b exec "echo begun; exec sleep 1732" >"$DIR/begun" 2>"$DIR/err" </dev/null &
	local command=$!
	on_a setsid -w "$BIN/ssh-tool" "$@" root@host-b bulk 127.0.0.1 7000 2 2000 >"$DIR/out" 2>"$DIR/err2" </dev/null &
	local streams=$! status=0
	wait_for 60 grep -q begun "$DIR/begun" || fail "the command does not begin"
	wait_for 60 streams_begun $STREAMS || fail "the streams do not begin"
	sshd_stop
	wait "$command" || status=$?
	assert_eq "$status" 99 "status of the command"
	said 'SSH connection ended'
	status=0
	wait "$streams" || status=$?
	assert_eq "$status" 1 "status of the streams"
	grep -q DIFFERENT "$DIR/out" || fail "streams: $(<"$DIR/out")"
	kill $(on_b pgrep -f '^sleep 1732$') || true
}

begin_and_kill
sshd_start
begin_and_kill -o

tool 99 root@host-b exec true
said 'cannot connect to root@host-b:22: Connection refused'
tool 99 -o -b root@host-b exec true
said 'Connection refused'
tool 99 root@no-such-name.invalid exec true
said "cannot resolve 'no-such-name.invalid'.*--ssh=openssh"

begin=$SECONDS
on_a ip neigh replace 10.231.0.77 lladdr 02:00:00:00:00:77 dev to-b
tool 99 -t 1500 root@10.231.0.77 exec true
said 'timed out'
tool 99 -o -b -t 1500 root@10.231.0.77 exec true
said 'timed out'
[[ $((SECONDS - begin)) -lt 40 ]] || fail "an unreachable host took $((SECONDS - begin)) s"

on_b python3 -S -c 'import socket, time; s = socket.create_server(("10.231.0.2", 22)); k = [s.accept() for i in (1, 2)]; time.sleep(99)' &
silent() { on_a bash -c ': <>/dev/tcp/10.231.0.2/22' 2>/dev/null; }
wait_for 60 silent || fail "nobody listens"
tool 99 -t 1500 root@host-b exec true
said 'does not answer as an SSH server within 2 s'
