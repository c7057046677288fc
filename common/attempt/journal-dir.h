/* journal-dir.h: what of journal-dir.c only journal.c and who clears up after it need; the rest is declared in journal.h. */
#ifndef VMFERRY_JOURNAL_DIR_H
#define VMFERRY_JOURNAL_DIR_H

#define SUFFIX	    ".journal"
#define DONE_SUFFIX ".journal.done"

/* Beside this finished journal, deletes all but the newest ones. */
void journal_prune_done(const char *path);

#endif
