# shellcheck shell=bash
# For end-to-end tests over SSH; to be sourced after guest.sh or move.sh, or alone. Two hosts out of namespaces:
#
#     host-a 10.231.0.1 ════ veth ════ host-b 10.231.0.2:22, a real sshd
#
# Each has its own network, /etc/passwd, homes, /etc/ssh, /run, /var/lib, /var/cache; all else, and this checkout and DIR
# wherever they lie, is what this machine has, so QEMU, sockets and images are found under the same paths. Nothing of sshd is installed
# or started outside: without /usr/sbin/sshd, the one under build/sshd (scripts/install-deps) is used. Nothing is left at exit;
# if the shell is killed the namespaces end with it.
#
#   ssh_hosts_start                 makes both, with sshd; root on host-a may log in to host-b as root and as ferry
#                                   (an ed25519 key; host-b's keys are in known_hosts)
#   on_a COMMAND...                 as root on host-a: on_a "$BIN/vmferry" migrate … root@host-b. In the background:
#                                   on_a … & kill_at_exit $!; the environment is the test's, but for HOME
#                                   and TMPDIR
#   on_b COMMAND...                 as root on host-b
#   on_b_as USER COMMAND...
#   at_a PATH, at_b PATH            prints the path by which this test finds that file of host-a or host-b, where it has its
#                                   own: root's home is $HOME_A, $HOME_B (/var/lib/host/root), ferry's is $HOME_FERRY
#   sshd_start [OPTION...]          again, after sshd_stop, with lines for sshd_config: sshd_start "MaxSessions 1"
#   sshd_stop                       ends sshd and all of its connections
#   login_shell PATH                changes that of root
#   host_b_processes                pids of all that runs there
#   allow_key PUBLIC-KEY-FILE...    these keys, and no others, may log in as root and as ferry
#   know_host_b [KEY TYPE...]       writes root's known_hosts on host-a
#   tool STATUS ARGUMENT...; said PATTERN    the SSH client on its own (tests/lib/ssh-tool.c)
#
# Processes on host-b have the same pids as seen from here (guest_adopt works); those left at exit are killed.
# SSHD_LOG is what sshd says. Passwords: ferry has "in-the-clear", root none.
#
# Skips (77) where namespaces cannot be made or there is no sshd.

A_ADDRESS=10.231.0.1 B_ADDRESS=10.231.0.2
HOME_A=/var/lib/host/root HOME_B=/var/lib/host/root HOME_FERRY=/var/lib/host/ferry
FERRY_PASSWORD=in-the-clear
HOST_A='' HOST_B='' # pids of what holds their namespaces
SSHD_PID=

if ! declare -F at_exit >/dev/null; then # without guest.sh, which needs QEMU
	set -euo pipefail
	. "$(dirname "${BASH_SOURCE[0]}")/base.sh"
	test_begins
fi

SSHD_LOG=$DIR/sshd.log
: >"$SSHD_LOG"
HOSTS=$DIR/hosts

# --- commands there ------------------------------------------------------------------------

on_host() { # PID HOME COMMAND...
	nsenter -t "$1" -n -m -u env -C "$PWD" HOME="$2" "${@:3}" # -C: as the path leads there, see hide
}

on_a() { # COMMAND...
	on_host "$HOST_A" "$HOME_A" TMPDIR="$DIR/tmp-a" "$@"
}

on_b() { # COMMAND...
	on_host "$HOST_B" "$HOME_B" "$@"
}

on_b_as() { # USER COMMAND...
	on_host "$HOST_B" "/var/lib/host/$1" setpriv --reuid="$1" --regid="$(id_on_b "$1")" --clear-groups "${@:2}"
}

id_on_b() { # USER
	awk -F: -v name="$1" '$1 == name { print $3 }' "$HOSTS/passwd"
}

at_a() { # PATH
	echo "/proc/$HOST_A/root$1"
}

at_b() { # PATH
	echo "/proc/$HOST_B/root$1"
}

# --- making them ---------------------------------------------------------------------------

# A process that does nothing in new namespaces, and ends with this shell.
host_hold() { # NAME: sets HOST_PID
	local ready=$HOSTS/$1.ready
	rm -f "$ready"
	mkfifo "$ready"
	setpriv --pdeathsig KILL unshare --net --mount --uts --propagation private \
		bash -c 'hostname "$1"; ip link set lo up; echo yes >"$2"; exec sleep infinity' bash "$1" "$ready" \
		</dev/null >/dev/null 2>"$HOSTS/$1.err" &
	HOST_PID=$!
	[[ $(timeout 20 cat "$ready") == yes ]] || skip "no namespaces here: $(tail -n 1 "$HOSTS/$1.err")"
	rm -f "$ready"
}

