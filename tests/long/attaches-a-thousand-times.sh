#!/bin/bash
# Attaches N times (1000) to one busy guest, which loses nothing by it: prints for how long QEMU's main thread stood still, and how long the calls took. QEMU_VERSION as for
# tests of e2e. It measures, and fails if one attachment does, if a monitor does not answer, or if the guest finds anything wrong.
# timeout: 3600
. "$(dirname "$0")/../lib/move.sh"

N=${N:-1000}
ulimit -n $((N * 2 + 1024)) # each leaves a socket in QEMU
guest_disk "$DIR/a.qcow2" qcow2 256M
NO_QMP=yes SMP=2 WITNESS="ram_mb=128 rate=500 disks=vda disk_mb=32 disk_rate=50" guest_start a $(guest_drive d0 "$DIR/a.qcow2" qcow2)
SOCKET=$VMFERRY_RUNTIME_DIR/vmferry-${GUEST_PID[a]}.qmp
for ((i = 0; i < N; i++)); do
	VMFERRY_FAULT=src-attach-again:fail vmferry attach "${GUEST_PID[a]}" --json >>"$DIR/figures" || fail "attachment $i"
	monitor_answers "$SOCKET" || fail "the monitor of attachment $i does not answer"
done
python3 -S - "$DIR/figures" <<-'END'
	import json, sys
	all = [json.loads(line) for line in open(sys.argv[1])]
	for key, what in (("held_ms", "main thread stopped"), ("called_ms", "until the monitor was there")):
	    times = sorted(a[key] for a in all)
	    print("{}: {} attachments: median {:.2f} ms, 99 % {:.2f}, most {:.2f}".format(what, len(times), times[len(times) // 2],
	          times[len(times) * 99 // 100], times[-1]))
END
guest_verify "$(orders a)" blocks
