/* journal-dir.h: the part of journal-dir.c that only journal.c needs; the rest is declared in journal.h. */
#ifndef VMFERRY_JOURNAL_DIR_H
#define VMFERRY_JOURNAL_DIR_H

#define SUFFIX	    ".journal"
#define DONE_SUFFIX ".journal.done"

/* Deletes all but the newest finished journals of this role in the directory. path: a journal that was just finished, by its name before
 * that. */
void journal_prune_done(const char *path);

#endif
