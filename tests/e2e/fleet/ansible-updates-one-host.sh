#!/bin/bash
# Ansible's module moves a guest, once, says in check mode what it would do, and where the guest is if it fails. The playbook empties a host, has it
# upgraded (what that is, the test says) and started anew, and has its guests back.
# timeout: 500
. "$(dirname "$0")/../../lib/nodes.sh"

# Directories that a host keeps over a reboot, beside VM; its boot id is another each time.
node_serve() {
	mkdir -p "$DIR/$1/kept"
	mkdir -m 700 /var/lib/vmferry
	mount -n --bind "$DIR/$1/kept" /var/lib/vmferry
	cat /proc/sys/kernel/random/uuid >"$DIR/$1/boot-id"
	mount -n --bind "$DIR/$1/boot-id" /proc/sys/kernel/random/boot_id
	node_sshd "$@"
}

guest_start_at() { # NODE NAME
	head -c 4M /dev/urandom >"$(node_dir "$1")/$2.raw"
	WITNESS="ram_mb=8 rate=200 disks=vda disk_mb=2 disk_rate=10" write_guest_script "$1" "$2" "$VM/$2.raw"
	on "$1" bash -c 'setsid "$1" </dev/null >"$2" 2>&1 &' bash "$VM/$2.sh" "$DIR/$2.stderr" # the node's: nsenter would stand still as its child is held
	assert_at "$1" "$2"
}

assert_at() { # NODE NAME: it runs there, and nowhere else
	local node
	GUEST_AT[$2]=$(node_dir "$1")
	wait_for 60 status_is_running "$2" || fail "$2 does not run on $1"
	for node in pa pb; do
		[[ $node == "$1" || $(on "$node" vmferry list --json) != *"\"name\":\"$2\""* ]] || fail "$2 is on $node, too"
	done
}

# CHECK=--check: in check mode.
module() { # EXPRESSION over r, what the module has answered, ARGUMENT...
	on pc env ANSIBLE_LIBRARY="$TOP/scripts/ansible" \
		ansible pa -i "$DIR/hosts.ini" -m vmferry_guest ${CHECK:-} -a "${*:2}" </dev/null >"$DIR/said" 2>&1 || true
	python3 -S -c 'import json, re, sys
status, answer = re.search(r"^pa \| (\w+)!? => (\{.*)", open(sys.argv[1]).read(), re.S | re.M).groups()
r = json.loads(answer)
assert (status == "CHANGED", status == "FAILED") == (r.get("changed", False), r.get("failed", status == "FAILED"))
failed = status == "FAILED"
sys.exit(not eval(sys.argv[2]))' "$DIR/said" "$1" ||
		fail "not $1: $(<"$DIR/said")"
}

playbook() { # STATUS ARGUMENT...
	local status=0
	on pc env ANSIBLE_LIBRARY="$TOP/scripts/ansible" ansible-playbook -i "$DIR/hosts.ini" "$TOP/scripts/ansible/update-one-host.yml" \
		-e host=pa -e to=root@pb -e upgrade_tasks="$DIR/upgrade.yml" ${REBOOT:--e reboot=false} "${@:2}" </dev/null >"$DIR/said" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of ansible-playbook ($(tail -n 30 "$DIR/said"))"
}

if [[ ! -x /usr/bin/ansible-playbook ]]; then
	LOWER=$TOP/build/ansible/usr
	[[ -x $LOWER/bin/ansible-playbook ]] || skip "no Ansible: run scripts/install-deps --callers"
fi
nodes_prepare
nodes_keys
mkdir -p "$DIR/over"/{bin,sbin}
ln -s "$BIN"/vmferry{,-dst} "$DIR/over/bin/"
printf '#!/bin/sh\necho "$*" >"%s"\n' "$DIR/reboot" >"$DIR/over/sbin/shutdown"
chmod 755 "$DIR/over/sbin/shutdown"
printf '[all:vars]\nansible_python_interpreter=/usr/bin/python3\n[hosts]\npa\npb\n' >"$DIR/hosts.ini"
for node in pa pb pc; do node_start "$node"; done
nodes_wait pa pb pc
guest_start_at pa vm1
guest_start_at pa vm2

CHECK=--check module 'r["changed"] and r["rc"] == 0 and r["where"] == "source"' guest=vm1 host=root@pb
assert_at pa vm1
module 'failed and r["rc"] == 3 and r["where"] == "source" and "does not exist at the destination" in r["msg"]' guest=vm1 host=root@pb options=--disk-dir,/no/such
module 'failed and "--detach" in r["msg"]' guest=vm1 host=root@pb options=--detach
module 'failed and r["where"] == "unknown"' guest=vm3 host=root@pb
assert_at pa vm1
module 'r["changed"] and r["where"] == "destination" and r["result"]["outcome"] == "migrated"' guest=vm1 host=root@pb
assert_at pb vm1
module 'not r["changed"] and not failed' guest=vm1 host=root@pb
on pb vmferry migrate vm1 root@pa --reuse auto >"$DIR/said" 2>&1 || fail "$(<"$DIR/said")"
assert_at pa vm1

# The upgrade finds no guest; it fails the first time, and the same command again has all back.
cat >"$DIR/upgrade.yml" <<END
- name: Look for guests
  ansible.builtin.command: vmferry list --json
  register: guests
  failed_when: "'\"name\"' in guests.stdout"
- name: Fail at first
  ansible.builtin.shell: test -e $DIR/upgraded || { touch $DIR/upgraded; false; }
