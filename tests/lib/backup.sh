# shellcheck shell=bash
# For tests of what a backup tool keeps in a guest's QEMU: dirty bitmaps, and full and incremental backups by them. To be sourced after aftermath.sh.
# Each is asked of a monitor of the test's own.

ask() { # COMMAND [ARGUMENTS]: of the guest's QEMU, wherever it is
	qmp "$(free_monitor a)" '{"execute": "'"$1"'"'"${2:+, \"arguments\": $2}"'}'
}

bitmap_add() { # NODE NAME [MORE]
	ask block-dirty-bitmap-add '{"node": "'"$1"'", "name": "'"$2"'"'"${3:+, $3}"'}' >/dev/null
}

bitmap() { # NAME: prints NODE RECORDING PERSISTENT GRANULARITY COUNT of the guest's bitmap
	ask query-named-block-nodes | python3 -S -c 'import json, sys
for node in json.load(sys.stdin):
    for b in node.get("dirty-bitmaps", []):
        if b.get("name") == sys.argv[1]:
            print(node["node-name"], b["recording"], b["persistent"], b["granularity"], b["count"])' "$1" | sort -u
}

bitmaps() { # prints the names of them all
	ask query-named-block-nodes | python3 -S -c 'import json, sys
print(*sorted({b["name"] for node in json.load(sys.stdin) for b in node.get("dirty-bitmaps", []) if "name" in b}))'
}

node_of() { # FILE: prints the node of its format
	ask query-named-block-nodes | python3 -S -c 'import json, sys
print(*[n["node-name"] for n in json.load(sys.stdin) if n.get("file") == sys.argv[1] and n["drv"] != "file"])' "$1"
}

# A full backup of a guest's disk, raw, and from this very moment on what it writes is in the bitmap.
backup_full() { # NODE TO BITMAP [MORE]
	ask stop >/dev/null
	bitmap_add "$1" "$3" "${4:-}"
	backup "$1" "$2" full
	ask cont >/dev/null
}

# Writes the blocks in the bitmap over the backup.
backup_incremental() { # NODE TO BITMAP
	backup "$1" "$2" bitmap '"bitmap": "'"$3"'", "bitmap-mode": "never"'
}

backup() { # NODE TO SYNC [MORE]: into a raw file of the disk's size, which is there
	local size
	size=$(ask query-named-block-nodes | python3 -S -c 'import json, sys
print(*[n["image"]["virtual-size"] for n in json.load(sys.stdin) if n["node-name"] == sys.argv[1]])' "$1")
	[[ -e $2 ]] || truncate -s "$size" "$2"
	ask blockdev-add '{"driver": "raw", "node-name": "backup-to", "file": {"driver": "file", "filename": "'"$2"'"}}' >/dev/null
	qmp "$(free_monitor a)" '{"execute": "blockdev-backup", "arguments": {"job-id": "backup", "device": "'"$1"'", "target": "backup-to", "sync": "'"$3"'"'"${4:+, $4}"'}}' \
		BLOCK_JOB_COMPLETED >/dev/null
	ask blockdev-del '{"node-name": "backup-to"}' >/dev/null
}

# Writes a block without changing it, where the guest does not write; the full backup gets other contents there.
write_outside() { # DRIVE MIB BACKUP
	[[ $(ask human-monitor-command '{"command-line": "qemu-io '"$1"' \"write -P 0 '"$2"'M 64k\""}') == '""' ]] || fail "$1 cannot be written to"
	[[ -z $3 ]] || printf 'something else' | dd of="$3" bs=1M seek="$2" conv=notrunc status=none
}
