/* list-entry.h: a guest as vmferry list knows it, and how it is shown. Private to list. */
#ifndef VMFERRY_LIST_ENTRY_H
#define VMFERRY_LIST_ENTRY_H

#include "qemu-args.h"
#include "qemu-discover.h"

enum monitor {
	MONITOR_NONE,
	MONITOR_BUSY,
	MONITOR_SILENT,
	MONITOR_ANSWERED,
	MONITOR_FOREIGN, /* another user's: not even looked for */
	MONITOR_HMP,	 /* its human monitor makes one when that is needed */
};

#define REASONS_MAX 16

struct reason {
	char *why;
	char *advice; /* what to do about it; may be NULL */
};

struct entry {
	struct guest g;
	struct args_result line; /* empty if it cannot be rewritten */
	struct args_basics basics;
	enum monitor monitor;
	char *hmp; /* that one's place */
	bool moving, arriving;
	bool is_double;			    /* another guest here has its name */
	struct reason reasons[REASONS_MAX]; /* why it cannot be moved */
	size_t reason_count;
};

/* libvirt defines it, and nothing runs it. */
static inline bool is_shut_down(const struct entry *n)
{
	return !n->g.pid;
}

enum list_layout { LAYOUT_TABLE, LAYOUT_DETAILS, LAYOUT_JSON };
/* All of them, to standard output: a line each, or all about each. */
void list_print_text(const struct entry *entries, size_t count, bool details);
/* absent: one that was asked for, and certainly does not run here; NULL: all were found, or that cannot be told. */
void list_print_json(const struct entry *entries, size_t count, const char *absent);

#endif
