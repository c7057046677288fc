# shellcheck shell=bash
# For end-to-end tests of vmferry bench; to be sourced.
#
#   small_bench [OPTION...]   a bench of few and small moves, its results in $RUN; its directory is under $DIR
#   assert_run EXPRESSION     of Python; r: the file, moves: its moves
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

[[ $EUID -eq 0 ]] || skip "not root: no lab"
[[ -w /dev/net/tun ]] || skip "no /dev/net/tun: no lab"
unshare --net --mount true 2>/dev/null || skip "namespaces cannot be made here"

RUN=$DIR/run.json
# Paths of sockets have a limit of 107 bytes, which a deep checkout may exceed.
BENCH_DIR=$(mktemp -d "${TMPDIR:-/tmp}/vmferry-test.XXXXXX")
at_exit 'rm -rf "$BENCH_DIR"'

# In the background its pid is vmferry's own.
small_bench() { # [OPTION...]
	[[ $BASHPID != "$$" ]] || { (small_bench "$@"); return; }
	exec "$BIN/vmferry" bench --lab --dir "$BENCH_DIR" --qemu "$QEMU" --accel tcg "$@"
}

SMALL=(--links unshaped --mem 256M --disk 64M --disk-data 8M --repeat 1)

assert_run() { # EXPRESSION
	python3 -S -c 'import json, sys; r = json.load(open(sys.argv[1])); moves = r["moves"]; sys.exit(not eval(sys.argv[2]))' "$RUN" "$1" ||
		fail "not so: $1"
}

# Programs with that directory on their command line.
bench_processes() {
	pgrep -f -- "$BENCH_DIR/" || true
}

nothing_left() {
	[[ -z $(bench_processes) && -z $(ls -A "$BENCH_DIR") ]]
}
