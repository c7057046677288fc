/* points-state.c: see points-state.h. */
#include "points-state.h"
#include "json-text.h"
#include "keep-points.h"
#include "moment.h"
#include "util.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define DAMAGED_TOLD   5
#define MORE_THAN_KEPT 100 /* excess over the kept number that shows that points are not dropped any more */

static const char *text_of(const json_t *o, const char *key, const char *other)
{
	return json_text(o, key) ?: other;
}

bool points_are_tried(const struct points *p)
{
	AUTO_FREE char *dir = xasprintf("%s/test", p->dir);

	return json_object_get(p->replica, "test") || !access(dir, F_OK);
}

bool points_are_many(const struct points *p)
{
	struct keep_rule k = {0, 0};
	struct err ignored;

	keep_rule_parse(text_of(p->replica, "keep", ""), &k, &ignored);
	return p->count > (size_t)k.newest + k.hourly + MORE_THAN_KEPT;
}

static void add_trial(const struct points *p, json_t *list)
{
	const json_t *test = json_object_get(p->replica, "test");
	AUTO_FREE char *what = test ? xasprintf("from point %lld, since %s", (long long)json_integer_value(json_object_get(test, "number")),
						text_of(test, "at", "?"))
				    : xstrdup("which was cut off as it began");

	json_array_append_new(
		list,
		json_sprintf(
			"there is a trial of the guest, %s: no point is dropped until vmferry replica test %s --end at the replica's host",
			what, text_of(p->replica, "guest", "VM")));
}

json_t *points_warnings(const struct points *p)
{
	const json_t *kept = json_object_get(p->replica, "not_dropped");
	json_t *list = json_array();

	if (points_are_tried(p))
		add_trial(p, list);
	for (size_t i = 0; i < p->damaged_count && i < DAMAGED_TOLD; i++)
		json_array_append_new(list, json_sprintf("a point cannot be used, and none beside it is dropped: %s", p->damaged[i].why));
	if (kept)
		json_array_append_new(list, json_sprintf("points that need not stay cannot be dropped, since %s: %s",
							 text_of(kept, "since", "?"), text_of(kept, "why", "?")));
	if (points_are_many(p))
		json_array_append_new(
			list, json_sprintf("there are %zu points, many more than are to be kept (%s): a run would open an image of each",
					   p->count, text_of(p->replica, "keep", "?")));
	return list;
}

/* Written when it changes alone. */
int points_note_kept(struct points *p, const char *why, struct err *e)
{
	const json_t *known = json_object_get(p->replica, "not_dropped");
	char at[MOMENT_TEXT];

	if (why ? !strcmp(text_of(known, "why", ""), why) : !known)
		return 0;
	if (!why) {
		json_object_del(p->replica, "not_dropped");
		return points_set(p, "term", json_incref(json_object_get(p->replica, "term")), e);
	}
	return points_set(p, "not_dropped",
			  json_pack("{s:s,s:o}", "why", why, "since",
				    known ? json_incref(json_object_get(known, "since")) : json_string(moment_text(at, time(NULL)))),
			  e);
}
