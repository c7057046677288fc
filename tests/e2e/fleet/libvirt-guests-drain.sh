#!/bin/bash
# A drain takes libvirt's guests beside plain ones, apart as is said, each to the libvirt of a host that it chooses; they come back by the command that its summary
# prints. Those that are shut down go, too, if that is said: one whose network has another name there is on the network of the same label afterwards.
# tier: check-all
# timeout: 400
export TINY=yes MACHINE=pc MEM=128 WITNESS="ram_mb=16 rate=300 disks=vda disk_mb=4 disk_rate=20"
. "$(dirname "$0")/../../lib/nodes.sh"
. "$(dirname "$0")/../../lib/libvirt.sh"
LIBVIRT_SPACES=(-m -u -n -i -p)

# With an /etc/vmferry/host of its own.
node_serve() {
	cp /etc/{hosts,passwd,group} "$DIR/etc-$1/"
	mount -n -t overlay -o "lowerdir=$DIR/etc-$1:/etc" etc /etc
	node_sshd "$@"
}

guests_at() { # NODE: where its guests' files are from here
	echo "$DIR/libvirt-$1/guests"
}

libvirts_guest() { # NAME: it runs at pa
	head -c 4M /dev/urandom >"$(guests_at pa)/$1.raw"
	libvirt_define pa "$1" "$LIBVIRT_GUESTS/$1.raw:raw"
	libvirt_in pa virsh -q start "$1" >/dev/null || fail "$1 does not start"
	wait_for 60 grep -aqs 'witness ready' "$(guests_at pa)/$1.console" || fail "$1 did not come up"
}

plain_guest() { # NAME: likewise
	head -c 4M /dev/urandom >"$(node_dir pa)/$1.raw"
	write_guest_script pa "$1" "$VM/$1.raw"
	on pa bash -c 'setsid "$1" </dev/null >"$2" 2>&1 &' bash "$VM/$1.sh" "$DIR/$1.stderr"
	GUEST_AT[$1]=$(node_dir pa)
	wait_for 60 status_is_running "$1" || fail "$1 does not run"
}

libvirt_has() { # NODE: names, in a line
	libvirt_in "$1" virsh -q list --all --name | sort | xargs
}

runs_at() { # NODE NAME: libvirt's
	assert_eq "$(libvirt_in "$1" virsh -q domstate "$2" 2>&1)" running "state of $2 at $1"
	guest_verify "$(guests_at "$1")/$2.orders" blocks >/dev/null
}

ferry() { # STATUS NODE COMMAND...
	local status=0
	on "$2" timeout 300 vmferry "${@:3}" </dev/null >"$DIR/said" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of vmferry ${*:3} at $2 ($(<"$DIR/said"))"
}

nodes_prepare
nodes_keys
mkdir -p "$DIR/over/bin"
ln -s "$BIN"/vmferry{,-dst} "$DIR/over/bin/"
for node in pa pb pc; do mkdir -p "$DIR/etc-$node/vmferry"; done
echo 'net office lan' >"$DIR/etc-pa/vmferry/host"
echo 'net lan-of-b lan' >"$DIR/etc-pb/vmferry/host"
for node in pa pb pc; do node_start "$node"; done
nodes_wait pa pb pc
for node in pa pb pc; do libvirt_host "$node" "${NODE_PID[$node]}"; done
libvirts_guest web
libvirts_guest db
plain_guest mail

ferry 0 pa drain --to root@pb,root@pc --apart web,db
grep -q '^3 of 3 guests have gone' "$DIR/said" || fail "not all have gone: $(<"$DIR/said")"
assert_eq "$(libvirt_has pa)" "" "guests of libvirt at pa"
web=pb db=pc
[[ $(libvirt_has pb) == web ]] || web=pc db=pb
runs_at "$web" web
runs_at "$db" db
[[ $(on pb vmferry list; on pc vmferry list) == *mail* ]] || fail "mail is nowhere: $(<"$DIR/said")"

for node in pb pc; do
	back=$(sed -n "s/^back again, at root@$node: vmferry //p" "$DIR/said" | sed 's/root@[^ ]*/root@pa/')
	[[ -n $back ]] || fail "there is no way back from $node: $(<"$DIR/said")"
	cp "$DIR/said" "$DIR/drained"
	ferry 0 "$node" $back
	cp "$DIR/drained" "$DIR/said"
