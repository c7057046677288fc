/*
 * dest-options.h: how a destination is reached, as options of a command line; the same for every command that reaches one,
 * and kept in the journal for the `recover` that may have to.
 */
#ifndef VMFERRY_DEST_OPTIONS_H
#define VMFERRY_DEST_OPTIONS_H

#include "command-options.h"
#include "dest-connect.h"

#include <jansson.h>

/* Option rows for struct dest_config: SSH login, the data's way with SSH, and a standing vmferry-dst. */
extern const struct command_option dest_login_rows[], dest_ssh_rows[], dest_standing_rows[];

/* True if the option in this word of a command line is for another kind of destination. */
bool dest_option_is_odd(const char *word, enum dest_kind kind);
/* Checks that the options fit the destination: 0, or the exit code, with the error printed. */
int dest_options_check(const struct dest_config *cfg);

/* Options written to the journal and read from it. What cfg has already stays, and what it answers is not loaded: a token in place of a
 * key. elsewhere: cfg->where is another than the journal's, and its port and address are. Strings that are loaded belong to *json. */
json_t *dest_options_save(const struct dest_config *cfg);
void dest_options_load(struct dest_config *cfg, const json_t *json, bool elsewhere);

#endif
