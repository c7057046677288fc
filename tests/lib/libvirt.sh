# shellcheck shell=bash
# Hosts with a libvirtd, for end-to-end tests; to be sourced after guest.sh or move.sh. Each is a mount namespace (and a host name) of its own,
# in which /run, /etc/libvirt, /var/lib, /var/cache, /var/log and the directory of its guests are its own; all else is what this machine has.
# Processes have the same pids everywhere. What runs there has libvirt at the usual paths, and this machine's libvirt, if it has one, sees
# nothing of it; without one, that under build/libvirt is used (scripts/install-deps).
#
#   libvirt_host NAME [PID]           a libvirtd that answers; with PID in the namespaces of that process (HOST_A of ssh-host.sh) in place
#                                     of new ones
#   libvirt_in NAME COMMAND...        there; `virsh` and `libvirtd` are found
#   libvirt_at NAME PATH              prints the path by which this test finds that file of it
#   libvirt_stop NAME, libvirt_start_daemon NAME     its libvirtd ends by SIGTERM, its guests run on; and begins again
#   libvirt_become_user NAME...       once all hosts are there: what runs at them from now on is the user libvirt-qemu, with a libvirtd of its own (qemu:///session)
#   libvirt_define NAME GUEST [FILE:FORMAT...]       a guest with the witness (with TINY, the tiny one) and these disks, vda, vdb …
#   libvirt_stub_swtpm                 before the hosts: a libvirt takes guests with a TPM, none of which can be run
#   libvirt_real_swtpm USER            before the hosts: their guests' swtpms run as that user
#   libvirt_plain_host NAME            a host with all that others have but a libvirtd
#   libvirt_create NAME GUEST [FILE:FORMAT...]       a transient guest, likewise, which runs: as libvirt_run
#   libvirt_run NAME GUEST            starts it, and waits for the witness: orders, guest_verify, GUEST_PID are as elsewhere
#
#   LIBVIRT_PID[NAME], LIBVIRT_DAEMON[NAME]   what holds its namespaces, and its libvirtd
#   LIBVIRT_GUESTS     the directory, at each of them another, for guests' disks, consoles and sockets
#   MEM, SMP, MACHINE, WITNESS, KERNEL        as in guest.sh
#   LIBVIRT_QEMU_USER  libvirt-qemu: QEMUs run as this user, who gets the guests' files (as Debian has it); empty: as root
#   LIBVIRT_QEMU_CONF  more lines of its qemu.conf
#   LIBVIRT_DEVICES    more lines of XML, into <devices>
#   LIBVIRT_MODULAR    names of hosts that have virtqemud, a daemon of QEMU's guests alone, in place of libvirtd, as Fedora and RHEL do
#
# Skips (77) where namespaces cannot be made or there is no libvirt.

declare -A LIBVIRT_PID=() LIBVIRT_HELD=() LIBVIRT_DAEMON=()
LIBVIRT_GUESTS=$DIR/guests
LIBVIRT_ROOT= # folder in which libvirt was unpacked
declare -a LIBVIRT_WAY=()
LIBVIRT_SPACES=(-m -u -n) # options of nsenter for a host's namespaces, which its commands enter
LIBVIRT_AS=() # the user of commands: libvirt_become_user
LIBVIRT_PIDFILES=/run/libvirt/qemu

libvirt_find() {
	[[ ! -x /usr/sbin/libvirtd || ! -x /usr/bin/virsh || -n ${USE_UNPACKED_LIBVIRT:-} ]] || return 0
	LIBVIRT_ROOT=$TOP/build/libvirt
	[[ -x $LIBVIRT_ROOT/usr/sbin/libvirtd ]] || skip "no libvirt: run scripts/install-deps"
}

