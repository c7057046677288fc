#!/bin/bash
# A QEMU at the destination whose network comes from a bridge helper, which needs privileges that QEMU itself need not have: the helper runs
# with neither a filter nor no_new_privs, and makes its tap there.
. "$(dirname "$0")/../../lib/over-ssh.sh"
[[ -w /dev/net/tun ]] || skip "no /dev/net/tun"
hosts_start

for host in on_a on_b; do
	"$host" ip link add br0 type bridge
	"$host" ip link set br0 up
	"$host" mount -t sysfs sysfs /sys # sysfs shows the host's own network
done
printf '#!/bin/sh\nexec python3 -S "%s" "%s" "$@"\n' "$TOP/tests/lib/bridge-helper.py" "$VM/helper.log" >"$VM/helper"
chmod 755 "$VM/helper"
cp -p "$VM/helper" "$(there "$VM/helper")"
ssh_guest a -netdev "bridge,id=n0,br=br0,helper=$VM/helper" -device virtio-net-pci,netdev=n0,mac=52:54:00:12:34:56
rm -f "$(there "$VM/helper.log")"
ssh_move a root@host-b
assert_arrived
assert_eq "$(tr -d '\t' <"$(there "$VM/helper.log")" | sort | xargs)" "NoNewPrivs:0 Seccomp:0" "what the helper may do"
[[ -n $(on_b ip -o link show master br0) ]] || fail "the guest is not on its bridge: $(on_b ip -o link)"
