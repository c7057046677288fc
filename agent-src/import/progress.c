/* progress.c: see progress.h. */
#include "progress.h"
#include "util.h"

#include <stdio.h>

#define FIRST_NS 1000000000ull
#define EVERY_NS 200000000ull

void progress_begin(struct progress *p, const char *what)
{
	*p = (struct progress){.what = what, .began_ns = now_ns(), .terminal = isatty(2)};
}

void progress_at(struct progress *p, double percent)
{
	uint64_t now = now_ns();

	if (now - p->began_ns < FIRST_NS || now - p->shown_ns < EVERY_NS || (!p->terminal && percent < p->next))
		return;
	p->shown_ns = now;
	p->shown = true;
	p->next = (unsigned)(percent / 10) * 10 + 10;
	fprintf(stderr, p->terminal ? "\r%s: %.0f %%\033[K" : "%s: %.0f %%\n", p->what, percent);
	fflush(stderr);
}

void progress_end(struct progress *p)
{
	if (p->shown && p->terminal)
		fputs("\r\033[K", stderr);
	p->shown = false;
}