END
# A guest that is to stay is not taken for gone: nothing is upgraded, unless it may.
playbook 2 -e '{"drain_options":["--keep","vm2"]}'
grep -q "End here if a guest runs" "$DIR/said" || fail "it ends elsewhere: $(tail -n 20 "$DIR/said")"
[[ ! -e $DIR/upgraded ]] || fail "it is upgraded under a guest that runs"
assert_at pb vm1
assert_at pa vm2
playbook 2
for name in vm1 vm2; do assert_at pb "$name"; done
playbook 0
for name in vm1 vm2; do
	assert_at pa "$name"
	guest_verify "$(orders "$name")" blocks
done
! on pa test -e /var/lib/vmferry/update-one-host.json || fail "what is over is remembered"

# With a reboot, which ends all that is at the host but its files. A guest that was started meanwhile is not shut down with it: the playbook ends, and the
# same command again takes that one along, reboots, and has all three back, their disks where they lay.
head -c 4M /dev/urandom >"$(node_dir pa)/late.raw"
WITNESS="ram_mb=8 rate=200 disks=vda disk_mb=2 disk_rate=10" write_guest_script pa late "$VM/late.raw"
printf -- '- name: Start a guest\n  ansible.builtin.shell: test -e %s || { setsid %s </dev/null >%s 2>&1 & touch %s; }\n' \
	"$DIR/late" "$VM/late.sh" "$DIR/late.stderr" "$DIR/late" >"$DIR/upgrade.yml"
on pb mkdir "$VM/elsewhere"
elsewhere={\"drain_options\":[\"--disk-dir\",\"$VM/elsewhere/%n\"]}
REBOOT='-e reboot=true' playbook 2 -e "$elsewhere"
grep -q "End here if a guest was started meanwhile" "$DIR/said" || fail "it ends elsewhere: $(tail -n 20 "$DIR/said")"
[[ ! -e $DIR/reboot ]] || fail "the host is to be started anew under a guest that runs"
for name in vm1 vm2; do
	assert_at pb "$name"
	[[ -s $(node_dir pb)/elsewhere/$name/$name.raw ]] || fail "the disk of $name is elsewhere"
done
assert_at pa late
before=$(on pa cat /proc/sys/kernel/random/boot_id)
(trap - EXIT && REBOOT='-e reboot=true' playbook 0 -e "$elsewhere") &
PLAYED=$!
kill_at_exit "$PLAYED"
wait_for 120 eval '[[ -e $DIR/reboot ]] || process_is_gone "$PLAYED"' && [[ -e $DIR/reboot ]] || fail "it does not reboot the host: $(tail -n 20 "$DIR/said")"
[[ $(<"$DIR/reboot") == "-r "* ]] || fail "no reboot is asked for: $(<"$DIR/reboot")"
for name in vm1 vm2 late; do assert_at pb "$name"; done
[[ -e $(node_dir pa)/../kept/update-one-host.json ]] || fail "it is not remembered over the reboot where they are"
power_off pa
node_start pa
nodes_wait pa
[[ $(on pa cat /proc/sys/kernel/random/boot_id) != "$before" ]] || fail "the reboot is none"
wait "$PLAYED" || fail "the playbook does not go on after the reboot"
for name in vm1 vm2 late; do
	assert_at pa "$name"
	guest_verify "$(orders "$name")" blocks
done
! on pa test -e /var/lib/vmferry/update-one-host.json || fail "what is over is remembered after the reboot"
qmp "$(node_dir pa)/late.mon" '{"execute": "quit"}' >/dev/null || true
wait_for 60 eval '[[ $(on pa vmferry list --json) != *\"late\"* ]]' || fail "late does not end"

# Guests that may stay do.
printf -- '- name: Upgrade\n  ansible.builtin.command: touch %s\n' "$DIR/again" >"$DIR/upgrade.yml"
playbook 0 -e '{"drain_options":["--keep","vm1","--keep","vm2"]}' -e may_stay=true
for name in vm1 vm2; do assert_at pa "$name"; done
[[ -e $DIR/again ]] || fail "nothing was upgraded"

# A drain that could not be asked is none.
playbook 2 -e '{"drain_options":["--no-such-option"]}'
grep -q "End here if a guest has stayed" "$DIR/said" || fail "it ends elsewhere: $(tail -n 20 "$DIR/said")"

# Another guest of the name vm2: the drain calls both by their pids, which would name nobody at pb, and none is remembered.
head -c 4M /dev/urandom >"$(node_dir pa)/twin.raw"
WITNESS="ram_mb=8 rate=200 disks=vda disk_mb=2 disk_rate=10" write_guest_script pa twin "$VM/twin.raw"
sed -i 's/-name twin /-name vm2 /' "$(node_dir pa)/twin.sh"
on pa bash -c 'setsid "$1" </dev/null >"$2" 2>&1 &' bash "$VM/twin.sh" "$DIR/twin.stderr"
wait_for 60 eval '[[ $(on pa vmferry list --json | grep -o "\"name\":\"vm2\"" | wc -l) == 2 ]]'
playbook 0
grep -q "move its guest back from there by hand" "$DIR/said" || fail "who does not come back is not said: $(tail -n 30 "$DIR/said")"
assert_at pa vm1
[[ $(on pb vmferry list --json | grep -o '"name":"vm2"' | wc -l) == 2 ]] || fail "not both are at pb"
