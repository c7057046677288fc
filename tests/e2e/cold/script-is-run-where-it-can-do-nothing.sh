#!/bin/bash
# A script that is more than plain words is run to see what it starts: by its own shell, so that variables, arrays, functions and conditions mean what
# they mean, and where it can do nothing: no file, no named pipe, no socket, no process of this host hears of it.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
PATH=${QEMU%/*}:$PATH

record() { # SCRIPT [WORD...]: prints QEMU's words, one a line
	vmferry --record-script . "$@" | tr '\0' '\n'
}

# --- nothing happens -----------------------------------------------------------------------

at_exit "rm -f /tmp/touched-${DIR##*/} $HOME/touched-${DIR##*/}"
mkdir "$DIR/precious" && mkfifo "$DIR/fifo"
sleep 1000 & VICTIM=$!
kill_at_exit "$VICTIM"
python3 -S - "$DIR/sock" >"$DIR/heard" <<-'END' &
	import socket, sys
	s = socket.socket(socket.AF_UNIX)
	s.bind(sys.argv[1])
	s.listen()
	s.accept()
	print("somebody has connected", flush=True)
END
kill_at_exit $!
wait_for 60 test -S "$DIR/sock" || fail "nobody listens"
exec 7<>"$DIR/fifo"
cat >"$DIR/evil.sh" <<-END
	#!/bin/bash
	touch "$DIR/touched"
	/usr/bin/touch "$DIR/touched" /tmp/touched-${DIR##*/} "\$HOME/touched-${DIR##*/}"
	/bin/rm -rf "$DIR/precious"
	echo quit >"$DIR/fifo"
	kill -KILL $VICTIM; /bin/kill -KILL $VICTIM; kill -KILL -1
	python3 -S -c 'import socket; socket.socket(socket.AF_UNIX).connect("$DIR/sock")'
	echo 0 >/proc/sys/kernel/panic_on_oops; echo c >/proc/sysrq-trigger
	/bin/mount -t tmpfs none "$DIR/precious"
	/bin/chmod 0777 /proc/1/exe "$DIR/precious"
	dd if=/dev/zero of="$DIR/evil.sh" bs=1 count=1 conv=notrunc
	python3 -S -c 'import ctypes, struct; ctypes.CDLL(None).syscall(437, -100, b"$DIR/touched", struct.pack("QQQ", 0o101, 0o644, 0), 24)' # openat2
	sleep 1000
	qemu-system-x86_64 --version
	qemu-system-x86_64 -name evil -m 64
END
chmod +x "$DIR/evil.sh"
words=$(record "$DIR/evil.sh") || fail "it is not run"
[[ $words == *$'\n-name\nevil\n-m\n64' ]] || fail "its QEMU is not told: $words"
[[ ! -e $DIR/touched && ! -e /tmp/touched-${DIR##*/} && ! -e $HOME/touched-${DIR##*/} ]] || fail "it has made a file"
[[ $(stat -c %a "$BIN/vmferry") != 777 && $(stat -c %a "$DIR/precious") != 777 ]] || fail "it has changed who may use a file"
[[ -d $DIR/precious && $(head -c 11 "$DIR/evil.sh") == '#!/bin/bash' ]] || fail "it has changed a file"
kill -0 "$VICTIM" || fail "it has ended a process"
[[ ! -s $DIR/heard ]] || fail "it has connected to a socket"
read -r -t 0.1 line <&7 && fail "it has written to a named pipe: $line"

# --- forms ---------------------------------------------------------------------------------

starts() { # NAME WANTED-WORDS, script on standard input
	local got
	{ echo "#!${SHELL_OF:-/bin/bash}"; cat; } >"$DIR/$1.sh"
	chmod +x "$DIR/$1.sh"
	got=$(record "$DIR/$1.sh" | sed -n '/^vmferry-record$/,$p' | tail -n +7 | paste -sd' ')
	assert_eq "$got" "$2" "words of $1"
}

mkdir -p "$DIR/opt/bin"
cp /bin/false "$DIR/opt/bin/qemu-system-x86_64"
starts variables '-m 64 -drive file=/srv/a b.qcow2,if=virtio' <<-'END'
	DIR="/srv/a b"; MEM=${MEM:-64}
	exec qemu-system-x86_64 -m $MEM -drive "file=$DIR.qcow2,if=virtio"
END
# a configuration that comes by a stream is told, too
config_of() { # NAME, script on standard input
	{ echo "#!/bin/bash"; cat; } >"$DIR/$1.sh"
	chmod +x "$DIR/$1.sh"
	record "$DIR/$1.sh" | sed -n '/^config$/,/^vmferry-record$/p'
}
got=$(config_of stdin <<-'END'
	NAME=web
	qemu-system-x86_64 -nodefaults -readconfig /dev/stdin <<EOF
	[name]
	  guest = "$NAME"
	EOF
END
)
assert_eq "$got" $'config\nqemu-system-x86_64\n/dev/stdin\n[name]\n  guest = "web"\nvmferry-record' "the configuration of a here-document"
got=$(config_of fd <<-'END'
	exec qemu-system-x86_64 -nodefaults --readconfig <(printf '[memory]\n  size = "64"\n')
END
)
assert_eq "$got" $'config\nqemu-system-x86_64\n/dev/fd/63\n[memory]\n  size = "64"\nvmferry-record' "the configuration of a process substitution"
got=$(config_of nothing <<<'qemu-system-x86_64 -readconfig /dev/stdin')
assert_eq "$got" "" "the configuration of whoever starts it"
starts array '-name vm -m 64 -nic user' <<-'END'
	args=(-name vm
	      -m 64) # the machine
	args+=(-nic user)
	exec qemu-system-x86_64 "${args[@]}" "$@"
END
starts enters "-name enters -drive file=made/below" <<-'END'
	set -e
	cd "$(dirname "$0")"
	T=$(mktemp -d nix-vm.XXXXXXXXXX --tmpdir)
	mkdir -p "$T/xchg" made/below /nowhere/below
	cd "$T/xchg"
	cd - >/dev/null
	[ -d made/below ]
	qemu-system-x86_64 -name enters -drive file=made/below
END
[[ ! -e $DIR/made ]] || fail "a directory is made on this host"
SHELL_OF=/bin/sh starts daemonize '-name vm -serial unix:/nowhere/serial,server=on,wait=off -daemonize' <<-'END'
	set -e
	mkdir -p /nowhere
	ip tuntap add dev tap99 mode tap
	sudo -E -u "$(id -un)" qemu-system-x86_64 -name vm -serial unix:/nowhere/serial,server=on,wait=off -daemonize
	chmod g+w /nowhere/serial
END
starts function '-m 128 -display none' <<-'END'
	start() { taskset -c 0 nice -n 5 qemu-system-x86_64 -m "$1" "${@:2}"; }
	if [ -e /nonexistent ]; then start 64; else start $((64 * 2)) -display none; fi
END
starts background '-name bg' <<-'END'
	nohup setsid qemu-system-x86_64 -name bg >/dev/null 2>&1 &
END
starts group '-name group' <<-'END'
	trap 'kill 0' EXIT
	qemu-system-x86_64 -name group
END
ln "$(realpath /bin/mount)" "$DIR/another-name" 2>/dev/null || echo "skipped: only root can give /bin/mount a second name, and on its file system" # as perf does of what it has seen
starts writes '-name writes -pidfile vm.pid' <<-'END'
	set -euo pipefail
	exec > >(tee -a run.log) 2>&1
	exec 9>lock; flock -n 9
	cd "$(dirname "$0")"
	[[ -w . && -w $0 && ! -w missing ]]
	/bin/mkdir -p tpm; /bin/mount --bind . tpm; /usr/bin/install -m 600 /etc/hostname vars.fd; truncate -s 1G data.img
	[ -e disk.qcow2 ] || qemu-img create -f qcow2 disk.qcow2 1G
	LOG=$(mktemp)
	cat >vm.cfg <<EOF
	[machine]
	EOF
	qemu-system-x86_64 -name writes -pidfile vm.pid >qemu.log 2>&1 &
	echo $! >pid
END
mkdir "$DIR/asked"
printf '#!/bin/sh\necho QEMU emulator version 8\n' >"$DIR/asked/qemu-system-x86_64"
chmod +x "$DIR/asked/qemu-system-x86_64"
PATH=$DIR/asked:$PATH starts asks '-name asks -accel tcg' <<-'END'
	case $(qemu-system-x86_64 --version) in *version*) a="-accel tcg" ;; *) a="-accel kvm" ;; esac
	exec qemu-system-x86_64 -name asks $a
END
mkdir -p "$DIR/own/bin"
echo q35 >"$DIR/own/machines"
printf '#!/bin/sh\ncat "${0%%/*}/../machines" || exit 3\n' >"$DIR/own/bin/qemu-system-x86_64"
chmod +x "$DIR/own/bin/qemu-system-x86_64"
PATH=$DIR/own/bin:$PATH starts among-its-files '-name own -M q35' <<-'END'
	qemu-system-x86_64 -machine help | grep -q q35 && M=q35
	exec qemu-system-x86_64 -name own -M $M
END
rm "$DIR/own/machines"
assert_eq "$(PATH=$DIR/own/bin:$PATH record "$DIR/among-its-files.sh" | head -n 5 | paste -sd' ')" 'vmferry-note failed qemu-system-x86_64  -machine help' "what QEMU could not answer"
SHELL_OF='/usr/bin/env python3' starts python '-name python -m 64' <<-'END'
	import subprocess, tempfile
	with tempfile.NamedTemporaryFile("w") as t, open("vm.log", "a") as log:
	    t.write("x")
	    subprocess.run(["qemu-system-x86_64", "-name", "python", "-m", "64"], stdout=log, check=True)
END
starts behind '-name behind -m 64' <<-'END'
	cmd="qemu-system-x86_64 -name behind"
	cmd+=" -m 64"
	tmux new-session -d -s vm "exec sudo -u $(id -un) $cmd"
	tmux has-session -t vm && screen -S other -X quit
END
starts daemon '-name daemon' <<-'END'
	start-stop-daemon --start --background --make-pidfile --pidfile /run/vm.pid --exec /usr/bin/env -- systemd-run --unit vm qemu-system-x86_64 -name daemon
END
starts screen '-name screen' <<-'END'
	screen -dmS vm su - "$(id -un)" -c 'qemu-system-x86_64 -name screen'
END
starts tmux-new '-name new -drive file=a.qcow2' <<-'END'
	tmux -L vms new-session -ds vm1 "qemu-system-x86_64 -name new -drive file=a.qcow2"
END
starts tmux-keys '-name keys -drive file=a.qcow2' <<-'END'
	tmux new -d -s vm1 \; set -g status off
	tmux send-keys -t vm1 "qemu-system-x86_64 -name keys" " -drive file=a.qcow2" C-m
END
starts tmux-several '-name several' <<-'END'
	tmux new-session -d -c / -e A=several \; send-keys 'qemu-system-x86_64 -name several' Enter \; attach
END
starts stuff '-name stuff -drive file=a.qcow2' <<-'END'
	screen -dmS vm1
	screen -S vm1 -p 0 -X stuff "qemu-system-x86_64 -name stuff -drive file=a.qcow2\n"
END
starts limits '-name limits' <<-'END'
	set -e
	ulimit -l unlimited
	ulimit -n 1048576
	ulimit -c unlimited
	renice -n -5 $$
	qemu-system-x86_64 -name limits
END
starts bounds '-m 1048576 -smp 60' <<-'END'
	qemu-system-x86_64 -m "$(ulimit -v)" -smp "$(ulimit -t)"
END
starts elsewhere '-name opt' <<-END
	D=$DIR/opt
	"\$D/bin/qemu-system-x86_64" -name opt
END
if [[ $EUID -eq 0 ]]; then
	RUN=$(mktemp -d /run/vmferry-test-XXXXXX)
	at_exit "rm -rf $RUN"
	touch "$RUN/data.qcow2"
	starts run "-m 64 $RUN/data.qcow2" <<-END
		[ -f $RUN/data.qcow2 ] && more=$RUN/data.qcow2
		[ -e /run/.vmferry/missing ] && more=nothing
		qemu-system-x86_64 -m 64 \$more
	END
fi
if [[ -x /usr/bin/swtpm ]]; then
	printf '#!/bin/sh\n/usr/bin/swtpm socket --tpm2 --tpmstate dir=tpm &\nexec qemu-system-x86_64 -name tpm\n' >"$DIR/tpm.sh"
	chmod +x "$DIR/tpm.sh"
	record "$DIR/tpm.sh" | grep -qx -- --tpm2 || fail "a swtpm that is named with its directory is not heard of"
fi
printf '#!/bin/sh\ncase $1 in start) exec qemu-system-x86_64 -name "$2" ;; esac\n' >"$DIR/vm.sh"
chmod +x "$DIR/vm.sh"
assert_eq "$(record "$DIR/vm.sh" start web | tail -n +7 | paste -sd' ')" '-name web' "words of a script that takes words"
assert_eq "$(record /bin/sh -c "$DIR/vm.sh start web" | tail -n +7 | paste -sd' ')" '-name web' "words of one that a shell runs"
printf 'cd "$(dirname "$0")" && qemu-system-x86_64 -name %s' beside >"$DIR/no-program.sh"
assert_eq "$(record "$DIR/no-program.sh" | sed -n 3p)" "$DIR" "directory of a script that is not executable"

# words by which QEMU gets something of the host, or is kept from it, are told
while read -r line; do
	{ echo '#!/bin/bash'; echo "$line qemu-system-x86_64 -name held"; } >"$DIR/held.sh"
	chmod +x "$DIR/held.sh"
	assert_eq "$(record "$DIR/held.sh" | sed -n '/^held$/,/^vmferry-record$/p' | sed -n '4p')" "${line#exec }" "what holds the QEMU of $line"
	[[ $(record "$DIR/held.sh" | tail -n 2 | paste -sd' ') == '-name held' ]] || fail "$line starts another QEMU"
done <<-'END'
	exec taskset -c 0,1 nice -n 5
	chrt -f 50 ionice -c3
	numactl -N 0 --membind=0 prlimit --memlock=unlimited
	ip netns exec blue
	exec unshare -n
	nsenter -t 1 -n
	cgexec -g cpu:vms
END
starts not-held '-name free' <<-'END'
	nice true; ip netns exec blue ip link set lo up; taskset -pc 0 $$; ionice -c 3 -p $$
	qemu-system-x86_64 -name free
END
! record "$DIR/not-held.sh" | grep -q '^held$' || fail "what holds another program is told as QEMU's"

# --- another user's ------------------------------------------------------------------------

# Programs that run the guest as another user run nothing: that user's files are not to be run, or believed, with this user's rights.
printf '#!/bin/sh\nqemu-system-x86_64 -name "$(cat /etc/hostname)"\n' >"$DIR/other.sh"
chmod +x "$DIR/other.sh"
OTHER=nobody
[[ $EUID -ne 65534 ]] || OTHER=root
while read -r line; do
	printf '#!/bin/sh\n%s\n' "${line//VM/$DIR/other.sh}" >"$DIR/as.sh"
	chmod +x "$DIR/as.sh"
	got=$(record "$DIR/as.sh" | paste -sd' ')
	[[ $got == "vmferry-note user "*" $OTHER $DIR/other.sh" || $got == "vmferry-note user "*" $OTHER /bin/sh -c $DIR/other.sh" ]] || fail "$line is taken so: $got"
done <<-END
	exec sudo -u $OTHER VM
	sudo -En --user=$OTHER VM
	sudo user=me A=b -nu $OTHER VM
	doas -u $OTHER VM
	su $OTHER -c VM
	su -c VM - $OTHER
	runuser -u $OTHER -- VM
	runuser - $OTHER -c VM
	setpriv --reuid $OTHER --clear-groups VM
	gosu $OTHER:nogroup VM
	chpst -u :$OTHER:nogroup VM
	systemd-run --unit vm --uid $OTHER VM
	systemd-run -p User=$OTHER VM
	start-stop-daemon -S -bmc $OTHER -p /run/vm.pid -x VM
	start-stop-daemon --start --chuid=$OTHER:nogroup --exec VM
	daemonize -u $OTHER -c / VM
	screen -dmS vm tmux new-session -d -s vm "sudo -u $OTHER VM"
	unshare -n -S $OTHER VM
END
printf '#!/bin/sh\nsudo -u %s ip netns exec blue %s\n' "$OTHER" "$DIR/other.sh" >"$DIR/as.sh"
[[ $(record "$DIR/as.sh" | paste -sd' ') == "vmferry-note user sudo $OTHER ip netns exec blue $DIR/other.sh" ]] || fail "ip runs another user's file"
starts prepared '-name mine' <<-END
	sudo -u $OTHER ip tuntap add dev tap99 mode tap
	echo 1 | sudo -u $OTHER tee /proc/sys/net/ipv4/ip_forward
	qemu-system-x86_64 -name mine
END

# --- as an ordinary user, who has namespaces only with one of users --------------------------

as_nobody() { # COMMAND...
	setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/ PATH="$OPEN:/usr/bin:/bin" "$@"
}

OPEN=/var/tmp/vmferry-test-${DIR##*/} # this checkout may lie where nobody else comes
at_exit "rm -rf $OPEN"
if [[ $EUID -eq 0 ]] && as_nobody unshare -Urpf true 2>/dev/null; then
	mkdir -m 755 "$OPEN"
	cp "$BIN/vmferry" "$OPEN/"
	cp /bin/false "$OPEN/qemu-system-x86_64"
	printf '#!/bin/bash\n/bin/chmod 777 /proc/1/exe\ncd "$(dirname "$0")" && mkdir -p own && cd own && a=(-name nobody)\nqemu-system-x86_64 "${a[@]}"\n' >"$OPEN/a.sh"
	chown 65534 "$OPEN"/*
	chmod 755 "$OPEN"/*
	words=$(as_nobody "$OPEN/vmferry" --record-script . "$OPEN/a.sh" | tr '\0' '\n' | tail -n 2 | paste -sd' ') || fail "an ordinary user's script is not run"
	assert_eq "$words" '-name nobody' "words of an ordinary user's script"
	[[ $(stat -c %a "$OPEN/vmferry") == 755 ]] || fail "it has changed who may use a file of this user"
fi

# --- refused -------------------------------------------------------------------------------

refused() { # SCRIPT WORDS
	vmferry check "$1" local --how cold --disk-dir "$DIR" >"$DIR/check" 2>&1 && fail "check takes $1"
	grep -q -- "$2" "$DIR/check" || fail "check of $1 says: $(cat "$DIR/check")"
}

printf '#!/bin/sh\nfor i in 1 2; do qemu-system-x86_64 -name vm$i -m 64; done\n' >"$DIR/two.sh"
refused "$DIR/two.sh" 'starts 2 QEMUs'
printf "#!/bin/sh\nexec sh -c 'for i in 1 2; do qemu-system-x86_64 -name vm\$i; done'\n" >"$DIR/plain-two.sh"
refused "$DIR/plain-two.sh" 'starts 2 QEMUs' # its words are plain, and its program is no QEMU
printf '#!/bin/sh\nsudo -u %s qemu-system-x86_64 -name vm -m 64\n' "$OTHER" >"$DIR/other-user.sh"
refused "$DIR/other-user.sh" "as the user $OTHER, and so perhaps QEMU: qemu-system-x86_64 -name vm"
printf '#!/bin/sh\nqemu-system-x86_64 -name vm -m 64 &\necho device_add | socat - UNIX:mon\n' >"$DIR/speaks.sh"
refused "$DIR/speaks.sh" 'speaks to a monitor, or to another socket, which may change the guest that it starts: socat - UNIX:mon'
printf '#!/bin/bash\nqemu-system-x86_64 -name vm -m 64 &\n(read x <%s/fifo; qemu-system-x86_64 -name other) &\n' "$DIR" >"$DIR/waits.sh"
refused "$DIR/waits.sh" 'so it may start more than was seen'
printf '#!/bin/sh\nqemu-system-x86_64 -name vm -m 64 &\nkill -KILL $$\n' >"$DIR/killed.sh"
refused "$DIR/killed.sh" 'so it may start more than was seen'
printf '#!/bin/sh\nBR=$(ip -o route get 1.1.1.1)\nqemu-system-x86_64 -name vm -m 64 -drive file=/nowhere$BR\n' >"$DIR/asks.sh"
assert_eq "$(record "$DIR/asks.sh" | head -n 5 | paste -sd' ')" 'vmferry-note asked ip  -o route get 1.1.1.1' "what has no answer"
printf '#!/bin/sh\nif false; then qemu-system-x86_64 -name vm; fi\n' >"$DIR/none.sh"
refused "$DIR/none.sh" 'started no QEMU'
printf '#!/bin/sh\nip link show br0\necho no bridge >&2\nexit 1\n' >"$DIR/gives-up.sh"
refused "$DIR/gives-up.sh" 'It had no answer from these: `ip link show br0`. Its last words were: "no bridge"'
printf '#!/bin/sh\ncp /etc/hostname %s/vars.fd\nqemu-system-x86_64 -name vm -m 64 -drive if=pflash,format=raw,file=%s/vars.fd\n' "$DIR" "$DIR" >"$DIR/copies.sh"
refused "$DIR/copies.sh" "vars.fd of the guest is not there; the script that starts it makes such files: run that once (.cp /etc/hostname $DIR/vars.fd.)"
chmod go+w "$DIR/none.sh"
refused "$DIR/none.sh" 'others than this user may write to it'
