#!/bin/bash
# Memory in three pieces: a private one, a file and a memfd, on two NUMA nodes with a processor each; first paused, then not. They have three sizes, by which
# they are told apart where QEMU does not tell where it has them (7.2).
# At the other host the file behind memory is not there yet.
. "$(dirname "$0")/../../lib/over-ssh.sh"
GUEST_START=guest_start
hosts_start
MACHINE=q35 SMP=2,sockets=2 MEM=384 ssh_guest a \
	-object memory-backend-ram,id=m0,size=144M \
	-object "memory-backend-file,id=m1,size=128M,mem-path=$VM/memory,share=on" \
	-object memory-backend-memfd,id=m2,size=112M,share=on \
	-numa node,nodeid=0,memdev=m0,cpus=0 -numa node,nodeid=1,memdev=m1,cpus=1 -numa node,nodeid=2,memdev=m2
qmp "$VM/a.mon" '{"execute": "stop"}' STOP >/dev/null
ssh_move a root@host-b
assert_eq "$(status_of "$(free_monitor a)")" paused "QEMU's run state at the destination"
qmp "$(free_monitor a)" '{"execute": "cont"}' RESUME >/dev/null
assert_arrived
assert_eq "$(stat -c %s "$TO/memory")" $((128 << 20)) "size of the file behind memory"
