#!/bin/bash
# timeout: 900
# The small benchmark ends well, no move did damage, and its page can be made.
set -euo pipefail
cd "$(dirname "$0")/../.."
[[ $EUID -eq 0 && -w /dev/net/tun ]] || { echo "skip: not root, or no /dev/net/tun: no lab" && exit 77; }

make bench-quick
python3 - <<-'END'
	import json
	run = json.load(open("build/bench/quick.json"))
	bad = [m for m in run["moves"] if m["outcome"] != "ok"]
	assert run["moves"] and not bad, [(m["tool"], m["error"]) for m in bad]
END
[[ -s build/bench/quick.html ]]
