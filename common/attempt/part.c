/* part.c: see part.h. */
#include "part.h"
#include "log.h"
#include "obstacles.h"
#include "util.h"

#include <assert.h>
#include <string.h>

void parts_add(struct parts *ps, struct part *p)
{
	assert(ps->count < PARTS_MAX);
	ps->at[ps->count++] = p;
}

/* Calls one operation of every part that has it. */
#define EACH(ps, op, ...)                                                                                                                  \
	do {                                                                                                                               \
		unsigned i_;                                                                                                               \
		int r_;                                                                                                                    \
		for (i_ = 0; i_ < (ps)->count; i_++) {                                                                                     \
			struct part *p_ = (ps)->at[i_];                                                                                    \
			if (!p_->ops->op)                                                                                                  \
				continue;                                                                                                  \
			log_debug("%s: " #op, p_->ops->name);                                                                              \
			if ((r_ = p_->ops->op(p_, __VA_ARGS__)))                                                                           \
				return r_;                                                                                                 \
		}                                                                                                                          \
		return 0;                                                                                                                  \
	} while (0)

int parts_examine(const struct parts *ps, struct err *e)
{
	EACH(ps, examine, e);
}

int parts_look(const struct parts *ps, bool (*found)(void *ctx, const struct err *e), void *ctx)
{
	struct err e;
	int worst = 0;

	for (unsigned i = 0; i < ps->count; i++) {
		const struct part_ops *ops = ps->at[i]->ops;

		if (!ops->examine || !ops->examine(ps->at[i], &e))
			continue;
		worst = MAX(worst, ops->apart ? 1 : 2);
		if (!found(ctx, &e))
			break;
	}
	return worst;
}

int parts_describe(const struct parts *ps, json_t *out, struct err *e)
{
	EACH(ps, describe, out, e);
}

int parts_agree(const struct parts *ps, const json_t *said, struct obstacles *o, struct err *e)
{
	struct err why;
	int r = 0, one;

	for (unsigned i = 0; i < ps->count; i++) {
		const struct part_ops *ops = ps->at[i]->ops;

		one = ops->agree ? ops->agree(ps->at[i], said, &why) : 0;
		if (one)
			obstacles_add(o, &why);
		if (one && !r)
			*e = why;
		r = r ?: one;
	}
	return r;
}

int parts_prepare(const struct parts *ps, struct err *e)
{
	EACH(ps, prepare, e);
}

int parts_ready(const struct parts *ps, const json_t *said, struct err *e)
{
	EACH(ps, ready, said, e);
}

int parts_begin(const struct parts *ps, struct err *e)
{
	EACH(ps, begin, e);
}

int parts_event(const struct parts *ps, const struct event *ev, struct err *e)
{
	int r = PART_NOT_MINE;

	for (unsigned i = 0; i < ps->count && r == PART_NOT_MINE; i++)
		if (ps->at[i]->ops->event)
			r = ps->at[i]->ops->event(ps->at[i], ev, e);
	return r;
}

uint32_t parts_reached(const struct parts *ps)
{
	uint32_t all = 0;

	for (unsigned i = 0; i < ps->count; i++)
		if (ps->at[i]->ops->reached)
			all |= ps->at[i]->ops->reached(ps->at[i]);
	return all;
}

const struct part_undo *parts_undo(const struct parts *ps, const char *kind, struct part **of)
{
	const struct part_undo *u;

	for (unsigned i = 0; i < ps->count; i++)
		for (u = ps->at[i]->ops->undo; u && u->kind; u++)
			if (!strcmp(u->kind, kind)) {
				*of = ps->at[i];
				return u;
			}
	return NULL;
}

void parts_tell(const struct parts *ps, enum part_tale tale, json_t *out)
{
	for (unsigned i = 0; i < ps->count; i++)
		if (ps->at[i]->ops->tell)
			ps->at[i]->ops->tell(ps->at[i], tale, out);
}

void parts_fini(struct parts *ps)
{
	while (ps->count) {
		struct part *p = ps->at[--ps->count];

		if (p->ops->fini)
			p->ops->fini(p);
	}
}
