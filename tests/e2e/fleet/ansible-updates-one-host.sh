#!/bin/bash
# Ansible's module moves a guest, once, says in check mode what it would do, and where the guest is if it fails. The playbook empties a host, has it
# upgraded and started anew (what that is, the test says), and has its guests back.
# timeout: 400
. "$(dirname "$0")/../../lib/nodes.sh"

node_serve() {
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
	wait_for 30 status_is_running "$2" || fail "$2 does not run on $1"
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
		-e host=pa -e to=root@pb -e upgrade_tasks="$DIR/upgrade.yml" -e reboot=false "${@:2}" </dev/null >"$DIR/said" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of ansible-playbook ($(tail -n 30 "$DIR/said"))"
}

if [[ ! -x /usr/bin/ansible-playbook ]]; then
	LOWER=$TOP/build/ansible/usr
	[[ -x $LOWER/bin/ansible-playbook ]] || skip "no Ansible: run scripts/install-deps --callers"
fi
nodes_prepare
nodes_keys
mkdir -p "$DIR/over/bin"
ln -s "$BIN"/vmferry{,-dst} "$DIR/over/bin/"
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
wait_for 30 eval '[[ $(on pa vmferry list --json | grep -o "\"name\":\"vm2\"" | wc -l) == 2 ]]'
playbook 0
grep -q "move its guest back from there by hand" "$DIR/said" || fail "who does not come back is not said: $(tail -n 30 "$DIR/said")"
assert_at pa vm1
[[ $(on pb vmferry list --json | grep -o '"name":"vm2"' | wc -l) == 2 ]] || fail "not both are at pb"
