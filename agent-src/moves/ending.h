/* ending.h: how a move has ended: its exit code (exit-code.h), and the words of its result (docs/report.md). Private to this folder. */
#ifndef VMFERRY_SRC_ENDING_H
#define VMFERRY_SRC_ENDING_H

#include "transfer.h"

/* Constant strings. */
struct ending_words {
	const char *outcome, *guest, *where, *text;
};

/* Looks at who has the guest, and sets t->end.kind and t->a.exit_code. Called once, when nothing more is done. */
void ending_settle(struct transfer *t);
/* The words about the ending. Call ending_settle() before. */
struct ending_words ending_words(const struct transfer *t);

#endif
