/* progress.h: how far a longer piece of work is, on standard error: nothing in its first second; on a terminal one line that changes. */
#ifndef VMFERRY_IMPORT_PROGRESS_H
#define VMFERRY_IMPORT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what;
	uint64_t began_ns, shown_ns;
	bool shown, terminal;
	unsigned next; /* percent, where it is no terminal */
};

void progress_begin(struct progress *p, const char *what);
/* percent: 0…100 */
void progress_at(struct progress *p, double percent);
/* Ends the line. */
void progress_end(struct progress *p);

#endif
