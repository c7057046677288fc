#!/bin/bash
# Guests that run are drained to a host whose networks have other names, and which says itself where disks go: cards of libvirt's guest, on networks and bridges,
# and of a plain one, on a bridge, are on what has the label of theirs there, of either kind, as the guest runs and in its definition; disks go to the directory
# with most room. They come back by the command that the summary prints, to the networks that they had.
# tier: check-all
# timeout: 400
export TINY=yes MACHINE=pc MEM=128 WITNESS="ram_mb=16 rate=300 disks=vda disk_mb=4 disk_rate=20"
. "$(dirname "$0")/../../lib/nodes.sh"
. "$(dirname "$0")/../../lib/libvirt.sh"
[[ -w /dev/net/tun ]] || skip "no /dev/net/tun"
LIBVIRT_SPACES=(-m -u -n -i -p)

# With an /etc/vmferry/host, and network devices, of its own.
node_serve() {
	cp /etc/{hosts,passwd,group} "$DIR/etc-$1/"
	mount -n -t overlay -o "lowerdir=$DIR/etc-$1:/etc" etc /etc
	mount -n -t sysfs sysfs /sys
	mkdir -p "$VM/small" "$VM/large"
	mount -n -t tmpfs -o size=24M small "$VM/small"
	mount -n -t tmpfs -o size=90M large "$VM/large"
	node_sshd "$@"
}

bridges() { # NODE NAME...
	local name
	for name in "${@:2}"; do
		on "$1" ip link add "$name" type bridge
		on "$1" ip link set "$name" up
	done
}

network() { # NODE NAME BRIDGE: of libvirt's
	echo "<network><name>$2</name><forward mode='bridge'/><bridge name='$3'/></network>" >"$DIR/network.xml"
	libvirt_in "$1" virsh -q net-define "$DIR/network.xml" >/dev/null
	libvirt_in "$1" virsh -q net-start "$2" >/dev/null
}

card() { # TYPE NAME NUMBER
	echo "<interface type='$1'><mac address='52:54:00:00:00:0$3'/><source $1='$2'/><model type='virtio'/></interface>"
}

at() { # NODE PATH: from here
	echo "/proc/${NODE_PID[$1]}/root$2"
}

libvirts_guest() { # NAME CARD: it runs at pa
	mkdir -p "$(at pa "$VM/large/$1")"
	head -c 8M /dev/urandom >"$(at pa "$VM/large/$1/$1.raw")"
	LIBVIRT_DEVICES=$2 libvirt_define pa "$1" "$VM/large/$1/$1.raw:raw"
	libvirt_in pa virsh -q start "$1" >/dev/null || fail "$1 does not start"
	wait_for 60 grep -aqs 'witness ready' "$DIR/libvirt-pa/guests/$1.console" || fail "$1 did not come up"
}

plain_guest() { # NAME: likewise
	mkdir -p "$(at pa "$VM/large/$1")"
	head -c 8M /dev/urandom >"$(at pa "$VM/large/$1/$1.raw")"
	printf '#!/bin/sh\nexec python3 -S "%s" "%s" "$@"\n' "$TOP/tests/lib/bridge-helper.py" "$VM/helper.log" >"$DIR/helper"
	chmod 755 "$DIR/helper"
	write_guest_script pa "$1" "$VM/large/$1/$1.raw"
	sed -i "s|-kernel|-netdev bridge,id=n0,br=br-mail,helper=$DIR/helper -device virtio-net-pci,netdev=n0,mac=52:54:00:00:00:09 -kernel|" "$(node_dir pa)/$1.sh"
	on pa bash -c 'setsid "$1" </dev/null >"$2" 2>&1 &' bash "$VM/$1.sh" "$DIR/$1.stderr"
	GUEST_AT[$1]=$(node_dir pa)
	wait_for 60 status_is_running "$1" || fail "$1 does not run: $(<"$DIR/$1.stderr")"
}

ferry() { # NODE COMMAND...
	local status=0
	on "$1" timeout 300 vmferry "${@:2}" </dev/null >"$DIR/said" 2>&1 || status=$?
	assert_eq "$status" 0 "exit code of vmferry ${*:2} at $1 ($(<"$DIR/said"))"
}

cards() { # NODE [OPTION OF virsh dumpxml...]: prints those of web, "NUMBER TYPE='NAME'" each in a line
	libvirt_in "$1" virsh dumpxml "${@:2}" web | python3 -S -c '
import sys, xml.etree.ElementTree as tree
for card in tree.parse(sys.stdin).iter("interface"):
    source = card.find("source").attrib
    kind = "network" if "network" in source else "bridge"
    print(int(card.find("mac").get("address")[-2:]), "%s=%s" % (kind, source[kind]))' | sort | xargs
}

cards_are_on() { # NODE NOW LATER: as it runs, and in its definition
	assert_eq "$(libvirt_in "$1" virsh -q domstate web 2>&1)" running "state of web at $1"
	assert_eq "$(cards "$1")" "$2" "cards at $1, as it runs"
	assert_eq "$(cards "$1" --inactive)" "$3" "cards at $1 from its next start on"
	guest_verify "$DIR/libvirt-$1/guests/web.orders" blocks >/dev/null
}

taps_are_on() { # NODE BRIDGE:HOW-MANY...
	local bridge
	for bridge in "${@:2}"; do
		assert_eq "$(on "$1" ip -o link show master "${bridge%:*}" | wc -l)" "${bridge#*:}" "cards on $bridge at $1 ($(on "$1" ip -o link))"
	done
}

