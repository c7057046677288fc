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
	MONITOR_FOREIGN, /* another user's: not looked for */
	MONITOR_HMP,	 /* none, but the human monitor can make one when needed */
};

#define REASONS_MAX 16

struct reason {
	char *why;
	char *advice; /* remedy; may be NULL */
};

struct entry {
	struct guest g;
	struct args_result line; /* empty if it cannot be rewritten */
	struct args_basics basics;
	enum monitor monitor;
	char *hmp; /* place of the human monitor */
	bool moving, arriving;
	bool is_double;			    /* another guest here has the same name */
	struct reason reasons[REASONS_MAX]; /* obstacles to a move */
	size_t reason_count;
};

/* True for a guest that is defined in libvirt and shut down. */
static inline bool is_shut_down(const struct entry *n)
{
	return !n->g.pid;
}

/* True for a guest of which neither QEMU, nor libvirt, nor a command line says what it has: of another user, or of libvirt while its QEMU is stopped. */
static inline bool entry_is_unknown(const struct entry *n)
{
	return n->g.foreign || (n->g.pid && !n->g.cpu.count && !n->g.line.argc);
}

enum list_layout { LAYOUT_TABLE, LAYOUT_DETAILS, LAYOUT_JSON };
/* Prints all entries to standard output: one line each, or all details. */
void list_print_text(const struct entry *entries, size_t count, bool details);
/* absent: a guest that was asked for and certainly does not run here; NULL: all were found, or that is not known. */
void list_print_json(const struct entry *entries, size_t count, const char *absent);

#endif
