/* replica-pace.c: see replica-pace.h. */
#include "replica-pace.h"
#include "util.h"

#include <ctype.h>
#include <string.h>

#define PAUSE	   0.1 /* share of the time that a slow point took */
#define BACKS_OFF  3   /* doublings at most */
#define WAIT_MAX_S 1800.0

static double wait_after(unsigned failures, double every)
{
	double most = MAX(every, WAIT_MAX_S);

	return failures ? MIN(every * (double)(1U << MIN(failures - 1, BACKS_OFF)), most) : every;
}

double replica_due(const struct replica_attempt *last, double every)
{
	double due = last->began + wait_after(last->failures, every);
	double took = last->ended - last->began;

	return took > every ? MAX(due, last->ended + PAUSE * took) : due;
}

double replica_first_due(double now, double age, double every)
{
	return age < 0 || age >= every ? now : now + every - age;
}

/* Ports, counts, times and numbers of attempts differ each time. */
static void without_numbers(char *out, size_t most, const char *text)
{
	size_t n = 0, word = 0; /* where the last one begins in out */
	bool has_digit = false;

	for (; *text && n + 1 < most; text++) {
		if (!isalnum((unsigned char)*text)) {
			n = has_digit ? word : n;
			has_digit = false;
			word = n + 1;
		}
		has_digit |= *text >= '0' && *text <= '9';
		out[n++] = *text;
	}
	out[has_digit ? word : n] = '\0';
}

enum replica_says replica_is_news(struct replica_word *w, unsigned code, const char *reason)
{
	char words[sizeof(w->reason)];
	bool was = w->code != 0;

	without_numbers(words, sizeof(words), code && reason ? reason : "");
	if (w->code == code && !strcmp(w->reason, words))
		return REPLICA_SAYS_NOTHING;
	w->code = code;
	memcpy(w->reason, words, sizeof(words));
	return code ? REPLICA_SAYS_FAILED : was ? REPLICA_SAYS_OVER : REPLICA_SAYS_NOTHING;
}
