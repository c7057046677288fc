#!/bin/bash
# Launch lines of plain QEMU as people have them (tests/data/launch: a section each of the files that it needs, of the line as a shell reads it, or the script
# that starts it, and of how it goes) move between two hosts by SSH, as root, and nothing but vmferry is called: as they are (live), with --attach, shut down (cold), or they
# are refused with that reason. What `check` says `migrate` does. Prints a table. LINES="microvm macos": those only; ONLY_CHECK=yes: what check says.
# timeout: 3600
. "$(dirname "$0")/../lib/over-ssh.sh"
hosts_start
CASES=${CASES:-$TOP/tests/data/launch}
LINES=${LINES:-$(ls "$CASES")}
B=root@host-b
exec {TERMINAL}<> <(:) # on which nobody types

section() { # NAME SECTION
	sed -n "/^== $2\$/,/^== /{/^== /!p}" "$CASES/$1"
}

as_on_a() { # COMMAND...
	nsenter -t "$HOST_A" -n -m -u env -C "$AT" PWD="$AT" PATH="${QEMU%/*}:$PATH" LAUNCH="$NAME" "$@"
}

make_file() { # KIND NAME [MORE]
	case $1 in
	qcow2 | vmdk) "$QEMU_IMG" create -q -f "$1" "$2" 16M ;;
	overlay) "$QEMU_IMG" create -q -f qcow2 -F qcow2 -b "$3" "$2" ;;
	raw) truncate -s "${3:-16M}" "$2" ;;
	text) printf '%b\n' "$3" >"$2" ;;
	link) ln -s "$3" "$2" ;;
	iso) head -c 1M /dev/urandom >"$2" ;;
	dir)
		mkdir "$2" && echo hello >"$2/file"
		mkdir -p "$(there "$AT")" && cp -r "$2" "$(there "$AT")" # files that people share, or have made
		;;
	tap)
		on_a ip tuntap add "$2" mode tap
		(cd / && on_b ip tuntap add "$2" mode tap)
		;;
	swtpm)
		mkdir "$2"
		as_on_a swtpm socket --tpmstate "dir=$2" --ctrl "type=unixio,path=$2/swtpm-sock" --tpm2 --terminate </dev/null >/dev/null 2>&1 &
		kill_at_exit $!
		wait_for 60 test -S "$2/swtpm-sock"
		;;
	copy)
		case $2 in
		CODE.fd) cp "$TOP/build/ovmf/OVMF_CODE_4M.fd" "$2" ;;
		VARS.fd) cp "$TOP/build/ovmf/OVMF_VARS_4M.fd" "$2" ;;
		bios.bin) cp "$TOP/build/qemu/usr/share/seabios/bios-256k.bin" "$2" ;;
		*) cp "$TOP/build/guest/$2" "$2" ;;
		esac
		;;
	esac
}

# Prints the pid of the QEMU that the line has started, wherever it runs now.
launched() {
	local pid
	for pid in $(pgrep -f '^[^ ]*qemu-system-'); do
		grep -qzxs "LAUNCH=$NAME" "/proc/$pid/environ" && echo "$pid" && return
	done
	return 1
}

start() {
	local line
	line=$(section "$NAME" line)
	section "$NAME" script >"$AT/$NAME.sh"
	if [[ -s $AT/$NAME.sh ]]; then
		chmod +x "$AT/$NAME.sh"
		if grep -q -e -daemonize "$AT/$NAME.sh"; then
			as_on_a "./$NAME.sh" <&"$TERMINAL" >"$DIR/$NAME.out" 2>&1 || return
		else
			as_on_a setsid --fork "./$NAME.sh" <&"$TERMINAL" >"$DIR/$NAME.out" 2>&1
		fi
	elif [[ $line == *-daemonize* ]]; then
		as_on_a sh -c "exec $line" <&"$TERMINAL" >"$DIR/$NAME.out" 2>&1 || return
	else # the parent is a shell that people type at, and no loop that starts it again
		as_on_a setsid --fork sh -c "exec $line" <&"$TERMINAL" >"$DIR/$NAME.out" 2>&1
	fi
	wait_for 60 launched >/dev/null || return
	PID=$(launched)
	kill_at_exit "$PID"
}

# Says how it went, in one line. The guest is at its end wherever it was.
says() { # COMMAND ARGUMENT...
	local status=0
	WD=$AT PATH=${QEMU%/*}:$PATH vmferry_on_a "$@" </dev/null >"$DIR/$NAME.said" 2>&1 || status=$?
	return $status
}

why() {
	sed -n '/things stand in the way/d; s/^refused: //p; s/^  [0-9]  //p' "$DIR/$NAME.said" | cut -c -"${WIDTH:-110}" | paste -sd ';'
}

runs_there() {
	local pid
	for pid in $(host_b_processes); do
		[[ $(readlink "/proc/$pid/exe") == *qemu-system-* ]] && echo "$pid" && return
	done
	return 1
}

moved() { # ARGUMENT...
	[[ -z ${ONLY_CHECK:-} ]] || return 0
	says migrate "$@" || { HOW=unkept && WHY="check says that it moves, and migrate: $(why)"; return; }
	[[ $* == *cold* ]] || runs_there >/dev/null || fail "$NAME does not run there"
}

cold() {
	kill "$PID"
	wait_for 60 process_is_gone "$PID" || fail "$NAME does not end"
	[[ -s $AT/$NAME.sh ]] || printf '#!/bin/sh\ncd %s || exit\nexec %s\n' "$AT" "$(section "$NAME" line)" >"$AT/$NAME.sh"
	chmod +x "$AT/$NAME.sh"
	says check "$AT/$NAME.sh" "$B" --how cold --qemu "$QEMU" || return
	moved "$AT/$NAME.sh" "$B" --how cold --qemu "$QEMU"
}

try() { # sets HOW and WHY
	WHY=
	if ! start; then
		HOW=absent WHY="it does not start: $(tail -n 1 "$DIR/$NAME.out")"
	elif says check "$PID" "$B"; then
		HOW=live
		moved "$PID" "$B"
	elif says check "$PID" "$B" --attach; then
		HOW=attach
		moved "$PID" "$B" --attach
	else
		WHY=$(why) HOW=cold
		cold || { HOW=refused && WHY+=" / cold: $(why)"; }
	fi
}

clean() {
	local pid
	for pid in $(runs_there) $(launched); do kill -9 "$pid" 2>/dev/null || true; done
	rm -rf "$AT" "$(there "$AT")"
	rm -f /run/"$NAME".qmp
	on_a ip link del tap0 2>/dev/null || true
	on_b ip link del tap0 2>/dev/null || true
}

wrong=0
for NAME in $LINES; do
	AT=$VM/$NAME
	mkdir "$AT"
	while read -r kind name more; do
		(cd "$AT" && make_file "$kind" "$name" "$more")
	done < <(section "$NAME" files)
	try
	expected=$(section "$NAME" goes)
	printf '%-32s %-8s %s\n' "$NAME" "$HOW" "$WHY"
	[[ $HOW == "${expected%% *}" && ($HOW != refused || $WHY == *"${expected#* }"*) ]] || { wrong=$((wrong + 1)) && echo "    expected: $expected"; }
	clean
done
assert_eq "$wrong" 0 "lines that go otherwise"
