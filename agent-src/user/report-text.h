/* report-text.h: shared by report*.c only: members of an event, and its kind of move. */
#ifndef VMFERRY_REPORT_TEXT_H
#define VMFERRY_REPORT_TEXT_H

#include "json-text.h"
#include "util.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

/* "" if there is no such member. */
static inline const char *event_text(const json_t *o, const char *key)
{
	return json_text(o, key) ?: "";
}

static inline double event_number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static inline bool event_flag(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static inline const char *event_bytes(char buf[24], const json_t *o, const char *key)
{
	return format_bytes(buf, (uint64_t)event_number(o, key));
}

static inline bool how_is(const json_t *ev, const char *how)
{
	return !strcmp(event_text(ev, "how"), how);
}

/* The guest is shut down, and stays so. */
static inline bool is_cold(const json_t *ev)
{
	return how_is(ev, "cold");
}

/* The guest runs, and goes cold: its disks go ahead. */
static inline bool is_head_start(const json_t *ev)
{
	return how_is(ev, "head-start");
}

/* The guest is shut down, and boots there. */
static inline bool is_warm(const json_t *ev)
{
	return how_is(ev, "warm");
}

/* The guest stays here, and its disks are copied. */
static inline bool is_of_disks_only(const json_t *ev)
{
	return how_is(ev, "disks") || how_is(ev, "replica");
}

/* The guest goes to another QEMU of this host. */
static inline bool is_in_place(const json_t *ev)
{
	return event_flag(ev, "in_place");
}

#endif
