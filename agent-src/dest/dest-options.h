/*
 * dest-options.h: how a destination is reached, as options of a command line; the same for every command that reaches one,
 * and kept in the journal for the `recover` that may have to.
 */
#ifndef VMFERRY_DEST_OPTIONS_H
#define VMFERRY_DEST_OPTIONS_H

#include "dest-connect.h"

#include <jansson.h>

enum {
	DEST_OPT_FIRST = 512,
	DEST_OPT_PSK = DEST_OPT_FIRST,
	DEST_OPT_TOKEN,
	DEST_OPT_PLAIN,
	DEST_OPT_SSH,
	DEST_OPT_ACCEPT_NEW,
	DEST_OPT_IDENTITY,
	DEST_OPT_PORT,
	DEST_OPT_KEEP,
	DEST_OPT_LISTEN,
	DEST_OPT_VIA,
	DEST_OPT_PORTS,
	DEST_OPT_END,
};

/* Rows of a getopt_long table. */
/* clang-format off */
#define DEST_OPTIONS                                                                                                       \
	{"psk-file", required_argument, NULL, DEST_OPT_PSK}, {"token-file", required_argument, NULL, DEST_OPT_TOKEN},      \
		{"plaintext", no_argument, NULL, DEST_OPT_PLAIN}, {"ssh", required_argument, NULL, DEST_OPT_SSH},          \
		{"ssh-accept-new", no_argument, NULL, DEST_OPT_ACCEPT_NEW},                                                \
		{"identity", required_argument, NULL, 'i'}, {"port", required_argument, NULL, 'p'},                        \
		{"keep-agent", no_argument, NULL, DEST_OPT_KEEP},                                                          \
		{"listen-address", required_argument, NULL, DEST_OPT_LISTEN}, {"via", required_argument, NULL, DEST_OPT_VIA}, \
		{"data-ports", required_argument, NULL, DEST_OPT_PORTS}
/* clang-format on */
#define DEST_OPTIONS_SHORT "i:p:"

/* What --help says of them. */
#define DEST_OPTIONS_HELP                                                                                                                  \
	"Reaching the destination by SSH:\n"                                                                                               \
	"  -i, --identity FILE   a private key (default: the SSH agent's, then ~/.ssh/id_*)\n"                                             \
	"  -p, --port PORT       of sshd\n"                                                                                                \
	"  --ssh=openssh         use the ssh program and all of its configuration (default: --ssh=libssh2)\n"                              \
	"  --ssh-accept-new      accept the key of a host that is not in known_hosts yet; never a changed one\n"                           \
	"  --via ADDRESS         connect to this address of the destination for data (default: where SSH connects to)\n"                   \
	"  --data-ports A-B      TCP ports the destination may use (default: any). If none can be reached, data goes\n"                    \
	"                        through SSH, which is slower\n"                                                                           \
	"  --listen-address A    the address that it listens on there (default: all)\n"                                                    \
	"  --keep-agent          leave vmferry-dst there for the next time\n"                                                              \
	"Reaching a vmferry-dst that stands already:\n"                                                                                    \
	"  --psk-file FILE       our key there: a line NAME:KEY; the connection uses TLS 1.3\n"                                            \
	"  --token-file FILE     without TLS, on loopback: a copy of its token (default: this host's own)\n"                               \
	"  --plaintext           without TLS, on any address, in clear: in a test network of your own\n"

/* Takes the option c with optarg; c is DEST_OPT_* or one of DEST_OPTIONS_SHORT. 0, or the exit code, having said why. */
int dest_option(struct dest_config *cfg, int c, const char *arg);
bool dest_is_option(int c);
/* Its value is a name that depends on where we are. */
bool dest_option_is_file(int c);
/* The option of that name, a word of a command line as getopt_long() takes it, is one of another kind of destination. */
bool dest_option_is_odd(const char *word, enum dest_kind kind);
/* Options that do not fit the destination: 0, or the exit code, having said why. */
int dest_options_check(const struct dest_config *cfg);

/* To and from the journal. What cfg has already stays, and what it answers is not loaded: a token in place of a key; elsewhere: cfg->where is another
 * than the journal's, and its port and address are. Strings that are loaded belong to *json. */
json_t *dest_options_save(const struct dest_config *cfg);
void dest_options_load(struct dest_config *cfg, const json_t *json, bool elsewhere);

#endif