write_users() {
	cat >"$HOSTS/passwd" <<-END
		root:x:0:0:root:/var/lib/host/root:/bin/bash
		sshd:x:74:74::/run/sshd:/usr/sbin/nologin
		ferry:x:1731:1731::/var/lib/host/ferry:/bin/sh
		nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin
	END
	cat >"$HOSTS/group" <<-END
		root:x:0:
		sshd:x:74:
		ferry:x:1731:
		kvm:x:1732:ferry
		nogroup:x:65534:
	END
	printf '%s:%s:19000:0:99999:7:::\n' root '*' ferry "$(openssl passwd -6 "$FERRY_PASSWORD")" >"$HOSTS/shadow"
	printf '127.0.0.1 localhost\n%s host-a\n%s host-b\n' "$A_ADDRESS" "$B_ADDRESS" >"$HOSTS/hosts"
	chmod 600 "$HOSTS/shadow"
}

# Gives a host its own writable directories and files of /etc.
host_furnish() { # PID
	mkdir -p "$HOSTS/ssh"
	nsenter -t "$1" -m env TOP="$TOP" DIR="$DIR" bash -ec "$(declare -f hide closed_directory open_the_way)"'
		for at in /run /var/lib /var/cache; do hide "$at"; done
		open_the_way
		mkdir -p -m 755 /run/sshd /var/lib/host
		mkdir -m 700 /var/lib/host/root /var/lib/host/ferry
		chown 1731:1731 /var/lib/host/ferry
		for file in passwd group shadow hosts; do mount --bind "$1/$file" "/etc/$file"; done
		[[ ! -d /etc/ssh ]] || mount -t tmpfs -o mode=755 host /etc/ssh
		if [[ -n $2 && -d $2/usr/lib/openssh && -d /usr/lib/openssh ]]; then
			mount --bind "$2/usr/lib/openssh" /usr/lib/openssh
		fi' bash "$HOSTS" "$SSHD_ROOT"
}

host_wire() {
	nsenter -t "$HOST_A" -n ip link add to-b type veth peer name to-a netns "$HOST_B"
	nsenter -t "$HOST_A" -n ip address add "$A_ADDRESS/24" dev to-b
	nsenter -t "$HOST_B" -n ip address add "$B_ADDRESS/24" dev to-a
	nsenter -t "$HOST_A" -n ip link set to-b up
	nsenter -t "$HOST_B" -n ip link set to-a up
}

# --- sshd ----------------------------------------------------------------------------------

find_sshd() { # sets SSHD and SSHD_ROOT, the place it was unpacked to
	SSHD_ROOT=
	SSHD=/usr/sbin/sshd
	[[ -x $SSHD && -z ${USE_UNPACKED_SSHD:-} ]] && return
	SSHD_ROOT=$TOP/build/sshd
	SSHD=$SSHD_ROOT/usr/sbin/sshd
	[[ -x $SSHD ]] || skip "no sshd: run scripts/install-deps"
}

sshd_listens() {
	on_b bash -c ": <>/dev/tcp/$B_ADDRESS/22" 2>/dev/null
}

sshd_start() { # [LINE OF sshd_config...]: they come first, so they win
	{
		printf '%s\n' "$@"
		cat <<-END
			ListenAddress $B_ADDRESS:22
			PidFile none
			UsePAM no
			StrictModes no
			PermitRootLogin yes
			AuthorizedKeysFile %h/.ssh/authorized_keys
			PasswordAuthentication no
			KbdInteractiveAuthentication no
			PrintMotd no
			LogLevel VERBOSE
			MaxStartups 100
			MaxSessions 40
			UseDNS no
			SetEnv TMPDIR=/run/tmp
		END
		# from 9.8 on a client that is refused too often is not let in for a while: here it is meant to be
		! grep -aqi persourcepenalties "$SSHD" || echo "PerSourcePenalties no"
		[[ " $* " == *HostKey* ]] || printf 'HostKey %s\n' "$HOSTS"/key_{ed25519,ecdsa,rsa}
	} >"$HOSTS/sshd_config"
	on_b mkdir -p -m 1777 /run/tmp
	on_b setpriv --pdeathsig KILL \
		env LD_LIBRARY_PATH="$SSHD_ROOT/usr/lib/x86_64-linux-gnu:$SSHD_ROOT/lib/x86_64-linux-gnu" \
		"$SSHD" -D -f "$HOSTS/sshd_config" -E "$SSHD_LOG" </dev/null >>"$SSHD_LOG" 2>&1 &
	SSHD_PID=$!
	disown "$SSHD_PID" # no shell message tells of its end
	wait_for 60 sshd_listens || fail "sshd does not start: $(tail -n 3 "$SSHD_LOG")"
}

sshd_stop() { # Ends sshd and its connections; programs of its sessions live on.
	local pid
	[[ -n $SSHD_PID ]] || return 0
	for pid in $(host_b_processes); do
		[[ $(readlink "/proc/$pid/exe") != */sshd* ]] || kill -KILL "$pid" 2>/dev/null || true
	done
	SSHD_PID=
}

