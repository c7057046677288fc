#!/bin/bash
# --ssh=openssh: aliases, proxies and identities of ~/.ssh/config count; its forwardings and masters do not get in the way.
. "$(dirname "$0")/../../lib/ssh-host.sh"
ssh_hosts_start
on_b "$BIN/ssh-tool" serve 7000 >"$DIR/serve" &
wait_for 60 grep -q listening "$DIR/serve" || fail "the other end does not listen"
mv "$(at_a "$HOME_A/.ssh/id_ed25519")" "$(at_a "$HOME_A/.ssh/elsewhere")"
cat >"$(at_a "$HOME_A/.ssh/config")" <<-END
	Host there behind
	  HostName $B_ADDRESS
	  User ferry
	  IdentityFile ~/.ssh/elsewhere
	  LocalForward 127.0.0.1:7001 127.0.0.1:7000
	  RemoteCommand none
	  ControlMaster auto
	  ControlPath ~/.ssh/own-%C
	Host behind
	  ProxyCommand bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & cat >&3; kill \$!'
END
tool 99 there exec true
said "cannot resolve 'there'; if it is an alias of your ssh configuration, say --ssh=openssh"
tool 0 -o -b there exec 'id -un'
assert_eq "$(<"$DIR/out")" ferry
said "^connected: ferry@$B_ADDRESS:22 at $B_ADDRESS\$"
tool 0 -o -b there send 127.0.0.1 7000 4 4
tool 0 -o -b root@behind exec 'id -un'
assert_eq "$(<"$DIR/out")" root
said '^connected: root@.* at \?$'
tool 0 -o -b behind forward 127.0.0.1 7000 2 4
[[ -z $(find "$(at_a "$HOME_A/.ssh")" -name 'own-*') ]] || fail "the user's own master was made"

# An ssh-tool that is killed leaves no master for long: it ends after its last user, at most a minute later.
on_a setsid -w "$BIN/ssh-tool" -o -b there exec 'echo begun; cat' >"$DIR/begun" 2>/dev/null < <(exec sleep 60) &
wait_for 60 grep -q begun "$DIR/begun" || fail "the command does not begin"
pkill -KILL -x --ns "$HOST_A" --nslist net ssh-tool
no_client() {
	! pgrep --ns "$HOST_A" --nslist net -f '^ssh -F /dev/null' >/dev/null
}
wait_for 60 no_client || fail "an ssh of ours is left: $(pgrep --ns "$HOST_A" --nslist net -af '^ssh -F')"
