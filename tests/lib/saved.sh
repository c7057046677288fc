# shellcheck shell=bash
# A Linux guest that need not boot; sourced by guest.sh. The state of one without disks, which has loaded its drivers and waits (witness-saved.c),
# is kept in build/guest, made by the first test that asks for it. QEMU loads it as that of a migration; the guest then looks for the devices that
# there are besides, and has the command line of the QEMU in which it is.

# Whether a guest can go on from there: it is of the machine that most tests have, without devices that firmware or kernel must see at their start.
can_go_on_from_saved() { # [QEMU OPTION...]
	local backend
	[[ ${MEM:-} == 256 && ${SMP:-1} == 1 && ${QEMU_BELOW:-$QEMU} == "$TOP/build/qemu/bin/qemu-system-x86_64" ]] || return
	[[ ${MACHINE:-q35} =~ ^q35(,memory-backend=([a-z]+))?$ ]] || return
	backend=${BASH_REMATCH[2]:-}
	while [[ $# -gt 1 ]]; do
		case "$1 $2" in
		-qmp\ * | -netdev\ * | -chardev\ * | -blockdev\ *) ;;
		-drive\ *if=none*) ;;
		-device\ virtio-blk-pci,* | -device\ virtio-net-pci,* | -device\ virtio-scsi-pci* | -device\ virtio-serial-pci*) ;;
		-device\ virtserialport,* | -device\ scsi-hd,* | -device\ scsi-cd,*) ;;
		-object\ memory-backend-*) [[ $2 == *",id=$backend,"* ]] || return ;;
		-object\ iothread,*) ;;
		*) return 1 ;;
		esac
		shift 2
	done
	[[ $# -eq 0 ]]
}

# Sets STATE to the file, which it makes if there is none of this QEMU, this kernel and this witness.
saved_state() {
	local machine=${MACHINE:-q35} made_of lock # file names do not count: a copy of the tree may have the same guest
	made_of=$(stat -Lc '%s %Y' "$TOP/build/qemu/bin/qemu-system-x86_64" "$TOP"/build/qemu/usr/bin/qemu-system-x86_64 \
		"$TOP"/build/guest/{vmlinux,initrd.img} 2>/dev/null | cksum) || true
	STATE=$TOP/build/guest/saved-$machine-${made_of%% *}
	[[ ! -e $STATE ]] || return 0
	exec {lock}>"$TOP/build/guest/.lock-saved"
	flock "$lock"
	[[ -e $STATE ]] || saved_make "$machine" "$STATE"
	exec {lock}>&-
}

has_waited() {
	grep -qs 'witness waits' "$DIR/saved.console" || process_is_gone "${GUEST_PID[saved]}"
}

has_saved() {
	[[ $(qmp "$DIR/saved.qmp" '{"execute": "query-migrate"}') == *'"status": "completed"'* ]]
}

saved_make() { # MACHINE FILE
	local QEMU=$TOP/build/qemu/bin/qemu-system-x86_64
	local -a ON=() backend=()
	[[ $1 != *memory-backend=* ]] || backend=(-object "memory-backend-ram,id=${1#*memory-backend=},size=256M")
	NO_QMP= KERNEL=vmlinux WITNESS=saved guest_launch saved "${backend[@]}"
	wait_for "${READY_S:-180}" has_waited && ! process_is_gone "${GUEST_PID[saved]}" || fail "no guest to save: $(tail -n 1 "$DIR/saved.stderr")"
	qmp "$DIR/saved.qmp" '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 10737418240}}' >/dev/null
	qmp "$DIR/saved.qmp" "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"file:$2.new\"}}" >/dev/null
	wait_for 60 has_saved || fail "the guest is not saved: $(qmp "$DIR/saved.qmp" '{"execute": "query-migrate"}')"
	guest_stop saved
	rm -f "$DIR"/saved.*
	chmod a+r "$2.new"
	mv "$2.new" "$2"
}
