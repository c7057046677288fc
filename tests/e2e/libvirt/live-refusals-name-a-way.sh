#!/bin/bash
# A libvirt guest that cannot go as it runs is refused by check and by migrate in the same words, nothing is touched, and the way that is
# named works: with secrets (an encrypted disk) it goes shut down, and check reports a secret that libvirt there lacks; a disk that other
# guests may use, too, is not copied; a disk on a network, and a host without libvirt, need a cold move. Its disks are moved within its host
# by virsh, and a guest that is at the destination already, and runs there, is not said to be undefined.
# takes: 30
# tier: gate
export TINY=yes MACHINE=pc MEM=64 WITNESS="ram_mb=4 rate=0 disks=vda disk_rate=20 button=1"
. "$(dirname "$0")/../../lib/libvirt-move.sh"

web=web-$$
libvirt_host a
libvirt_host b
G=$LIBVIRT_GUESTS
at_a=$(libvirt_at a "$G") at_b=$(libvirt_at b "$G")
secret=0f1e2d3c-1111-4000-8000-00000000abcd
listen_at a
listen_at b

begins() { # FILE:FORMAT [SED-WORDS on its definition]
	libvirt_in a virsh -q destroy $web &>/dev/null || true
	libvirt_in a virsh -q undefine $web &>/dev/null || true
	rm -f "$at_a/$web.console"
	libvirt_xml $web "$1" | sed "${2:-}" >"$DIR/web.xml"
	libvirt_in a virsh -q define "$DIR/web.xml" >/dev/null || fail "it is not defined"
	libvirt_run a $web
}

refused() { # PATTERN [OPTION...]
	local command status
	for command in check migrate; do
		status=0
		vmferry_at a $command $web "${ADDRESS_AT[b]}" "${@:2}" >"$DIR/$command" 2>&1 || status=$?
		[[ $status == 2 || $status == 3 ]] || fail "exit code of $command: $status ($(tail -n 3 "$DIR/$command"))"
		grep -q -- "$1" "$DIR/$command" || fail "$command does not say '$1': $(<"$DIR/$command")"
	done
	diff <(grep -E "^refused|^ +[0-9]" "$DIR/check") <(grep -E "^refused|^ +[0-9]" "$DIR/migrate") || fail "check and migrate say different things"
	assert_eq "$(defined_at a)/$(libvirt_in a virsh -q domstate $web)/$(defined_at b)" "$web/running/" "the guest"
	assert_eq "$(find "$at_b" -type f)" "" "files there"
	assert_nothing_unfinished
}

has_secret() { # HOST
	echo "<secret ephemeral='no' private='yes'><uuid>$secret</uuid></secret>" >"$DIR/secret.xml"
	printf geheim >"$DIR/word"
	libvirt_in "$1" virsh -q secret-define "$DIR/secret.xml" >/dev/null
	libvirt_in "$1" virsh -q secret-set-value $secret --plain --file "$DIR/word" >/dev/null
}

# A disk that other guests may use, too.
truncate -s 8M "$at_a/web.raw"
begins "$G/web.raw:raw" "s|<target dev='vda'|<shareable/>&|"
refused 'disk vda is one that other guests may use, too (<shareable/>): detach it (virsh detach-disk --config, and --live if it runs)'

# A guest whose only monitor libvirt has needs virsh for some commands.
begins "$G/web.raw:raw"
not_ours() { # PATTERN COMMAND...
	local status=0
	vmferry_at a "${@:2}" >"$DIR/said" 2>&1 || status=$?
	assert_eq "$status" 3 "exit code of ${*:2}"
	grep -q -- "$1" "$DIR/said" || fail "${*:2} says: $(<"$DIR/said")"
	! grep -q "vmferry attach" "$DIR/said" || fail "${*:2} names what does not work: $(<"$DIR/said")"
}
not_ours 'belongs to libvirt, which would lose track of its disks; move them with `virsh blockcopy`' storage $web --disk vda="$at_a/elsewhere.raw"
not_ours 'belongs to libvirt, which has its only QMP monitor' export $web "$DIR/bundle"

