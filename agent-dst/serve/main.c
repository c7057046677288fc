/* main.c: vmferry-dst, the destination agent. */
#include "cmd-recover.h"
#include "cmd-tap.h"
#include "command-options.h"
#include "confine.h"
#include "exit-code.h"
#include "host-here.h"
#include "libraries.h"
#include "log.h"
#include "paths.h"
#include "process.h"
#include "psk.h"
#include "serve.h"
#include "token.h"
#include "util.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char before[] =
	"usage: vmferry-dst --listen ADDRESS:PORT [options]\n"
	"       vmferry-dst recover [GUEST] [--peer-is-fenced]     (recover --help tells more)\n"
	"\n"
	"The destination side of a vmferry move: waits for a source, starts its guest's QEMU here, fills its memory and "
	"disks, and starts the guest when the source has let go of it. Needs nothing but QEMU. `vmferry migrate VM "
	"USER@HOST` starts it by itself; by hand it is started to stand, for sources that may come without SSH.\n"
	"\n";

static const char after[] =
	"\n"
	"Without keys only a loopback address will do, in clear, and a source must prove that it knows the token in STATE-DIR/token (made "
	"at first): on the same machine vmferry finds it.\n"
	"\n"
	"example (two terminals on one machine):\n"
	"  vmferry-dst --listen 127.0.0.1:7788\n"
	"  vmferry migrate vm1 127.0.0.1:7788 --disk-dir /srv/vm\n"
	"\n"
	"It confines itself (seccomp) before it accepts a connection; the programs that it starts are not confined. VMFERRY_SANDBOX=off "
	"in its environment switches that off. At start it settles what an agent that died has left, as far as that needs no peer.\n";

/* The choices of the command line. */
struct choice {
	const char *listen, *data_ports, *psk_file, *state, *runtime;
	bool plaintext, once, token_stdin, psk_stdin, verbose, version;
};

#define MEMBER(name) offsetof(struct choice, name)

static const struct command_option rows[] = {
	{"listen", "ADDRESS:PORT", "where to wait: a numeric address, or * for all; port 0 takes a free one. It is printed once it is open",
	 OPT_TEXT, .offset = MEMBER(listen)},
	{"psk-file", "FILE",
	 "the keys of the sources that may connect: one line NAME:KEY (64 hex digits) for each; connections use TLS 1.3. A source with "
	 "such a key may start programs here as this user. A source is given its own line: vmferry migrate --psk-file FILE. Make one "
	 "with:\n(umask 077; echo \"host-a:$(openssl rand -hex 32)\" >>FILE)",
	 OPT_TEXT, .offset = MEMBER(psk_file)},
	{"data-ports", "A-B",
	 "TCP ports for data (default: any free one). With --once it listens on one of these, and data comes there, too", OPT_TEXT,
	 .offset = MEMBER(data_ports)},
	{"once", NULL, "serve one source, then end", OPT_FLAG, .offset = MEMBER(once)},
	{"psk-stdin", NULL, "the key is the first line of standard input", OPT_FLAG, .offset = MEMBER(psk_stdin)},
	{"plaintext", NULL, "without keys, on any address, in clear: for a test network of your own", OPT_FLAG,
	 .offset = MEMBER(plaintext)},
	{"token-stdin", NULL, "as --psk-stdin, for connections in clear", OPT_FLAG, .offset = MEMBER(token_stdin)},
	{"state-dir", "DIR", "journals (default /var/lib/vmferry, or ~/.local/state/vmferry)", OPT_TEXT, .offset = MEMBER(state)},
	{"runtime-dir", "DIR", "sockets of moves under way (default /run/vmferry, or $XDG_RUNTIME_DIR/vmferry)", OPT_TEXT,
	 .offset = MEMBER(runtime)},
	{"verbose", NULL, "say what is done, on standard error", OPT_FLAG, .offset = MEMBER(verbose), .letter = 'v'},
	{"version", NULL, "print the versions of vmferry-dst and of the libraries in it", OPT_FLAG, .offset = MEMBER(version)},
	{.name = NULL},
};

/* -1: go on; else the exit code. */
static int read_options(struct choice *o, int argc, char **argv)
{
	static const struct option_table tables[] = {{rows, 0}, {NULL, 0}};
	static const struct command_usage usage = {"vmferry-dst", before, after, .tables = tables};
	int first, r = command_take(&usage, argc, argv, o, &first);

	if (r)
		return MAX(r, 0);
	if (o->version) {
		AUTO_FREE char *more = confine_library();

		libraries_print("vmferry-dst", more);
		return 0;
	}
	if (o->listen && first == argc && o->token_stdin + o->psk_stdin + (o->psk_file != NULL) <= 1)
		return -1;
	fputs(o->listen ? "vmferry-dst: one of --psk-file, --psk-stdin and --token-stdin, and no further words\n"
			: "vmferry-dst: say where to listen: --listen ADDR:PORT (--help tells more)\n",
	      stderr);
	return EXIT_USAGE;
}