# A program of an unpacked libvirt finds its libraries and drivers by its environment, which is nobody else's.
libvirt_wrap() { # PROGRAM DIRECTORY: where it is called
	local lib=$LIBVIRT_ROOT/usr/lib/x86_64-linux-gnu wrapper=$2/${1##*/}
	cat >"$wrapper" <<-END
		#!/bin/sh
		export LD_LIBRARY_PATH=$lib:$LIBVIRT_ROOT/lib/x86_64-linux-gnu
		export LIBVIRT_DRIVER_DIR=$DIR/libvirt-drivers LIBVIRT_STORAGE_BACKEND_DIR=$lib/libvirt/storage-backend
		export LIBVIRT_STORAGE_FILE_DIR=$lib/libvirt/storage-file
		exec $1 "\$@"
	END
	chmod 755 "$wrapper"
}

# The driver of the host's devices is left out: its threads are at work while libvirtd forks, whose child then now and then waits for ever for a
# lock that one of them had.
libvirt_wrap_all() {
	local program
	mkdir "$DIR/libvirt-drivers"
	ln -s -t "$DIR/libvirt-drivers" "$LIBVIRT_ROOT"/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/*.so
	rm -f "$DIR"/libvirt-drivers/*_{nodedev,interface}.so
	for program in "$LIBVIRT_ROOT"/usr/{bin/virsh,sbin/libvirtd}; do libvirt_wrap "$program" "$DIR/libvirt-bin"; done
	for program in "$LIBVIRT_ROOT"/usr/lib/libvirt/*; do libvirt_wrap "$program" "$DIR/libvirt-helpers"; done
}

# Whether what comes in has a line of that pattern. All of it is read: virsh, whose output is cut off, counts as one that has failed.
says() { # [OPTION OF grep...] PATTERN
	grep "$@" >/dev/null
}

# --- commands there ------------------------------------------------------------------------

libvirt_way() { # NAME: sets LIBVIRT_WAY, what starts a command there, and becomes it
	local path=$DIR/libvirt-bin:${QEMU%/*}:$PATH:/usr/sbin:/sbin # with the QEMU that libvirt takes for the host's
	LIBVIRT_WAY=(nsenter -t "${LIBVIRT_PID[$1]}" "${LIBVIRT_SPACES[@]}" env -C "$PWD" PATH="$path" "${LIBVIRT_AS[@]}")
}

libvirt_in() { # NAME COMMAND...
	libvirt_way "$1"
	"${LIBVIRT_WAY[@]}" "${@:2}"
}

libvirt_at() { # NAME PATH
	echo "/proc/${LIBVIRT_PID[$1]}/root$2"
}

# --- making them ---------------------------------------------------------------------------

libvirt_hold() { # NAME: LIBVIRT_HELD[NAME] is a process in new namespaces that ends with this shell
	local ready=$DIR/$1.libvirt-ready
	mkfifo "$ready"
	setpriv --pdeathsig KILL unshare --mount --uts --propagation private \
		bash -c 'hostname "$1"; echo yes >"$2"; exec sleep infinity' bash "$1" "$ready" </dev/null >/dev/null 2>"$DIR/$1.libvirt-err" &
	LIBVIRT_HELD[$1]=$!
	[[ $(timeout 20 cat "$ready") == yes ]] || skip "no namespaces here: $(tail -n 1 "$DIR/$1.libvirt-err")"
	rm -f "$ready"
	kill_at_exit "${LIBVIRT_HELD[$1]}"
}

# For the namespace alone: PARENT/libvirt is there, and is that directory. Where it was not, PARENT becomes an image of itself with it, as
# nothing is to be made on this machine; at once, for the sake of programs that need what is in PARENT.
libvirt_place() { # PARENT DIRECTORY ASIDE
	local real=$3$1 image=$3/image
	if [[ -d $1/libvirt ]]; then
		mount -n --bind "$2" "$1/libvirt"
		return
	fi
	mkdir -p "$real" "$image"
	mount -n --rbind "$1" "$real"
	mount -n -t tmpfs -o mode=755 libvirt "$image"
	find "$real" -mindepth 1 -maxdepth 1 -exec ln -s -t "$image" {} +
	mkdir "$image/libvirt"
	mount -n --bind "$2" "$image/libvirt"
	mount -n --move "$image" "$1"
}

# /dev without kvm, as libvirt asks QEMU for it, whatever guests are to have: one that does not work takes seconds to say so.
libvirt_devices() { # ASIDE
	local at
	mkdir -p "$1/dev" "$1/image"
	mount -n --rbind /dev "$1/dev"
	mount -n -t tmpfs -o mode=755 devices "$1/image"
	for at in $(find "$1/dev" -mindepth 1 -maxdepth 1 -type d -printf "%f "); do
		mkdir "$1/image/$at"
		mount -n --rbind "$1/dev/$at" "$1/image/$at"
	done
	find "$1/dev" -mindepth 1 -maxdepth 1 ! -type d ! -name kvm -exec ln -s -t "$1/image" {} +
	mount -n --move "$1/image" /dev
}

# Debian's libvirt does not start without its user, whoever its guests are to run as.
libvirt_user() { # FILE:REST-OF-LINE OWN NAME
	local file=${1%%:*}
	grep -v '^libvirt-qemu:' "$(libvirt_at "$3" "/etc/$file")" >"$2/$file"
	echo "libvirt-qemu:${1#*:}" >>"$2/$file"
}

libvirt_furnish() { # NAME [PID]: PID has a /run, a /var/lib and a /var/cache of its own already
	local own=$DIR/libvirt-$1
	mkdir -p "$own"/{etc,guests,aside} "$LIBVIRT_GUESTS"
	cat >"$own/etc/libvirtd.conf" <<-END
		host_uuid = "$(</proc/sys/kernel/random/uuid)"
		auth_unix_rw = "none"
		auth_unix_ro = "none"
		log_outputs = "3:stderr"
	END
	cat >"$own/etc/qemu.conf" <<-END
		user = "${LIBVIRT_QEMU_USER:-root}"
		group = "${LIBVIRT_QEMU_USER:-root}"
		dynamic_ownership = $([[ -z ${LIBVIRT_QEMU_USER:-} ]]; echo $?)
		security_driver = "none"
		namespaces = []
		cgroup_controllers = []
		stdio_handler = "file"
		${LIBVIRT_QEMU_CONF:-}
	END
	! libvirt_is_modular "$1" || printf '%s\n' 'remote_mode = "direct"' 'uri_default = "qemu:///system"' >"$own/etc/libvirt.conf" # for virsh
	libvirt_user passwd:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin "$own" "$1"
	libvirt_user group:x:64055: "$own" "$1"
	if [[ -n ${LIBVIRT_QEMU_USER:-} ]]; then
		[[ -z $(closed_directory) ]] || skip "QEMU as another user needs a checkout where others can come: $(closed_directory) is closed"
		chmod 755 "$DIR" "$own"
		chown 64055:64055 "$own/guests"
	fi
	nsenter -t "${LIBVIRT_PID[$1]}" -m env TOP="$TOP" DIR="$DIR" bash -ec "$(declare -f hide libvirt_place libvirt_devices)"'
		own=$1 guests=$2 root=$3
		for at in /var/log ${4:-/run /var/lib /var/cache}; do [[ $at == in-place ]] || hide "$at"; done
		mkdir -p "$TOP/build/libvirt-cache" /var/cache/libvirt
		mount -n --bind "$TOP/build/libvirt-cache" /var/cache/libvirt # asking QEMU what it can do takes 2 s
		libvirt_place /etc "$own/etc" "$own/aside"
		if [[ -n $root ]]; then
			libvirt_place /usr/share "$root/usr/share/libvirt" "$own/aside"
			libvirt_place /usr/lib "$DIR/libvirt-helpers" "$own/aside"
		fi
		for at in passwd group; do mount -n --bind "$own/$at" "/etc/$at"; done
		mount -n --bind "$own/guests" "$guests"
		libvirt_devices "$own/aside"
	' bash "$own" "$LIBVIRT_GUESTS" "$LIBVIRT_ROOT" ${2:+in-place} || fail "host $1 cannot be furnished"
}

libvirt_answers() { # NAME
	libvirt_in "$1" timeout 5 virsh -q list >/dev/null 2>&1
}

libvirt_answers_or_ended() { # NAME
	process_is_gone "${LIBVIRT_DAEMON[$1]}" || libvirt_answers "$1"
}

libvirt_is_modular() { # NAME
	[[ " ${LIBVIRT_MODULAR:-} " == *" $1 "* ]]
}

libvirt_launch() { # NAME
	local daemon=libvirtd
	! libvirt_is_modular "$1" || daemon=virtqemud
	libvirt_way "$1"
	"${LIBVIRT_WAY[@]}" setpriv --pdeathsig KILL "$daemon" -f /etc/libvirt/libvirtd.conf </dev/null >>"$DIR/libvirt-$1/log" 2>&1 &
	LIBVIRT_DAEMON[$1]=$!
	kill_at_exit "$!"
	wait_for 60 libvirt_answers_or_ended "$1" && libvirt_answers "$1"
}

# A libvirtd that hangs as it begins is ended, with what it has forked, and another one begins.
libvirt_start_daemon() { # NAME
	local try
	for try in 1 2 3; do
		libvirt_launch "$1" && return
		pkill -KILL -P "${LIBVIRT_DAEMON[$1]}" || true
		kill -KILL "${LIBVIRT_DAEMON[$1]}" 2>/dev/null || true
		wait "${LIBVIRT_DAEMON[$1]}" 2>/dev/null || true
	done
	fail "libvirtd of $1 does not answer: $(tail -n 5 "$DIR/libvirt-$1/log")"
}

libvirt_stop() { # NAME
	end_process "${LIBVIRT_DAEMON[$1]}"
}

libvirt_host() { # NAME [PID]
	[[ $EUID -eq 0 ]] || skip "hosts with a libvirtd need root, for namespaces"
	! libvirt_is_modular "$1" || [[ -x /usr/sbin/virtqemud ]] || skip "no virtqemud here"
	if [[ ! -d $DIR/libvirt-bin ]]; then
		libvirt_find
		mkdir "$DIR"/libvirt-{bin,helpers}
		at_exit libvirt_hosts_end
		[[ -z $LIBVIRT_ROOT ]] || libvirt_wrap_all
	fi
	[[ -n ${2:-} ]] || libvirt_hold "$1"
	LIBVIRT_PID[$1]=${2:-${LIBVIRT_HELD[$1]}}
	libvirt_furnish "$1" ${2:+"$2"}
	libvirt_start_daemon "$1"
}

libvirt_plain_host() { # NAME: a host as the others, without a libvirtd
	libvirt_hold "$1"
	LIBVIRT_PID[$1]=${LIBVIRT_HELD[$1]}
	libvirt_furnish "$1"
}

libvirt_processes() { # NAME: all in its mount namespace
	local ns at
	ns=$(readlink "/proc/${LIBVIRT_PID[$1]}/ns/mnt") || return 0
	{ find /proc/[0-9]*/ns/mnt -maxdepth 0 -lname "mnt:\\${ns#mnt:}" 2>/dev/null || true; } | while read -r at; do
		at=${at#/proc/}
		echo "${at%%/*}"
	done
}

libvirt_hosts_end() {
	local name pid
	for name in "${!LIBVIRT_PID[@]}"; do
		[[ ${status:-0} -eq 0 || ${status:-0} -eq 77 || ! -s $DIR/libvirt-$name/log ]] || {
			echo "--- libvirtd of $name" >&2
			tail -n 10 "$DIR/libvirt-$name/log" >&2
		}
		[[ ${LIBVIRT_PID[$name]} != "${LIBVIRT_HELD[$name]:-}" ]] || for pid in $(libvirt_processes "$name"); do
			kill -KILL "$pid" 2>/dev/null
			wait "$pid" 2>/dev/null # only children of this shell
		done
	done
}

libvirt_become_user() { # NAME...
	local name own=/run/user/64055
	for name; do
		libvirt_stop "$name"
		libvirt_in "$name" mkdir -p "$own/home/.config/libvirt"
		libvirt_in "$name" cp /etc/libvirt/qemu.conf "$own/home/.config/libvirt"
		libvirt_in "$name" chown -R 64055:64055 "$own"
		libvirt_in "$name" chmod 700 "$own"
		chmod 666 "$DIR/libvirt-$name/log"
	done
	LIBVIRT_AS=(setpriv --reuid 64055 --regid 64055 --clear-groups env HOME=$own/home XDG_RUNTIME_DIR=$own LIBVIRT_AUTOSTART=0)
	LIBVIRT_PIDFILES=$own/libvirt/qemu/run
	for name; do libvirt_start_daemon "$name"; done
}

# libvirt takes no guest with a TPM before it has seen these; none of them is run.
libvirt_stub_swtpm() {
	local program
	mkdir -p "$DIR/stubs"
	for program in swtpm swtpm_setup swtpm_ioctl; do
		printf '#!/bin/sh\necho %s\n' "'{ \"type\": \"$program\", \"features\": [ \"tpm-1.2\", \"tpm-2.0\" ] }'" >"$DIR/stubs/$program"
		chmod 755 "$DIR/stubs/$program"
	done
	PATH=$DIR/stubs:$PATH
}

# A new TPM needs no setup, and its swtpm ends with its QEMU's connection.
libvirt_real_swtpm() { # USER
	local swtpm
	swtpm=$(command -v swtpm)
	libvirt_stub_swtpm
	ln -sf "$swtpm" "$DIR/stubs/swtpm"
	LIBVIRT_QEMU_CONF=$(printf '%s\n' "${LIBVIRT_QEMU_CONF:-}" "swtpm_user = \"$1\"" "swtpm_group = \"$1\"")
}

# --- guests --------------------------------------------------------------------------------

libvirt_disks() { # FILE:FORMAT...
	local letter=a disk
	for disk; do
		echo "<disk type='file' device='disk'><driver name='qemu' type='${disk##*:}' discard='unmap'/>"
		echo "<source file='${disk%:*}'/><target dev='vd$letter' bus='virtio'/></disk>"
		letter=$(tr a-y b-z <<<"$letter")
	done
}

# libvirt notes beside a file whom it gives it to, and other tests' hosts, which come and go, would read that.
libvirt_boot() {
	if [[ -n ${TINY:-} ]]; then
		[[ -e $DIR/tiny.elf ]] || cp "$TOP/build/guest/tiny.elf" "$DIR/tiny.elf"
		echo "<kernel>$DIR/tiny.elf</kernel><cmdline>$(witness_words)</cmdline>"
	else
		echo "<kernel>$TOP/build/guest/${KERNEL:-vmlinuz}</kernel><initrd>$TOP/build/guest/initrd.img</initrd>"
		echo "<cmdline>$(guest_cmdline)</cmdline>"
	fi
}

libvirt_xml() { # GUEST [FILE:FORMAT...]: prints it
	cat <<-END
		<domain type='qemu'>
		  <name>$1</name>
		  <memory unit='MiB'>${MEM:-256}</memory>
		  <vcpu>${SMP:-1}</vcpu>
		  <os><type arch='x86_64' machine='${MACHINE:-q35}'>hvm</type>$(libvirt_boot)</os>
		  <features><acpi/></features>
		  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>preserve</on_crash>
		  <devices>
		    <emulator>$QEMU</emulator>
		    $(libvirt_disks "${@:2}")
		    <serial type='file'><source path='$LIBVIRT_GUESTS/$1.console' append='on'/></serial>
		    <serial type='unix'><source mode='bind' path='$LIBVIRT_GUESTS/$1.orders'/></serial>
		    <memballoon model='none'/>
		    ${LIBVIRT_DEVICES:-}
		  </devices>
		</domain>
	END
}

libvirt_define() { # NAME GUEST [FILE:FORMAT...]
	libvirt_xml "${@:2}" >"$DIR/$2.xml"
	libvirt_in "$1" virsh -q define "$DIR/$2.xml" >/dev/null || fail "$2 cannot be defined at $1"
}

libvirt_guest_settled() { # CONSOLE
	grep -aqsE 'witness (ready|failed)|Kernel panic' "$1"
}

libvirt_create() { # NAME GUEST [FILE:FORMAT...]
	libvirt_xml "${@:2}" >"$DIR/$2.xml"
	libvirt_in "$1" virsh -q create "$DIR/$2.xml" >/dev/null || fail "$2 cannot be created at $1"
	libvirt_comes_up "$1" "$2"
}

libvirt_run() { # NAME GUEST
	libvirt_in "$1" virsh -q start "$2" >/dev/null || fail "$2 does not start at $1"
	libvirt_comes_up "$1" "$2"
}

libvirt_comes_up() { # NAME GUEST
	local console
	console=$(libvirt_at "$1" "$LIBVIRT_GUESTS/$2.console")
	guest_adopt "$2" "$(<"$(libvirt_at "$1" "$LIBVIRT_PIDFILES/$2.pid")")"
	GUEST_AT[$2]=$(libvirt_at "$1" "$LIBVIRT_GUESTS")
	wait_for "${READY_S:-180}" libvirt_guest_settled "$console" || true
	grep -aqs 'witness ready' "$console" || fail "guest $2 did not come up at $1: $(tail -n 3 "$console")"
	guest_order "$(orders "$2")" ping >/dev/null
}
