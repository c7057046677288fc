#!/bin/bash
# `vmferry drain` of GUESTS (4) guests of libvirt's, beside the same guests moved one by one with `vmferry migrate`, and with `virsh migrate
# --live --copy-storage-all`, on a LINK (1gbit) between two hosts with a real sshd and a libvirtd each; in turns, the medians of REPEAT (3)
# rounds. Each guest is verified after each of its moves.
# timeout: 3600
#
# Before each turn all guests are at pa, and nothing of them is at pb but, for virsh, which asks for that, empty images. vmferry encrypts what it carries,
# virsh does not. Each guest has real files of this machine on its disk (DISK_MB), no two the same, and noise in its memory.
export TINY=yes MACHINE=pc MEM=${MEM:-384} WITNESS="${WITNESS:-ram_mb=160 rate=500 disks=vda disk_mb=16 disk_rate=50}"
. "$(dirname "$0")/../lib/nodes.sh"
. "$(dirname "$0")/../lib/libvirt.sh"
LIBVIRT_SPACES=(-m -u -n -i -p)

REPEAT=${REPEAT:-3}
LINK=${LINK:-1gbit}
DISK_MB=${DISK_MB:-128}
NAMES=()
for ((i = 1; i <= ${GUESTS:-4}; i++)); do NAMES+=("vm$i"); done
declare -A TOOK=() CARRIED=()

node_serve() {
	node_sshd "$@"
}

guests_at() { # NODE: where its guests' files are from here
	echo "$DIR/libvirt-$1/guests"
}

calculate() { # EXPRESSION of Python
	python3 -S -c 'import sys; from statistics import median; print("%.1f" % eval(sys.argv[1]))' "$1"
}

ferry() { # NODE COMMAND...
	on "$1" timeout 600 vmferry "${@:2}" </dev/null >"$DIR/said" 2>&1 || fail "vmferry ${*:2} at $1: $(<"$DIR/said")"
}

all_run_at() { # NODE
	local name
	for name in "${NAMES[@]}"; do
		assert_eq "$(libvirt_in "$1" virsh -q domstate "$name" 2>&1)" running "state of $name at $1"
		guest_verify "$(guests_at "$1")/$name.orders" blocks >/dev/null
	done
}

by_drain() { ferry pa drain --to root@pb; }

by_migrate() {
	local name
	for name in "${NAMES[@]}"; do ferry pa migrate "$name" root@pb; done
}

before_virsh() {
	local name
	for name in "${NAMES[@]}"; do truncate -s "${DISK_MB}M" "$(guests_at pb)/$name.raw"; done
}

by_virsh() {
	local name
	for name in "${NAMES[@]}"; do
		libvirt_in pa env HOME="$NODE_HOME" timeout 600 virsh -q migrate --live --persistent --undefinesource --copy-storage-all "$name" \
			qemu+ssh://root@pb/system </dev/null >"$DIR/said" 2>&1 || fail "virsh migrate $name: $(<"$DIR/said")"
	done
}

sent() { # prints how many bytes have left pa
	on pa awk '$1 == "lan:" { print $10 }' /proc/net/dev
}

once() { # TOOL
	local began bytes now
	find "$(guests_at pb)" -type f -delete
	! declare -F "before_$1" >/dev/null || "before_$1"
	sync "$DIR"
	bytes=$(sent) began=$EPOCHREALTIME
	"by_$1"
	now=$EPOCHREALTIME
	TOOK[$1]+=" $(calculate "$now - $began")"
	CARRIED[$1]+=" $(calculate "($(sent) - $bytes) / 1e6")"
	all_run_at pb
	echo "$1: ${TOOK[$1]##* } s, ${CARRIED[$1]##* } MB"
	[[ $1 != virsh ]] || find "$(guests_at pa)" -name '*.raw' -delete # virsh's images, of which vmferry does not know
	ferry pb migrate "${NAMES[@]}" root@pa --reuse auto
	all_run_at pa
}

nodes_prepare
nodes_keys
mkdir -p "$DIR/over/bin"
ln -s "$BIN"/vmferry{,-dst} "$DIR/over/bin/"
libvirt_find
[[ -z $LIBVIRT_ROOT ]] || libvirt_wrap "$LIBVIRT_ROOT/usr/bin/virt-ssh-helper" "$DIR/over/bin"
for node in pa pb; do node_start "$node"; done
nodes_wait pa pb
for node in pa pb; do
	on "$node" tc qdisc add dev lan root tbf rate "$LINK" burst 131072 latency 20ms || skip "this kernel shapes no link"
	libvirt_host "$node" "${NODE_PID[$node]}"
done
offset=1
for name in "${NAMES[@]}"; do
	truncate -s "${DISK_MB}M" "$(guests_at pa)/$name.raw"
	{ tar -cf - -C / usr/lib 2>/dev/null || true; } | { tail -c "+$offset" || true; } | head -c "${DISK_MB}M" |
		dd of="$(guests_at pa)/$name.raw" conv=notrunc iflag=fullblock bs=1M status=none
	offset=$((offset + DISK_MB * 1048576))
	libvirt_define pa "$name" "$LIBVIRT_GUESTS/$name.raw:raw"
	libvirt_in pa virsh -q start "$name" >/dev/null || fail "$name does not start"
	wait_for 120 grep -aqs 'witness ready' "$(guests_at pa)/$name.console" || fail "$name did not come up: $(tail -n 1 "$(guests_at pa)/$name.console")"
done

tools=(drain migrate virsh)
for ((i = 0; i < REPEAT; i++)); do
	for tool in "${tools[@]}"; do once "$tool"; done
	tools=("${tools[@]:1}" "${tools[0]}")
done

median() { # NUMBER...
	calculate "median([$(IFS=,; echo "$*")])"
}

printf '\n%-44s %8s %8s %10s\n' "${#NAMES[@]} guests" s MB "of drain's"
# shellcheck disable=SC2086 # they are numbers
for row in drain:'vmferry drain' migrate:'vmferry migrate, one by one' virsh:'virsh migrate --copy-storage-all, one by one'; do
	tool=${row%%:*}
	ratio=$(python3 -S -c 'import sys; from statistics import median; a, b = ([float(x) for x in s.split()] for s in sys.argv[1:]); print("%.2f" % median(x / y for x, y in zip(a, b)))' \
		"${TOOK[$tool]}" "${TOOK[drain]}")
	printf '%-44s %8s %8s %10s\n' "${row#*:}" "$(median ${TOOK[$tool]})" "$(median ${CARRIED[$tool]})" "$ratio"
done
