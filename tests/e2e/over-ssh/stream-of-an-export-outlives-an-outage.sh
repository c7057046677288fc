#!/bin/bash
# A guest goes to another host as a stream of an export, through the user's own ssh. A network that is silent for a while costs time and nothing else: the guest
# that is made there is the same. Where the connection ends both ends say what can be done, and nothing is left of either.
# timeout: 240
. "$(dirname "$0")/../../lib/over-ssh.sh"
. "$(dirname "$0")/../../lib/outage.sh"
command -v nft >/dev/null || skip "nft is not installed"
command -v ssh >/dev/null || skip "ssh is not installed"
hosts_start
A=o$$
head -c 24M /dev/urandom >"$VM/a.raw"
cp "$BIN/vmferry" "$(there "$HOME_B/vmferry")"

goes_to_b() { # [OPTION OF ssh...]: in the background, as STREAM_PID; what the ends say is in DIR/export.err and DIR/import.err, and their statuses are in DIR/statuses
	rm -f "$DIR/statuses"
	{
		set +e
		vmferry_on_a export - -- "$QEMU" -accel tcg -machine q35 -m 64 -name "$A" -display none -nodefaults \
			-drive "file=$VM/a.raw,format=raw,if=virtio" -qmp "unix:$VM/$A.qmp,server=on,wait=off" 2>"$DIR/export.err" </dev/null |
			on_a ssh -F none -o "UserKnownHostsFile=$HOME_A/.ssh/known_hosts" -i "$HOME_A/.ssh/id_ed25519" "$@" "root@$B_ADDRESS" \
				"PATH=${QEMU_IMG%/*}:\$PATH exec $HOME_B/vmferry import - --disk-dir $VM" >"$DIR/import.out" 2>"$DIR/import.err"
		echo "${PIPESTATUS[@]}" >"$DIR/statuses"
	} &
	STREAM_PID=$!
	kill_at_exit "$STREAM_PID"
}

falls_silent_after() { # MIB of what comes from host-a
	on_b nft -f - <<-END
		table inet test {
			chain in { type filter hook input priority 0; iifname "to-a" tcp dport 22 quota over $1 mbytes drop; }
		}
	END
}

is_silent() { # for some seconds: several times what had no answer was sent again
	on_a ss -tinH "dport = :22" | grep -qE 'backoff:([5-9]|1.)'
}

says() { # TEXT FILE
	grep -aqE -- "$1" "$2" || fail "${2##*/} does not say '$1': $(cat "$2")"
}

it_ends() { [[ -s $DIR/statuses ]]; }

falls_silent_after 6
goes_to_b
wait_for 60 is_silent || fail "the network is not silent: $(cat "$DIR"/*port.err)"
assert_eq "$(ls "$(there "$VM")")" "" "what has a name there while the stream stands still"
on_b nft delete table inet test
wait_for 120 it_ends || fail "it does not go on: $(cat "$DIR"/*port.err)"
assert_eq "$(<"$DIR/statuses")" "0 0" "exit codes of both ends ($(cat "$DIR"/*port.err))"
cmp "$VM/a.raw" "$(there "$VM/$A.raw")"
rm "$(there "$VM")"/*

# ssh gives up, and the other end is told
sum=$(sha256sum "$VM"/*)
falls_silent_after 6
goes_to_b -o ServerAliveInterval=1 -o ServerAliveCountMax=2
wait_for 60 it_ends || fail "ssh does not give up: $(cat "$DIR"/*port.err)"
assert_eq "$(<"$DIR/statuses")" "1 255" "exit codes of the exporter and of ssh"
says 'the stream has no reader any more: .* rsync --partial .*; nothing is left behind' "$DIR/export.err"
assert_eq "$(ls -A "$DIR/tmp-a")" "" "what the exporter leaves"
assert_eq "$(sha256sum "$VM"/*)" "$sum" "the files of the guest"
vmferry_on_b() { on_b env -u VMFERRY_STATE_DIR -u VMFERRY_RUNTIME_DIR "$HOME_B/vmferry" "$@"; }
receives() { vmferry_on_b status "$A" 2>&1 | grep -q receiving; }
receives || fail "the importer is not there any more"
reset_at on_b "$(on_b ss -tnH state established "sport = :22" | sed -nE 's/.*:([0-9]+) *$/\1/p')"
wait_for 60 eval '! receives' || fail "the importer does not end"
assert_eq "$(ls -A "$(there "$VM")")" "" "what the importer leaves"
vmferry_on_b history >"$DIR/history"
says "^$A .*: failed \(import\).* the stream is cut off: see what its sender says" "$DIR/history"