# A guest of its UUID runs there: an earlier move may have brought it.
libvirt_xml other | sed "s|<memory |<uuid>$(libvirt_in a virsh domuuid $web | xargs)</uuid>&|" >"$DIR/other.xml"
libvirt_in b virsh -q create "$DIR/other.xml" >/dev/null
vmferry_at a check $web "${ADDRESS_AT[b]}" >"$DIR/check" 2>&1 && fail "check does not see it"
grep -q "with the UUID .* at the destination already, and it is not shut down .*: an earlier move that is not settled may have it there" "$DIR/check" || fail "check: $(<"$DIR/check")"
! grep -q "undefine it there" "$DIR/check" || fail "check has it undefined: $(<"$DIR/check")"
libvirt_in b virsh -q destroy other >/dev/null
rm -f "$at_b/other.console"

# A host without libvirt.
refused '--as libvirt is for a guest that is shut down (--how cold: of one that runs the disks go ahead' --as libvirt --disk-dir "$G"
refused '--as plain is for a guest that goes to another host' --as plain --how warm
for how in live quick cold; do
	vmferry_at a check $web "${ADDRESS_AT[b]}" --how $how --as plain >"$DIR/check" 2>&1 || fail "check of the way: $(<"$DIR/check")"
done

# Devices that only libvirt can provide: by the guest's definition; and by the line of its QEMU, which the definition does not tell.
begins "$G/web.raw:raw" "s|<domain type='qemu'|& xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'|
	s|</domain>|<q:commandline><q:arg value='-global'/><q:arg value='PIIX4_PM.disable_s3=1'/></q:commandline>&|"
refused 'cannot have what this one has: options of its own for QEMU' --as plain
begins "$G/web.raw:raw" "s|</devices>|<channel type='udp'><source mode='connect' host='127.0.0.1' service='9'/><target type='virtio' name='a'/></channel><rng model='virtio'><backend model='egd' type='udp'><source mode='bind' host='127.0.0.1' service='0'/><source mode='connect' host='127.0.0.1' service='9'/></backend></rng>&|"
refused 'which a plain guest (--as plain) cannot have as it runs: move it shut down (--how cold)' --as plain
vmferry_at a check $web "${ADDRESS_AT[b]}" --how cold --as plain >"$DIR/check" 2>&1 || fail "check of the way: $(<"$DIR/check")"
begins "$G/web.raw:raw"

# A disk on a network.
libvirt_in a virsh -q destroy $web
"${QEMU%/*}/qemu-nbd" -t -k "$DIR/nbd" -f raw -x web --shared 4 "$at_a/web.raw" </dev/null &>"$DIR/nbd.log" &
kill_at_exit "$!"
wait_for 60 test -S "$DIR/nbd"
begins "$G/web.raw:raw" "s|<disk type='file'|<disk type='network'|; s|<source file='$G/web.raw'/>|<source protocol='nbd' name='web'><host transport='unix' socket='$DIR/nbd'/></source>|"
refused 'would stay where it is, on a network.* or, if that disk is on a network, move the guest once it is shut down (--how cold)'
libvirt_in a virsh -q destroy $web
vmferry_at a check $web "${ADDRESS_AT[b]}" --how cold >"$DIR/check" 2>&1 || fail "check of the way: $(<"$DIR/check")"

# An encrypted disk.
"$QEMU_IMG" create -q --object secret,id=s,data=geheim -f luks -o key-secret=s,iter-time=10 "$at_a/luks.img" 8M
has_secret a
begins "$G/luks.img:raw" "s|<target dev='vda'|<encryption format='luks'><secret type='passphrase' uuid='$secret'/></encryption>&|"
refused "guest $web of libvirt needs secrets, which are not carried: --how cold moves it"
vmferry_at a check $web "${ADDRESS_AT[b]}" --how cold >"$DIR/check" 2>&1 || fail "check of the way: $(<"$DIR/check")"
grep -q "libvirt has no secret $secret, which the guest needs before it can start" "$DIR/check" || fail "check does not tell of the secret: $(<"$DIR/check")"
has_secret b
vmferry_at a check $web "${ADDRESS_AT[b]}" --how cold >"$DIR/check" 2>&1 || fail "check of the way: $(<"$DIR/check")"
! grep -q "libvirt has no secret" "$DIR/check" || fail "it has: $(<"$DIR/check")"
libvirt_move a b $web 0 --how cold
assert_result 'r["started"] and "after_error" not in r'
assert_is_at b a $web
wait_for 60 grep -aqs 'witness ready' "$at_b/$web.console" || fail "it does not come up there: $(tail -n 3 "$at_b/$web.console")"
guest_adopt $web "$(<"$(libvirt_at b "/run/libvirt/qemu/$web.pid")")"
GUEST_AT[$web]=$at_b
guest_verify "$(orders $web)"
