#!/bin/bash
# A libvirt guest goes, as it runs, to where its replica is, a host without libvirt: on top of its newest point, as a plain guest, with its memory; libvirt has forgotten it. A
# move that fails leaves it to libvirt, and its points go on. There it gets disks of its own, its replica is reversed, and it comes back as it runs.
# takes: 60
# timeout: 300
export TINY=yes MACHINE=pc MEM=128 WITNESS="ram_mb=16 rate=500 disks=vda disk_mb=4 disk_rate=50"
. "$(dirname "$0")/../../lib/libvirt-move.sh"

export LIBVIRT_QEMU_USER=libvirt-qemu PATH=${QEMU_IMG%/*}:$PATH
libvirt_host a
libvirt_plain_host b
NAME=goes-$$ # other tests' guests are on this machine, too
G=$LIBVIRT_GUESTS
at_a=$(libvirt_at a "$G") at_b=$(libvirt_at b "$G")
BACK=$G/back # the old disks at a stay as they are
mkdir "$(libvirt_at a "$BACK")"

replica_at() { # HOST SUBCOMMAND [WORD...]
	vmferry_at "$1" replica "${@:2}" >"$DIR/replica.out" 2>"$DIR/replica.err" || fail "replica $2 at $1: $(tail -n 3 "$DIR/replica.out" "$DIR/replica.err")"
}

of_store() { # DIRECTORY EXPRESSION over r, replica.json
	python3 -S -c 'import json, sys; r = json.load(open(sys.argv[1] + "/replica.json")); print(eval(sys.argv[2]))' "$1/$NAME.replica" "$2"
}

in_result() { # EXPRESSION over r, the result
	tail -n 1 "$DIR/replica.out" | python3 -S -c 'import json, sys; r = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"
}

arrived() { # DIRECTORY TERM
	guest_adopt "$NAME" "$(of_store "$1" 'r["run"]["pid"]')"
	assert_eq "$(of_store "$1" 'r["term"], r["run"]["came"]')" "($2, True)" "term and run of the store"
	guest_verify "$1/$NAME.serial2"
	[[ -x $1/$NAME.sh ]] || fail "nothing starts it there: $(ls "$1")"
	assert_nothing_unfinished
}

# libvirt 10, and later, has raw images without a node of their format
cat >"$DIR/newer" <<-END
	#!/bin/bash
	format='"node-name":"(libvirt-[0-9]+-format)","read-only":(true|false),.*"driver":"raw","file":"(libvirt-[0-9]+-storage)"'
	declare -A called=()
	for word; do [[ ! \$word =~ \$format ]] || called[\${BASH_REMATCH[3]}]="\"node-name\":\"\${BASH_REMATCH[1]}\",\"read-only\":\${BASH_REMATCH[2]}"; done
	words=()
	for word; do
	    if [[ \$word =~ \$format ]]; then
	        unset "words[-1]"
	        continue
	    fi
	    if [[ \$word =~ \"node-name\":\"(libvirt-[0-9]+-storage)\" && \${called[\${BASH_REMATCH[1]}]:-} ]]; then
	        word=\${word/"\${BASH_REMATCH[0]}"/"\${called[\${BASH_REMATCH[1]}]}"}
	        word=\${word/'"auto-read-only":true,'/}
	    fi
	    words+=("\$word")
	done
	exec "$QEMU" "\${words[@]}"
END
chmod 755 "$DIR/newer"

head -c 16M /dev/urandom >"$at_a/base.raw"
libvirt_in a "$QEMU_IMG" create -q -f qcow2 -b "$G/base.raw" -F raw "$G/wiki.qcow2"
head -c 24M /dev/urandom >"$at_a/data.raw"
QEMU=$DIR/newer libvirt_define a "$NAME" "$G/wiki.qcow2:qcow2" "$G/data.raw:raw"
libvirt_in a virsh -q autostart "$NAME" >/dev/null
libvirt_run a "$NAME"
[[ $(tr '\0' '\n' <"/proc/${GUEST_PID[$NAME]}/cmdline" | grep -c '"driver":"raw"') == 0 ]] || fail "a raw image has a node of its format"

# the failover fails at the last moment
VMFERRY_FAULT=dst-taken-over:fail listen_at b
replica_at a add "$NAME" "${ADDRESS_AT[b]}" --disk-dir "$G"
went=0
vmferry_at a replica failover "$NAME" --planned >"$DIR/out" 2>"$DIR/err" || went=$?
assert_eq "$went" 1 "exit code, where the term cannot be raised ($(tail -n 3 "$DIR/out" "$DIR/err"))"
assert_eq "$(libvirt_in a virsh -q domstate "$NAME")" running "the guest's state"
assert_eq "$(of_store "$at_b" 'r["term"], "run" in r')" "(1, False)" "term and run of the store"
[[ ! -e $at_b/$NAME.replica/run ]] || fail "left: $(ls "$at_b/$NAME.replica/run")"
guest_verify "$(orders "$NAME")"
kill -TERM "${LISTENER_AT[b]}"
wait_for 60 process_is_gone "${LISTENER_AT[b]}"

listen_at b
sed -i "s|^to .*|to ${ADDRESS_AT[b]}|" "$DIR/state-a/replica/$NAME.conf" # the destination listens at another port
replica_at a sync "$NAME"
assert_eq "$(vmferry_at a replica status "$NAME" --json | python3 -S -c 'import json, sys; print(json.load(sys.stdin)[0]["whole"])')" False "the next point was everything"

# the guest goes there
was=${GUEST_PID[$NAME]}
replica_at a failover "$NAME" --planned --json -v
assert_eq "$(in_result 'r["disks"][1]["bytes_read"] < 4 << 20')" True "of a disk that was not written to little is read"
arrived "$at_b" 2
assert_eq "$(defined_at a)" "" "guests of libvirt"
wait_for 60 process_is_gone "$was" || fail "its QEMU is at a yet"
grep -q "<name>$NAME</name>" "$(in_result 'r["definition_left"]')" || fail "nothing has its definition"
! vmferry_at a may-start "$NAME" >"$DIR/out" 2>&1 || fail "it may start at a: $(cat "$DIR/out")"

# disks of its own, and a replica at a
listen_at a
replica_at b reverse "$NAME" "${ADDRESS_AT[a]}" --disk-dir "$BACK" --json -v
grep -q 'has its own disks here' "$DIR/replica.err" || fail "it has no disks of its own: $(cat "$DIR/replica.err")"
assert_eq "$(in_result 'r["disks"][1]["bytes_kept"] == 24 << 20')" True "a disk that was not written to does not travel"
cmp "$at_a/data.raw" "$at_b/$NAME-disk1.raw"
guest_verify "$at_b/$NAME.serial2"

# the guest comes back
replica_at b failover "$NAME" --planned --json -v
arrived "$(libvirt_at a "$BACK")" 3
