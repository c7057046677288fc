/* replica-health.c: see replica-health.h. */
#include "replica-health.h"
#include "json-text.h"
#include "util.h"

#include <string.h>

#define WARNS_AFTER 2.0 /* times `every` */
#define FAILS_AFTER 12.0

enum health { NORMAL, WARNING, CRITICAL };

static const char *const words[] = {"normal", "warning", "critical"};

char *replica_span(double seconds)
{
	return seconds < 120	  ? xasprintf("%.0f s", seconds)
	       : seconds < 7200	  ? xasprintf("%.0f min", seconds / 60)
	       : seconds < 172800 ? xasprintf("%.0f h", seconds / 3600)
				  : xasprintf("%.0f d", seconds / 86400);
}

static enum health add(json_t *why, enum health is, char *sentence /* freed */)
{
	json_array_append_new(why, json_string(sentence));
	free(sentence);
	return is;
}

static bool is_true(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static enum health of_lag(const json_t *row, json_t *why)
{
	double lag = json_number_value(json_object_get(row, "lag_s")), every = json_number_value(json_object_get(row, "every_s"));
	AUTO_FREE char *text = replica_span(lag), *usual = replica_span(every);

	if (!json_object_get(row, "point"))
		return add(why, CRITICAL, xstrdup("no point has been made yet"));
	if (lag <= WARNS_AFTER * every)
		return NORMAL;
	return add(why, lag > FAILS_AFTER * every ? CRITICAL : WARNING,
		   xasprintf("the newest point is %s old, and one is to be made every %s%s", text, usual,
			     is_true(row, "paused") ? ": it is paused"
			     : json_integer_value(json_object_get(row, "exit_code"))
				     ? ""
				     : ": does vmferry replica run, or its service, run here?"));
}

/* A point more would be no older than this one, and a service may wait until the clock has come there. */
static enum health of_clock(const json_t *row, json_t *why)
{
	double ahead = json_number_value(json_object_get(row, "ahead_s"));
	AUTO_FREE char *text = replica_span(ahead);

	return ahead <= json_number_value(json_object_get(row, "every_s"))
		       ? NORMAL
		       : add(why, WARNING,
			     xasprintf("the newest point, or the last attempt, lies %s in the future: was the clock set back? vmferry "
				       "cannot tell how old the point is (vmferry replica sync makes another)",
				       text));
}

static enum health of_attempt(const json_t *row, json_t *why)
{
	const char *reason = json_text(row, "reason");

	if (is_true(row, "replaced"))
		return add(why, CRITICAL,
			   xstrdup(!strcmp(json_text(row, "role") ?: "", "onward")
					   ? "the guest was taken over there"
					   : "the guest was taken over at the replica: what runs here is not it any more"));
	if (!json_integer_value(json_object_get(row, "exit_code")))
		return NORMAL;
	return add(why, WARNING, xasprintf("the last attempt failed%s%s", reason ? ": " : "", reason ?: ""));
}

static enum health of_freeze(const json_t *row, json_t *why)
{
	return is_true(row, "freezes") && !is_true(row, "frozen") && json_object_get(row, "point")
		       ? add(why, WARNING, xstrdup("the guest's file systems were not frozen for the newest point"))
		       : NORMAL;
}

static enum health of_start(const json_t *row, json_t *why)
{
	const json_t *would = json_object_get(row, "would_start");
	enum health is = NORMAL;
	json_t *one;
	size_t i;

	if (json_is_false(json_object_get(would, "start")))
		json_array_foreach(json_object_get(would, "why"), i, one)
			is = add(why, WARNING, xasprintf("the guest would not start there: %s", json_string_value(one) ?: "?"));
	return is;
}

/* The primary heard of them with its newest point. */
static enum health of_points(const json_t *row, json_t *why)
{
	json_int_t number = json_integer_value(json_object_get(row, "point"));
	enum health is = NORMAL;
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(row, "warnings"), i, one) {
		const char *text = json_string_value(one) ?: "?";

		is = add(why, WARNING, number ? xasprintf("as point %lld came there: %s", (long long)number, text) : xstrdup(text));
	}
	return is;
}

typedef enum health (*asked_fn)(const json_t *row, json_t *why);

static void judge(json_t *row, const asked_fn *asked, size_t count)
{
	json_t *why = json_array();
	enum health worst = NORMAL;

	for (size_t i = 0; i < count; i++) {
		enum health is = asked[i](row, why);

		worst = MAX(worst, is);
	}
	json_object_set_new(row, "health", json_string(words[worst]));
	json_object_set_new(row, "health_why", why);
}

void replica_health(json_t *row)
{
	static const asked_fn asked[] = {of_lag, of_clock, of_attempt, of_freeze, of_start, of_points}, of_old_copy[] = {of_attempt};
	bool replaced = is_true(row, "replaced");

	judge(row, replaced ? of_old_copy : asked, replaced ? ARRAY_LEN(of_old_copy) : ARRAY_LEN(asked));
}

/* The health of a guest that was started from its points, and so is not at its primary any more. */
static enum health of_run(const json_t *row, json_t *why)
{
	const json_t *run = json_object_get(row, "run");
	const char *guest = json_text(row, "guest") ?: "VM", *further = json_text(row, "taken_over_at");

	if (further)
		return add(why, CRITICAL, xasprintf("the guest was taken over at %s, to which its points went on from here", further));
	if (!run)
		return NORMAL;
	return json_is_true(json_object_get(run, "came"))
		       ? add(why, CRITICAL,
			     xasprintf(
				     "the guest is here, since %s, as it came: vmferry replica failover %s --complete gives it disks of its own",
				     json_text(run, "at") ?: "?", guest))
		       : add(why, CRITICAL,
			     xasprintf(
				     "the guest was taken over here, from point %lld, at %s: vmferry replica failover %s --complete, and it stays, or "
				     "--cancel, which throws away what it has written here",
				     (long long)json_integer_value(json_object_get(run, "number")), json_text(run, "at") ?: "?", guest));
}

void replica_health_here(json_t *row)
{
	static const asked_fn asked[] = {of_run, of_points};

	judge(row, asked, ARRAY_LEN(asked));
}
