/* journal-dir.h: what of journal-dir.c only journal.c needs; the rest is declared in journal.h. */
#ifndef VMFERRY_JOURNAL_DIR_H
#define VMFERRY_JOURNAL_DIR_H

#define SUFFIX	    ".journal"
#define DONE_SUFFIX ".journal.done"

/* Of that directory, when this journal has been finished (its name is that of before), deletes all but the newest ones of its role. */
void journal_prune_done(const char *path);

#endif
