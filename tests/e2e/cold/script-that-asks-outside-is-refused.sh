#!/bin/bash
# A script that is run to see what it starts asks somebody by a socket of its own, waits for a helper's, or reads what it has written: it is told, and the
# script is refused where its QEMU's line may depend on that. What it writes beside itself it reads again, and this host's files stay as they were.
. "$(dirname "$0")/../../lib/move.sh"
PATH=${QEMU%/*}:$PATH

script() { # NAME, text on standard input
	{ echo '#!/bin/bash'; cat; } >"$DIR/$1.sh"
	chmod +x "$DIR/$1.sh"
}

refused() { # NAME WORDS
	vmferry check "$DIR/$1.sh" local --how cold --disk-dir "$DIR" >"$DIR/check" 2>&1 && fail "check takes $1"
	grep -qE -- "$2" "$DIR/check" || fail "check of $1 says: $(cat "$DIR/check")"
}

words() { # NAME
	vmferry --record-script "$DIR" "$DIR/$1.sh" | tr '\0' '\n' | sed -n '/^vmferry-record$/,$p' | tail -n +7 | sed '/^vmferry-note$/,$d' | paste -sd' '
}

# --- sockets of its own --------------------------------------------------------------------

script plugs <<-END
	qemu-system-x86_64 -name vm -m 64
	python3 -S -c 'import socket; socket.socket(socket.AF_UNIX).connect("$DIR/vm.qmp")'
END
refused plugs "speaks to a monitor, or to another socket, .*: python3[.0-9]* $DIR/vm.qmp"
script port <<-'END'
	n=0
	while (: </dev/tcp/127.0.0.1/$((5900 + n))) 2>/dev/null; do n=$((n + 1)); done
	qemu-system-x86_64 -name vm -m 64 -vnc :$n
END
refused port 'connects to a socket before it starts its QEMU, .* the command line may depend on that answer. Who connects to what: port.sh 127.0.0.1 port 5900'
script metadata <<-'END'
	M=$(python3 -S -c 'import socket; s = socket.socket(); s.connect(("192.0.2.7", 80)); print(s.recv(9))' 2>/dev/null || echo 64)
	qemu-system-x86_64 -name vm -m $M
END
refused metadata 'Who connects to what: python3[.0-9]* 192.0.2.7 port 80'
script datagram <<-'END'
	M=$(python3 -S -c 'import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.sendto(b"?", ("2001:db8::7", 53)); print(s.recv(9))' 2>/dev/null || echo 64)
	qemu-system-x86_64 -name vm -m $M
END
refused datagram 'Who connects to what: python3[.0-9]* 2001:db8::7 port 53'
script tells <<-'END'
	qemu-system-x86_64 -name vm -m 64
	: </dev/tcp/192.0.2.7/80
END
vmferry check "$DIR/tells.sh" local --how cold --disk-dir "$DIR" >"$DIR/check" 2>&1 || fail "check: $(cat "$DIR/check")"
grep -q 'no answer from these .*: .tells.sh 192.0.2.7 port 80.' "$DIR/check" || fail "check does not say whom it tells: $(cat "$DIR/check")"

# --- what it waits for ---------------------------------------------------------------------

script waits <<-END
	virtiofsd --socket-path=$DIR/fs.sock &
	for i in {1..60}; do [ -S $DIR/fs.sock ] && break; sleep 0.1; done
	[ -S $DIR/fs.sock ] || exit 1
	qemu-system-x86_64 -name vm -m 64 -chardev socket,id=fs,path=$DIR/fs.sock
END
refused waits "started no QEMU .* looked again and again for what was not there .*waits.sh $DIR/fs.sock"
script waits-on <<-END
	swtpm socket --tpm2 --tpmstate dir=tpm --ctrl type=unixio,path=tpm/sock &
	cd $DIR
	while [ ! -S tpm/sock ]; do sleep 0.1; done
	qemu-system-x86_64 -name vm -m 64
END
refused waits-on "did not end within .* looked again and again for what was not there .*waits-on.sh $DIR/tpm/sock"

# --- what it has written -------------------------------------------------------------------

echo '-m 32' >"$DIR/args"
script writes <<-'END'
	cd "$(dirname "$0")"
	echo '-m 96' >args; echo '-smp 2' >>args
	cp args args.copy; mv args.copy args.last
	T=$(mktemp); [ -f "$T" ] || exit 1
	echo '-name written' >"$T"
	qemu-system-x86_64 $(cat "$T" args.last)
END
assert_eq "$(words writes)" "-name written -m 96 -smp 2" "words of what reads what it has written"
assert_eq "$(<"$DIR/args")" "-m 32" "a file of this host"
[[ ! -e $DIR/args.last && ! -e $DIR/args.copy ]] || fail "it has made files here"
script reads <<-END
	echo '-m 96' >/dev/shm/vmferry-${DIR##*/}
	qemu-system-x86_64 \$(cat /dev/shm/vmferry-${DIR##*/})
END
refused reads "writes a file and then looks at it, .*: cat /dev/shm/vmferry-${DIR##*/}"
script edits <<-END
	sed -i s/32/64/ "$DIR/args"
	qemu-system-x86_64 \$(cat "$DIR/args")
END
refused edits "writes a file and then looks at it, .*: cat $DIR/args"
assert_eq "$(<"$DIR/args")" "-m 32" "a file of this host"
script logs <<-'END'
	echo $$ >/var/lock/vmferry-vm.pid
	id -un >/dev/null; getent passwd root </dev/null >/dev/stderr; logger starts
	[[ -w /etc/passwd || $EUID -ne 0 ]] || exit
	qemu-system-x86_64 -name logs
	cat /var/lock/vmferry-vm.pid
END
assert_eq "$(words logs)" "-name logs" "words of what only logs"
vmferry check "$DIR/logs.sh" local --how cold --disk-dir "$DIR" >"$DIR/check" 2>&1 || fail "check: $(cat "$DIR/check")"

# --- where the kernel does not tell, as in a container with such a filter of its own -------------

cat >"$DIR/filtered.py" <<-'END'
	import ctypes, os, struct, sys
	libc = ctypes.CDLL(None)
	rules = struct.pack("HBBI", 6, 0, 0, 0x7fff0000)
	program = struct.pack("HxxxxxxP", 1, ctypes.cast(ctypes.create_string_buffer(rules), ctypes.c_void_p).value)
	assert libc.prctl(38, 1, 0, 0, 0) == 0
	fd = libc.syscall(317, 1, 8, program) # seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER)
	assert fd >= 0
	os.set_inheritable(fd, True)
	os.execv(sys.argv[1], sys.argv[1:])
END
python3 -S "$DIR/filtered.py" "$BIN/vmferry" check "$DIR/writes.sh" local --how cold --disk-dir "$DIR" >"$DIR/check" 2>&1 || fail "check: $(cat "$DIR/check")"
grep -q 'is not told on this host' "$DIR/check" || fail "check does not say that it cannot tell: $(cat "$DIR/check")"
grep -q -- '-name written' "$DIR/check" || fail "its line: $(cat "$DIR/check")"
grep -q 'is not told on this host' <(vmferry check "$DIR/writes.sh" local --how cold --disk-dir "$DIR" 2>&1) && fail "here it can be told"

# --- by a way that nobody answers -----------------------------------------------------------

mkfifo "$DIR/fifo"
exec 7<>"$DIR/fifo"
script other-ways <<-END
	python3 -S -c 'import ctypes, os, struct
	fd = ctypes.CDLL(None).syscall(437, -100, b"$DIR/fifo", struct.pack("QQQ", os.O_RDWR, 0, 0), 24) # openat2
	os.write(fd, b"heard\n")'
	qemu-system-x86_64 -name vm
END
assert_eq "$(words other-ways)" "-name vm" "words of what writes to a named pipe"
read -r -t 0.1 line <&7 && fail "it has written to a named pipe: $line"
exit 0