done
assert_eq "$(libvirt_has pa) $(libvirt_has pb)$(libvirt_has pc)" "db web " "guests of libvirt at all"
runs_at pa web
runs_at pa db
wait_for 60 status_is_running mail || fail "mail does not run at pa"
guest_verify "$(orders mail)" blocks >/dev/null

# With those that are shut down, libvirt's and others'; a network by its label.
network() { # NODE NAME
	echo "<network><name>$2</name><forward mode='bridge'/><bridge name='br-$2'/></network>" >"$DIR/network.xml"
	libvirt_in "$1" virsh -q net-define "$DIR/network.xml" >/dev/null
	libvirt_in "$1" virsh -q net-start "$2" >/dev/null
}

network pa office
network pb lan-of-b
for name in off kept; do
	"$QEMU_IMG" create -q -f qcow2 "$(guests_at pa)/$name.qcow2" 4M
	LIBVIRT_DEVICES="<interface type='network'><source network='office'/><model type='virtio'/></interface>" \
		libvirt_define pa $name "$LIBVIRT_GUESTS/$name.qcow2:qcow2"
done
head -c 1M /dev/urandom >"$(node_dir pa)/spare.raw"
write_guest_script pa spare "$VM/spare.raw"
ferry 0 pa drain --to root@pb --with-off --keep kept --off "$VM/spare.sh" --reuse auto
grep -q '^kept stays here: --keep' "$DIR/said" || fail "it does not say what stays: $(<"$DIR/said")"
grep -q '^5 of 5 guests have gone' "$DIR/said" || fail "not all have gone: $(<"$DIR/said")"
grep -q '^back again, at root@pb: vmferry migrate off [^ ]*/spare[.]sh root@.* --reuse auto --how cold$' "$DIR/said" || fail "there is no way back: $(<"$DIR/said")"
assert_eq "$(libvirt_has pa)|$(libvirt_has pb)" "kept|db off web" "guests of libvirt"
runs_at pb web
runs_at pb db
assert_eq "$(libvirt_in pb virsh domstate off)" "shut off" "state of the one that was shut down"
[[ $(libvirt_in pb virsh dumpxml --inactive off) == *"<source network='lan-of-b'/>"* ]] || fail "its card is elsewhere: $(libvirt_in pb virsh dumpxml --inactive off)"
[[ -e $(node_dir pb)/spare.sh && ! -e $(node_dir pa)/spare.sh ]] || fail "spare is not at pb alone: $(<"$DIR/said")"
[[ $(on pb vmferry list --json) != *'"name":"spare"'* ]] || fail "spare runs"

# A plain guest of the name of one of libvirt's that is shut down: it goes as what it is, and the other one once nothing of that name runs here, whatever file
# has that name where the drain is.
"$QEMU_IMG" create -q -f qcow2 "$(guests_at pa)/twin.qcow2" 4M
libvirt_define pa twin "$LIBVIRT_GUESTS/twin.qcow2:qcow2"
plain_guest twin
touch "$DIR/twin"
drain_with_file() { # STATUS
	local status=0
	on pa sh -c 'cd "$1" && exec timeout 300 vmferry drain --to root@pb --with-off --keep kept --reuse auto' sh "$DIR" </dev/null >"$DIR/said" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of the drain ($(<"$DIR/said"))"
}
drain_with_file 3
grep -q 'a guest twin runs here: nothing is moved that is not shut down' "$DIR/said" || fail "it does not say why one stays: $(<"$DIR/said")"
assert_eq "$(libvirt_has pa)|$(libvirt_has pb)" "kept twin|db off web" "guests of libvirt"
[[ $(on pa vmferry list --json) != *'"name":"twin","pid":'[1-9]* ]] || fail "the plain one has not gone: $(<"$DIR/said")"
drain_with_file 0
assert_eq "$(libvirt_has pa)|$(libvirt_has pb)" "kept|db off twin web" "guests of libvirt"
[[ $(on pb vmferry list --json) == *'"name":"twin","pid":'[1-9]* ]] || fail "the plain one does not run: $(<"$DIR/said")"
assert_eq "$(libvirt_in pb virsh domstate twin)" "shut off" "state of the other one"
