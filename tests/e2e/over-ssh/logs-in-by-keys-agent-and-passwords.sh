#!/bin/bash
# Every way to log in, and what is said when there is none. Secrets are typed at a terminal and never shown.
. "$(dirname "$0")/../../lib/ssh-host.sh"
ssh_hosts_start
keys=$HOME_A/keys
on_a mkdir -m 700 "$keys"
on_a ssh-keygen -q -t ecdsa -N '' -f "$keys/ecdsa"
on_a ssh-keygen -q -t ecdsa -m PEM -N '' -f "$keys/pem"
on_a ssh-keygen -q -t rsa -N '' -f "$keys/rsa"
on_a ssh-keygen -q -t ed25519 -N 'open sesame' -f "$keys/locked"
on_a ssh-keygen -q -t ecdsa -m PEM -N 'open sesame' -f "$keys/locked_pem"
on_a ssh-keygen -q -t ed25519 -N '' -f "$keys/stranger"
mine=$(at_a "$HOME_A/.ssh/id_ed25519")
allow_key "$mine.pub" "$(at_a "$keys")"/{ecdsa,pem,rsa,locked,locked_pem}.pub
rsa_is_usable=$(pkg-config --exists 'libssh2 >= 1.11' && echo yes || true)

typed() { # STATUS ANSWERS... -- ARGUMENT...
	local status=0 want=$1
	shift
	on_a env -u SSH_AUTH_SOCK python3 -S "$TOP/tests/lib/typing.py" "$@" >"$DIR/err" || status=$?
	assert_eq "$status" "$want" "status of ${*} ($(tail -n 3 "$DIR/err"))"
}
tool_path=$BIN/ssh-tool

for key in ecdsa pem; do
	tool 0 -i "$keys/$key" root@host-b exec true
done
tool 0 ferry@host-b exec true
tool 0 -o -b -i "$keys/rsa" ferry@host-b exec true

# passphrases
for key in locked locked_pem; do
	tool 99 -i "$keys/$key" root@host-b exec true
	said "$key: not tried, as there is no terminal to ask you for its passphrase; it accepts: publickey. Add the key to an agent"
	typed 0 'open sesame' -- "$tool_path" -i "$keys/$key" root@host-b exec true
	typed 0 wrong 'open sesame' -- "$tool_path" -i "$keys/$key" root@host-b exec true
	typed 99 wrong 'not it' 'nor this' -- "$tool_path" -i "$keys/$key" root@host-b exec true
	said "$key: not the right passphrase"
done
typed 0 wrong 'open sesame' -- "$tool_path" -2 -i "$keys/locked" root@host-b exec true # known for the second login
typed 99 -- "$tool_path" -b -i "$keys/locked" root@host-b exec true
typed 99 '^C' -- "$tool_path" -i "$keys/locked" root@host-b exec true
said 'ssh-tool: cancelled at the terminal'
typed 0 'open sesame' -- "$tool_path" -o -i "$keys/locked" root@host-b exec true

# RSA
if [[ -z $rsa_is_usable ]]; then
	tool 99 -i "$keys/rsa" root@host-b exec true
	said 'rsa: left out, as it is RSA; .*--ssh=openssh'
else
	tool 0 -i "$keys/rsa" root@host-b exec true
fi

# the agent
on_a ssh-agent -a "$HOME_A/agent" >/dev/null
agent_pid=$(on_a pgrep -nx ssh-agent)
export SSH_AUTH_SOCK=$HOME_A/agent
on_a ssh-add -q "$keys/stranger" "$keys/rsa" "$keys/ecdsa"
mv "$mine" "$mine.away"
tool 0 root@host-b exec true
on_a ssh-add -q -D 2>/dev/null
tool 99 root@host-b exec true
said 'tried: nothing, as there is no key; it accepts: publickey'
on_a ssh-add -q "$keys/stranger"
tool 99 root@host-b exec true
said 'of the agent: refused'
on_a python3 -S "$TOP/tests/lib/typing.py" 'open sesame' -- ssh-add "$keys/locked" >/dev/null
tool 0 -i "$keys/locked" root@host-b exec true
kill "$agent_pid"
tool 99 root@host-b exec true
unset SSH_AUTH_SOCK

# refused
tool 99 -i "$keys/stranger" root@host-b exec true
said 'stranger: refused; it accepts: publickey. Put your public key there'
tool 99 -i "$keys/none" root@host-b exec true
said 'none: No such file'
tool 99 -i "$keys/ecdsa.pub" root@host-b exec true
said 'not a private key'
tool 99 -i "$keys/ecdsa" nobody-there@host-b exec true
said 'nobody-there@host-b:22 refused the login'
tool 99 -o -b -i "$keys/stranger" root@host-b exec true
said 'ssh to root@host-b:22 failed: .*Permission denied'

# passwords
sshd_stop
sshd_start 'PasswordAuthentication yes' 'PubkeyAuthentication no'
tool 99 ferry@host-b exec true
said 'it accepts: password. Call from a terminal'
typed 0 "$FERRY_PASSWORD" -- "$tool_path" ferry@host-b exec true
typed 0 wrong "$FERRY_PASSWORD" -- "$tool_path" ferry@host-b exec true
typed 0 wrong "$FERRY_PASSWORD" -- "$tool_path" -2 ferry@host-b exec true # asked once, and known for the second login
typed 99 wrong wrong wrong -- "$tool_path" ferry@host-b exec true
said 'password: refused 3 times'
typed 0 "$FERRY_PASSWORD" -- "$tool_path" -o ferry@host-b exec true
