#!/bin/bash
# A command at the other host: its stdin, stdout, exit status and the last of its stderr; with both back ends.
# tier: gate
. "$(dirname "$0")/../../lib/ssh-host.sh"
ssh_hosts_start

check() { # OPTION...
	tool 0 "$@" root@host-b exec 'echo hello; hostname'
	assert_eq "$(<"$DIR/out")" $'hello\nhost-b' "stdout $*"
	said "^connected: root@host-b:22 at $B_ADDRESS\$"
	tool 7 "$@" host-b exec 'echo wrong >&2; exit 7'
	said '^stderr: wrong$'
	tool 0 "$@" "root@$B_ADDRESS:22" exec 'i=0; while [ $i -lt 20000 ]; do echo "line $i" >&2; i=$((i+1)); done'
	said '^line 19999$'
	[[ $(stat -c %s "$DIR/err") -lt 5000 ]] || fail "stderr is not bounded"
	head -c 20000000 /dev/urandom >"$DIR/data"
	on_a "$BIN/ssh-tool" "$@" root@host-b exec 'sha256sum; exit 3' <"$DIR/data" >"$DIR/out" 2>"$DIR/err" &&
		fail "exit status 3 is lost"
	assert_eq "$(cut -c1-64 "$DIR/out")" "$(sha256sum <"$DIR/data" | cut -c1-64)" "sum there"
	on_a "$BIN/ssh-tool" "$@" root@host-b exec cat <"$DIR/data" 2>"$DIR/err" | cmp - "$DIR/data" || fail "not the same back"
	# A command that reads on after the end of its output, and another that does not read at all.
	[[ " $* " == *' -o '* ]] || {
		on_a "$BIN/ssh-tool" "$@" root@host-b exec 'exec >&- 2>&-; cat >/run/copy' <"$DIR/data" 2>"$DIR/err"
		cmp "$DIR/data" "$(at_b /run/copy)" || fail "its input is cut"
	}
	on_a "$BIN/ssh-tool" "$@" root@host-b exec 'echo done' <"$DIR/data" >"$DIR/out" 2>"$DIR/err" || fail "$(<"$DIR/err")"
	assert_eq "$(<"$DIR/out")" "done"
	tool "$killed" "$@" root@host-b exec 'kill -KILL $$'
	tool 99 "$@" nobody-there@host-b exec true
	said 'nobody-there@host-b'
	# A command that stays when the connection is closed.
	tool 0 "$@" root@host-b close "trap '' HUP; echo here; exec sleep 1731"
	assert_eq "$(<"$DIR/out")" here
	on_b pgrep -f '^sleep 1731$' >/dev/null || fail "the command did not outlive the connection"
	kill "$(on_b pgrep -f '^sleep 1731$')"
}

killed=137 check
! beyond_gate unit/test-ssh e2e/over-ssh/host-keys-are-checked || killed=255 check -o # ssh reports only this
[[ -z $(ls -A "$DIR/tmp-a") ]] || fail "control directories are left"
no_ssh() {
	! pgrep -x --ns "$HOST_A" --nslist net ssh >/dev/null
}
wait_for 60 no_ssh || fail "an ssh is left: $(pgrep -ax ssh)"
