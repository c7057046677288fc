/* main.c: vmferry-dst, the destination agent. */
#include "journal.h"
#include "log.h"
#include "paths.h"
#include "serve.h"
#include "token.h"
#include "util.h"
#include "version.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: vmferry-dst --listen ADDRESS:PORT [options]\n"
	"\n"
	"The destination side of a vmferry move: waits for a source, starts its guest's QEMU here, fills its memory and\n"
	"disks, and starts the guest when the source has let go of it. Needs nothing but QEMU.\n"
	"\n"
	"  --listen ADDRESS:PORT  where to wait; port 0 takes a free one. It is printed once it is open.\n"
	"                         Only a loopback address, as the connection is not encrypted yet.\n"
	"  --plaintext            allow any address, in clear: for a test network of your own\n"
	"  --once                 serve one source, then end\n"
	"  --token-stdin          the token that a source must show is the first line of standard input; otherwise it\n"
	"                         is in STATE-DIR/token, made at first. Whoever has it may start programs here: on the\n"
	"                         same machine vmferry finds it, elsewhere give it a copy (vmferry migrate --token-file)\n"
	"  --state-dir DIR        journals (default /var/lib/vmferry, or ~/.local/state/vmferry)\n"
	"  --runtime-dir DIR      sockets of moves under way (default /run/vmferry, or $XDG_RUNTIME_DIR/vmferry)\n"
	"  -v, --verbose          say what is done, on standard error\n"
	"  --version, --help\n"
	"\n"
	"example (two terminals on one machine):\n"
	"  vmferry-dst --listen 127.0.0.1:7788\n"
	"  vmferry migrate vm1 127.0.0.1:7788 --disk-dir /srv/vm\n"
	"\n"
	"At start it settles what an agent that died has left, as far as that needs no peer.\n";

static bool read_token(char token[65])
{
	size_t n;

	if (!fgets(token, 65, stdin))
		return false;
	n = strcspn(token, "\n");
	token[n] = '\0';
	return n > 0;
}

enum { OPT_LISTEN = 256, OPT_PLAINTEXT, OPT_ONCE, OPT_TOKEN, OPT_STATE, OPT_RUNTIME, OPT_VERSION, OPT_HELP };

static const struct option options[] = {
	{"listen", required_argument, NULL, OPT_LISTEN},   {"plaintext", no_argument, NULL, OPT_PLAINTEXT},
	{"once", no_argument, NULL, OPT_ONCE},		   {"token-stdin", no_argument, NULL, OPT_TOKEN},
	{"state-dir", required_argument, NULL, OPT_STATE}, {"runtime-dir", required_argument, NULL, OPT_RUNTIME},
	{"verbose", no_argument, NULL, 'v'},		   {"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, OPT_HELP},		   {NULL, 0, NULL, 0},
};

int main(int argc, char **argv)
{
	struct serve_config cfg = {.token = ""};
	const char *state = NULL, *runtime = NULL;
	AUTO_FREE char *state_dir = NULL;
	AUTO_FREE char *runtime_dir = NULL;
	char token[65] = "";
	bool verbose = false;
	struct err e;
	int c, r;

	while ((c = getopt_long(argc, argv, "v", options, NULL)) != -1) {
		switch (c) {
		case OPT_LISTEN:
			cfg.listen = optarg;
			break;
		case OPT_PLAINTEXT:
			cfg.plaintext = true;
			break;
		case OPT_ONCE:
			cfg.once = true;
			break;
		case OPT_TOKEN:
			if (!read_token(token)) {
				fputs("vmferry-dst: no token on standard input\n", stderr);
				return 2;
			}
			cfg.token = token;
			break;
		case OPT_STATE:
			state = optarg;
			break;
		case OPT_RUNTIME:
			runtime = optarg;
			break;
		case 'v':
			verbose = true;
			break;
		case OPT_VERSION:
			puts("vmferry-dst " VMFERRY_VERSION);
			return 0;
		case OPT_HELP:
			fputs(usage, stdout);
			return 0;
		default:
			fputs("try: vmferry-dst --help\n", stderr);
			return 2;
		}
	}
	if (!cfg.listen || optind != argc) {
		fputs("vmferry-dst: say where to listen: --listen ADDRESS:PORT (--help tells more)\n", stderr);
		return 2;
	}
	log_init("dst", verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, 2);
	signal(SIGPIPE, SIG_IGN);
	mallopt(M_MMAP_THRESHOLD, 64 * 1024 * 1024); /* buffers are reused, not unmapped */
	r = state_dir_get(&state_dir, state, &e);
	if (!r)
		r = runtime_dir_get(&runtime_dir, runtime, &e);
	if (!r && !*cfg.token) {
		r = token_own(state_dir, token, &e);
		cfg.token = token;
	}
	cfg.state_dir = state_dir;
	cfg.runtime_dir = runtime_dir;
	if (!r)
		r = serve(&cfg, &e);
	if (r < 0) {
		fprintf(stderr, "vmferry-dst: %s\n", e.msg);
		return 1;
	}
	return r;
}
