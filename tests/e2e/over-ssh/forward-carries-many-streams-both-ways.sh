#!/bin/bash
# Byte streams to a port of the other host: 4 at once, 32 MiB each way in each, checked; through the rekeying of the
# connection; one that nobody reads holds up no other; a port where nobody listens; with both back ends.
# timeout: 300
. "$(dirname "$0")/../../lib/ssh-host.sh"
ssh_hosts_start
on_b "$BIN/ssh-tool" serve 7000 >"$DIR/serve" &
wait_for 60 grep -q listening "$DIR/serve" || fail "the other end does not listen"

check() { # OPTION...
	tool 0 "$@" root@host-b forward 127.0.0.1 7000 4 32
	cat "$DIR/out"
	tool 0 "$@" root@host-b send localhost 7000 16 8
	tool 0 "$@" root@host-b bulk 127.0.0.1 7000 4 32
	cat "$DIR/out"
	tool 0 "$@" root@host-b stuck 127.0.0.1 7000
	tool 0 "$@" root@host-b ends 127.0.0.1 7000
	assert_eq "$(<"$DIR/out")" 'end seen'
}

check
tool 99 root@host-b send 127.0.0.1 7999 1 1
said 'root@host-b:22: no connection from there to 127.0.0.1 port 7999'
check -o
sshd_stop
sshd_start 'RekeyLimit 5M'
check
sshd_stop
sshd_start 'AllowTcpForwarding no'
tool 99 root@host-b send 127.0.0.1 7000 1 1
said 'no connection from there'