# --- beginning and end ---------------------------------------------------------------------

host_processes() { # PID: all in the network of that one
	local net at
	net=$(readlink "/proc/$1/ns/net") || return 0
	{ find /proc/[0-9]*/ns/net -maxdepth 0 -lname "net:\\${net#net:}" 2>/dev/null || true; } | while read -r at; do
		at=${at#/proc/}
		echo "${at%%/*}"
	done
}

host_b_processes() {
	host_processes "$HOST_B"
}

hosts_end() {
	local host pid
	for host in $HOST_A $HOST_B; do
		for pid in $(host_processes "$host"); do
			kill -KILL "$pid" 2>/dev/null
			wait "$pid" 2>/dev/null # only children of this shell
		done
	done
	[[ ${status:-0} -eq 0 || ${status:-0} -eq 77 || ! -s $SSHD_LOG ]] || {
		echo "--- sshd.log" >&2
		tail -n 6 "$SSHD_LOG" >&2
	}
}

# The keys of host-b, in the files of host-a as ssh-keyscan would have put them there.
know_host_b() { # [KEY TYPE...]
	local type
	[[ $# -gt 0 ]] || set -- ed25519 ecdsa rsa
	for type; do
		cut -d' ' -f1,2 "$HOSTS/key_$type.pub" | sed "s/^/host-b,$B_ADDRESS /"
	done >"$(at_a "$HOME_A/.ssh/known_hosts")"
}

# A host key of host-b, the same in each test, as making one of RSA takes a second or two.
host_key() { # TYPE
	local kept=$TOP/build/ssh-keys lock
	mkdir -p "$kept"
	exec {lock}>"$kept/.lock"
	flock "$lock"
	if [[ ! -e $kept/$1.pub ]]; then
		rm -f "$kept/$1"
		ssh-keygen -q -t "$1" -N '' -C host-b -f "$kept/$1"
	fi
	exec {lock}>&-
	cp -p "$kept/$1" "$HOSTS/key_$1"
	cp -p "$kept/$1.pub" "$HOSTS/key_$1.pub"
}

ssh_hosts_start() {
	local type
	[[ $EUID -eq 0 ]] || skip "two hosts with an sshd need root, for namespaces"
	find_sshd
	cd "$TOP" # a directory that both hosts have, wherever this was called
	mkdir -p "$HOSTS" "$DIR/tmp-a"
	chmod 711 "$DIR" "$HOSTS"
	write_users
	at_exit hosts_end
	host_hold host-a
	HOST_A=$HOST_PID
	host_hold host-b
	HOST_B=$HOST_PID
	host_furnish "$HOST_A"
	host_furnish "$HOST_B"
	host_wire
	for type in ed25519 ecdsa rsa; do host_key "$type"; done
	on_a mkdir -m 700 "$HOME_A/.ssh"
	on_a ssh-keygen -q -t ed25519 -N '' -C root@host-a -f "$HOME_A/.ssh/id_ed25519"
	know_host_b
	allow_key "$(at_a "$HOME_A/.ssh/id_ed25519.pub")"
	sshd_start
}

# Lets this key, and no other, in on host-b.
allow_key() { # PUBLIC-KEY-FILE...
	local home
	for home in "$HOME_B" "$HOME_FERRY"; do
		mkdir -p "$(at_b "$home/.ssh")"
		cat "$@" >"$(at_b "$home/.ssh/authorized_keys")"
	done
	on_b chown -R ferry:ferry "$HOME_FERRY/.ssh"
}

# Root's, from the next login on.
login_shell() { # PATH
	local users
	users=$(sed "s|^\(root:.*\):[^:]*|\1:$1|" "$HOSTS/passwd")
	echo "$users" >"$HOSTS/passwd" # the file itself is mounted in both hosts
}

# --- the client on its own -----------------------------------------------------------------

# ssh-tool on host-a without a terminal. What it says is in DIR/out and DIR/err.
tool() { # STATUS ARGUMENT... : of tests/lib/ssh-tool.c
	local status=0
	on_a env ${SSH_AUTH_SOCK:+SSH_AUTH_SOCK="$SSH_AUTH_SOCK"} setsid -w "$BIN/ssh-tool" "${@:2}" \
		>"$DIR/out" 2>"$DIR/err" </dev/null || status=$?
	assert_eq "$status" "$1" "status of ssh-tool ${*:2} ($(tail -n 2 "$DIR/err"))"
}

said() { # PATTERN: that the error message has it
	grep -qE -- "$1" "$DIR/err" || fail "expected '$1' in: $(<"$DIR/err")"
}

# libssh2 1.10 leaks some bytes with each key exchange and each ECDSA key.
printf 'leak:libssh2.so\nleak:libcrypto.so\n' >"$DIR/lsan"
export LSAN_OPTIONS=suppressions=$DIR/lsan:print_suppressions=0