disk_is_in() { # NODE GUEST DIRECTORY
	[[ $(libvirt_in "$1" virsh domblklist "$2") == *" $3/$2.raw"* ]] || fail "the disk of $2 is elsewhere at $1: $(libvirt_in "$1" virsh domblklist "$2")"
	[[ -s $(at "$1" "$3/$2.raw") ]] || fail "the disk of $2 is not at $1"
}

nodes_prepare
nodes_keys
mkdir -p "$DIR/over/bin"
ln -s "$BIN"/vmferry{,-dst} "$DIR/over/bin/"
for node in pa pb; do mkdir -p "$DIR/etc-$node/vmferry"; done
printf '%s\n' 'net office lan' 'net guests wifi' 'net br-db dmz' 'net br-tests test' 'net br-mail post' "disk-dir $VM/small/%n" "disk-dir $VM/large/%n" >"$DIR/etc-pa/vmferry/host"
printf '%s\n' 'net lan-of-b lan' 'net wifi-of-b wifi' 'net dmz-of-b dmz' 'net test-of-b test' 'net post-of-b post' "disk-dir $VM/small/%n" "disk-dir $VM/large/%n" \
	>"$DIR/etc-pb/vmferry/host"
for node in pa pb; do node_start "$node"; done
nodes_wait pa pb
for node in pa pb; do libvirt_host "$node" "${NODE_PID[$node]}"; done
bridges pa br-office br-guests br-db br-tests br-mail
bridges pb br-b-lan br-b-test wifi-of-b dmz-of-b post-of-b
network pa office br-office
network pa guests br-guests
network pb lan-of-b br-b-lan
network pb test-of-b br-b-test
libvirts_guest web "$(card network office 1)$(card network guests 2)$(card bridge br-db 3)$(card bridge br-tests 4)"
libvirt_in pa virsh -q attach-interface web network office --mac 52:54:00:00:00:05 --model virtio --live >/dev/null # now, and not at its next start
libvirt_in pa virsh -q attach-interface web network guests --mac 52:54:00:00:00:06 --model virtio --config >/dev/null # the other way round
libvirt_in pa virsh -q attach-interface web bridge br-later --mac 52:54:00:00:00:07 --model virtio --config >/dev/null
card bridge br-tests 3 >"$DIR/card.xml"
libvirt_in pa virsh -q update-device web "$DIR/card.xml" --live >/dev/null || fail "the card is not on another bridge"
plain_guest mail

ferry pa plan web mail --to root@pb --disk-dir auto
assert_eq "$(grep -c "$VM/large (" "$DIR/said")" 2 "guests that the directory with room is planned for ($(<"$DIR/said"))"

ferry pa check web root@pb --disk-dir auto
grep -q 'the destination has no bridge br-later, which the guest.s network card needs' "$DIR/said" || fail "it does not say what is missing: $(<"$DIR/said")"
ferry pa drain --to root@pb --disk-dir auto
grep -q '^2 of 2 guests have gone' "$DIR/said" || fail "not all have gone: $(<"$DIR/said")"
cards_are_on pb '1 network=lan-of-b 2 bridge=wifi-of-b 3 network=test-of-b 4 network=test-of-b 5 network=lan-of-b' \
	'1 network=lan-of-b 2 bridge=wifi-of-b 3 bridge=dmz-of-b 4 network=test-of-b 6 bridge=wifi-of-b 7 bridge=br-later'
taps_are_on pb br-b-lan:2 wifi-of-b:1 dmz-of-b:0 br-b-test:2 post-of-b:1
disk_is_in pb web "$VM/large/web"
[[ -s $(at pb "$VM/large/mail/mail.raw") ]] || fail "the disk of mail is not at pb"

back=$(sed -n 's/^back again, at root@pb: vmferry //p' "$DIR/said" | sed 's/root@[^ ]*/root@pa/')
ferry pb $back
cards_are_on pa '1 network=office 2 network=guests 3 bridge=br-tests 4 bridge=br-tests 5 network=office' \
	'1 network=office 2 network=guests 3 bridge=br-db 4 bridge=br-tests 6 network=guests 7 bridge=br-later'
taps_are_on pa br-office:2 br-guests:1 br-db:0 br-tests:2 br-mail:1
guest_verify "$(orders mail)" blocks

# Once more: where an old copy of a disk is, or what a move that was cut off has brought of one, there it goes, though another directory has more room by now.
in_pb() { # COMMAND: in the directory with its directories
	on pb sh -c "cd '$VM' && $1"
}

in_pb 'rm -r large/mail && head -c 70M /dev/zero >large/other'
ferry pa migrate web root@pb --disk-dir auto --reuse auto
disk_is_in pb web "$VM/large/web"
on pa vmferry migrate mail root@pb --disk-dir auto --keep-partial 1h --bwlimit 2M --codec none --max-downtime 5000 --reconnect-timeout 1 </dev/null >"$DIR/said" 2>&1 &
cut=$!
wait_for 60 grep -q ' [1-9][0-9]% ' "$DIR/said" || fail "the move is not under way: $(<"$DIR/said")"
on pa pkill -KILL -x vmferry || true # all that is vmferry's there
wait "$cut" || true
wait_for 60 in_pb 'ls small/mail/*-partial >/dev/null 2>&1' || fail "nothing is kept in the directory with most room: $(<"$DIR/said")"
in_pb 'head -c 14M /dev/zero >small/other'
ferry pa recover mail --resume
in_pb 'ls small/mail/mail.raw >/dev/null' || fail "what was brought of mail is not gone on with: $(<"$DIR/said")"