static bool read_line(char *line, size_t cap)
{
	setvbuf(stdin, NULL, _IONBF, 0); /* no copy that nobody wipes */
	if (!fgets(line, (int)cap, stdin))
		return false;
	line[strcspn(line, "\r\n")] = '\0';
	return *line;
}

/* The objects that configure() made. */
struct made {
	char *host;
	struct tls_key *keys;
	size_t key_count;
};

static void free_made(struct made *m)
{
	free(m->host);
	if (m->keys)
		explicit_bzero(m->keys, m->key_count * sizeof(*m->keys));
	free(m->keys);
}

/* Sets where the agent listens, and who may connect. */
static int configure(struct serve_config *cfg, struct made *made, const struct choice *o, const char *state_dir, struct err *e)
{
	static char token[TOKEN_CHARS + 1];
	char line[PSK_TEXT_MAX + 2];
	char *port;
	int r = net_parse(o->listen, &made->host, &port, e);

	if (r)
		return r;
	cfg->host = made->host;
	r = net_parse_ports(port, &cfg->ports, e);
	free(port);
	if (!r && o->data_ports)
		r = net_parse_ports(o->data_ports, o->once ? &cfg->ports : &cfg->data_ports, e);
	cfg->once = o->once;
	cfg->plaintext = o->plaintext;
	cfg->access.token = "";
	cfg->access.relayed = o->plaintext;
	if (r)
		return r;
	if (o->psk_file) {
		r = psk_read(o->psk_file, &made->keys, &cfg->access.key_count, e);
		cfg->access.keys = made->keys;
		made->key_count = cfg->access.key_count;
		return r;
	}
	if ((o->psk_stdin || o->token_stdin) && !read_line(line, sizeof(line)))
		return err_set(e, EINVAL, "no key on standard input");
	if (o->psk_stdin) {
		cfg->access.keys = made->keys = xcalloc(1, sizeof(*made->keys));
		cfg->access.key_count = made->key_count = 1;
		r = psk_parse(line, made->keys, e);
		explicit_bzero(line, sizeof(line));
		return r;
	}
	if (o->token_stdin) {
		snprintf(token, sizeof(token), "%.*s", TOKEN_CHARS, line);
		explicit_bzero(line, sizeof(line));
	} else {
		r = token_own(state_dir, token, e);
	}
	cfg->access.token = token;
	return r;
}

int main(int argc, char **argv)
{
	struct serve_config cfg = {.once = false};
	AUTO_FREE char *runtime_dir = NULL, *state_dir = NULL;
	struct choice o = {.listen = NULL};
	struct made made = {.host = NULL};
	struct err e;
	int r;

	if (process_open_standard())
		return EXIT_REFUSED;
	signal(SIGXFSZ, SIG_IGN); /* EFBIG says which file is too large */
	signal(SIGCHLD, SIG_DFL); /* our parent may ignore SIGCHLD: then we could not tell how a program ended */
	if (cmd_tap_is_meant(argc, argv))
		return cmd_tap(argc, argv);
	if (argc >= 2 && !strcmp(argv[1], "recover"))
		return cmd_recover_here(argc - 1, argv + 1);
	if (argc >= 2 && !strcmp(argv[1], HOST_HERE_WORD))
		return host_here(runtime_dir_get(&runtime_dir, argc > 2 ? argv[2] : NULL, &e) ? NULL : runtime_dir);
	if (argc >= 2 && !strcmp(argv[1], REPLICAS_HERE_WORD))
		return state_dir_get(&state_dir, NULL, &e) ? EXIT_REFUSED : replicas_here(state_dir, argc > 2 ? argv[2] : NULL);
	r = read_options(&o, argc, argv);
	if (r >= 0)
		return r;
	process_keep_to_itself(); /* keys and the guest's memory pass through */
	log_init("dst", o.verbose ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, 2);
	signal(SIGPIPE, SIG_IGN);
	mallopt(M_MMAP_THRESHOLD, 64 * 1024 * 1024); /* buffers are reused, not unmapped */
	r = confine_prepare(false, &e) ?: state_dir_get(&state_dir, o.state, &e) ?: runtime_dir_get(&runtime_dir, o.runtime, &e);
	cfg.state_dir = state_dir;
	cfg.runtime_dir = runtime_dir;
	r = r ?: configure(&cfg, &made, &o, state_dir, &e);
	if (!r) {
		confine_here(true);
		r = serve(&cfg, &e);
	}
	free_made(&made);
	if (r < 0) {
		fprintf(stderr, "vmferry-dst: %s\n", e.msg);
		return 1;
	}
	return r;
}
