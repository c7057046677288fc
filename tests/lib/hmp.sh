# shellcheck shell=bash
# For tests of monitors; to be sourced after move.sh.

declare -A OCCUPIED=() # SOCKET: pid of the client that has it

# Connects a client that stays, and returns once QEMU serves it.
occupy() { # SOCKET
	python3 -S - "$1" >"$DIR/occupied" <<-'END' &
		import signal, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		s.recv(1)
		print("served", flush=True)
		signal.pause()
	END
	OCCUPIED[$1]=$!
	kill_at_exit $!
	wait_for 60 grep -q served "$DIR/occupied" || fail "$1 serves nobody"
	rm "$DIR/occupied"
}

leave() { # SOCKET
	end_process "${OCCUPIED[$1]}"
}

# The answer of a human monitor on a unix socket, without echo.
hmp_says() { # SOCKET LINE
	python3 -S - "$@" <<-'END'
		import re, socket, sys
		def until_prompt():
		    said = b""
		    while not said.endswith(b"\n(qemu) "):
		        said += s.recv(65536)
		    return re.sub(rb"\x1b\[.", b"", said).replace(b"\r", b"")
		s = socket.socket(socket.AF_UNIX)
		s.settimeout(30)
		s.connect(sys.argv[1])
		until_prompt()
		s.sendall(sys.argv[2].encode() + b"\n")
		print(until_prompt().split(b"\n", 1)[1].rsplit(b"\n", 1)[0].decode())
	END
}

# Checks that vmferry has left no monitor in the guest's QEMU, nor a journal of one.
assert_nothing_lent() { # NAME
	local left
	! grep -q "$VMFERRY_RUNTIME_DIR/vmferry-${GUEST_PID[$1]}.qmp" /proc/net/unix || fail "QEMU still listens for vmferry"
	left=$(compgen -G "$VMFERRY_RUNTIME_DIR/vmferry-*.qmp"; compgen -G "$VMFERRY_STATE_DIR/*.journal") || true
	[[ -z $left ]] || fail "left: $left"
}

# The owner of the keyboard of a mux on a unix socket: a monitor that has it greets its client.
keyboard_is_at() { # SOCKET
	python3 -S - "$1" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		s.settimeout(2)
		try:
		    print("monitor" if b"QEMU " in s.recv(4096) else "console")
		except TimeoutError:
		    print("console")
	END
}

hmp_takes_keyboard() { # SOCKET
	python3 -S - "$1" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.settimeout(20)
		s.connect(sys.argv[1])
		s.sendall(b"\1c")
		said = b""
		while b"(qemu) " not in said:
		    said += s.recv(4096)
	END
}

# A TCP port on which nobody listens.
free_port() {
	python3 -S -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
