/* state-dir.h: what of state-dir.c only journal.c needs; the rest is declared in journal.h. */
#ifndef VMFERRY_STATE_DIR_H
#define VMFERRY_STATE_DIR_H

#include <stdbool.h>
#include <stdint.h>

#define SUFFIX	       ".journal"
#define DONE_SUFFIX    ".journal.done"

/* 32 hex digits. */
bool attempt_id_parse(const char *s, uint8_t id[16]);
/* Beside this finished journal, deletes all but the newest ones. */
void journal_prune_done(const char *path);

#endif
