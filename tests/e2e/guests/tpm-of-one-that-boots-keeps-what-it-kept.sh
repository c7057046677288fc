#!/bin/bash
# A guest with a TPM that boots at the other end, or is shut down: what its TPM keeps (an NV index) is there, as it was when the guest was shut down;
# what it held in memory (a PCR) is gone, as at every boot. A move that is rolled back, and one that is begun again, lose nothing of it.
# timeout: 300
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/tpm.sh"

ready() { # TIMES
	[[ $(grep -acs '^witness ready' "${GUEST_AT[a]:-$DIR}/a.console") -ge $1 ]]
}

assert_kept() { # WORD
	wait_for 60 ready "${2:-1}" || fail "the guest does not boot: $(tail -n 3 "${GUEST_AT[a]:-$DIR}/a.console")"
	[[ $(tpm_read a) == "pcr=$(printf '%064d' 0) stored=$1" ]] || fail "what its TPM holds: $(tpm_read a)"
}

tpm_start a
TPM+=" $(second_monitor a)"
guest_disk "$DIR/a.raw" raw 16M
MEM=256 APPEND=$TPM_APPEND WITNESS="ram_mb=16 rate=100 disks=vda disk_mb=8" guest_start a $(guest_drive d0 "$DIR/a.raw" raw) $TPM
tpm_write a first

# when all is there, and the guest was stopped for it, the destination QEMU dies
move_until local src-ready:stop --how warm --shutdown-timeout 1 --force
dir=$(echo "$TO"/a.tpm-*)
[[ -s $dir/tpm2-00.permall ]] || fail "nothing of the TPM is there"
assert_tpms 2
kill_now "$(qemu_dst)"
fault_continue
move_wait 1
assert_tpms 1
assert_nothing_left
tpm_assert a
tpm_write a second

move a local --how warm --shutdown-timeout 1 --force
tpm_adopt
assert_tpms 1
assert_kept second
assert_result "r['tpm_left'] == {'dir': '$DIR/a-tpm'}"
tpm_write a third

# shut down, by the script that starts both: not while its swtpm runs
script=$TO/a.sh from=$TO
guest_stop a
assert_tpms 0
cold() { # STATUS [OPTION...]
	local status=0
	MOVES=$((MOVES + 1))
	TO=$DIR/d$MOVES
	mkdir -p "$TO"
	"$BIN/vmferry" migrate "$script" local --how cold --disk-dir "$TO" --json -v "${@:2}" </dev/null >"$DIR/move.json" 2>"$DIR/move.log" || status=$?
	assert_eq "$status" "$1" "exit code of vmferry migrate ($(tail -n 1 "$DIR/move.log"))"
}
held=$(echo "$from"/a.tpm-*)
swtpm socket --tpmstate "dir=$held" --ctrl "type=unixio,path=$held/socket" --tpm2 </dev/null >"$DIR/swtpm.log" 2>&1 &
running=$!
kill_at_exit $running
wait_for 60 tpm_listens "$held/socket" || fail "the swtpm does not listen"
cold 3
assert_result '"a swtpm (process" in r["reason"] and "end it before" in r["reason"]'

# nor while two do, of which it uses one
mkdir "$DIR/second"
swtpm socket --tpmstate "dir=$DIR/second" --ctrl "type=unixio,path=$held/socket" --tpm2 </dev/null >"$DIR/swtpm2.log" 2>&1 &
second=$!
kill_at_exit $second
wait_for 60 tpm_listens "$held/socket" 1 || fail "the second swtpm does not listen"
cold 3
assert_result '"more than one swtpm has the socket" in r["reason"]'
end_process $second
end_process $running

# a TPM state that is changed on the way is refused
fault src-completed stop
cold 1 &
mover=$!
kill_at_exit $mover
fault_wait
touch "$held/tpm2-00.permall"
fault_continue
wait $mover || fail "a move of a TPM that was changed"
assert_result '"was changed while the guest was moved" in r["reason"]'
[[ -z $(ls -A "$DIR/d$((MOVES + 1))") ]] || fail "left there: $(ls -A "$DIR/d$((MOVES + 1))")"
MOVES=$((MOVES + 1))

rm -f "$from"/a.{orders,mon,qmp}
touch "$from"/a.{orders,mon,qmp} # existing sockets, so that they are beside the disks, as the console is
cold 0
cmp "$held/tpm2-00.permall" "$(echo "$TO"/a.tpm-*)/tpm2-00.permall" || fail "it does not keep what it kept"
assert_eq "$(stat -c %a "$TO"/a.tpm-*/tpm2-00.permall)" 600 "mode of what it keeps"
"$TO/a.sh" </dev/null >"$DIR/again.log" 2>&1 &
guest_adopt a $!
GUEST_AT[a]=$TO
assert_kept third
tpm_adopt
