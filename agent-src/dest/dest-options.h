/*
 * dest-options.h: how a destination is reached, as options of a command line; the same for every command that reaches one,
 * and kept in the journal for the `recover` that may have to.
 */
#ifndef VMFERRY_DEST_OPTIONS_H
#define VMFERRY_DEST_OPTIONS_H

#include "command-options.h"
#include "dest-connect.h"

#include <jansson.h>

/* Rows for struct dest_config: how SSH logs in there, how data reaches it then, and those of a vmferry-dst that stands already. */
extern const struct command_option dest_login_rows[], dest_ssh_rows[], dest_standing_rows[];

/* The option that this word of a command line gives is one of another kind of destination. */
bool dest_option_is_odd(const char *word, enum dest_kind kind);
/* Options that do not fit the destination: 0, or the exit code, having said why. */
int dest_options_check(const struct dest_config *cfg);

/* To and from the journal. What cfg has already stays, and what it answers is not loaded: a token in place of a key; elsewhere: cfg->where is another
 * than the journal's, and its port and address are. Strings that are loaded belong to *json. */
json_t *dest_options_save(const struct dest_config *cfg);
void dest_options_load(struct dest_config *cfg, const json_t *json, bool elsewhere);

#endif
