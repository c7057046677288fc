/*
 * dest-options.h: how a destination is reached, as options of a command line; the same for every command that reaches one,
 * and kept in the journal for the `recover` that may have to.
 */
#ifndef VMFERRY_DEST_OPTIONS_H
#define VMFERRY_DEST_OPTIONS_H

#include "command-options.h"
#include "dest-connect.h"

#include <jansson.h>

/* Of struct dest_config: of a destination that SSH reaches, and of a vmferry-dst that stands already. */
extern const struct command_option dest_ssh_rows[], dest_standing_rows[];

/* The option that this word of a command line gives is one of another kind of destination. */
bool dest_option_is_odd(const char *word, enum dest_kind kind);
/* Options that do not fit the destination: 0, or the exit code, having said why. */
int dest_options_check(const struct dest_config *cfg);

/* To and from the journal. What cfg has already stays, and what it answers is not loaded: a token in place of a key; elsewhere: cfg->where is another
 * than the journal's, and its port and address are. Strings that are loaded belong to *json. */
json_t *dest_options_save(const struct dest_config *cfg);
void dest_options_load(struct dest_config *cfg, const json_t *json, bool elsewhere);

/* ---- for `vmferry bench`, which has a table of getopt_long(3) ---- */

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

bool dest_is_option(int c);
/* Takes the option c. 0, or the exit code, having said why. */
int dest_option(struct dest_config *cfg, int c, const char *arg);

#endif
