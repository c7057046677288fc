/* definition-private.h: between definition.c, definition-cards.c and definition-live.c, which is of a guest that goes as it runs. */
#ifndef VMFERRY_SRC_DEFINITION_PRIVATE_H
#define VMFERRY_SRC_DEFINITION_PRIVATE_H

#include "definition.h"
#include "util.h"

#define DEFINITION	   "definition"
#define DEFINITION_ASIDE   "definition-aside" /* journal entry */
#define DEFINITION_CHANGED "definition-changed"
#define ASK_MS		   5000

#define tell_once(d, ...) ((d)->told ? (void)0 : report_notice((d)->src->report, __VA_ARGS__))

static inline struct definition *definition_of(struct part *p)
{
	return container_of(p, struct definition, part);
}

/* Checks whether the guest can move while it runs; adds each objection to the source's obstacles. */
int definition_examine_live(struct definition *d, struct err *e);
/* Networks and bridges of the guest's network cards: a new array. */
json_t *definition_networks(const struct libvirt_definition *def);
/* Networks that a running guest uses only from its next start on; NULL: none. */
json_t *definition_networks_later(const struct definition *d, const json_t *now);
/* Network cards that get another network at the destination: *count changes, malloc'ed. Reports each. */
struct libvirt_change *definition_cards(struct definition *d, size_t *count);
/* Changes *xml (malloc'ed) as the destination's plan asks. */
int definition_change(struct definition *d, char **xml, struct err *e);
/* Reports that another client has defined the guest here while it is at the destination. */
void definition_tell_defined(const struct definition *d, const char *name, const char *uuid);
int definition_undo_aside(struct part *p, const json_t *detail, struct err *e);
/* Leaves a guest's XML for people in that file. */
int definition_leave(const char *place, const char *xml, struct err *e);
/* The file that keeps the guest's definition, as it was here, until the move is settled; malloc'ed. */
char *definition_kept_at(const struct definition *d);
/* Writes the guest's definition, as it is here, into a file that the journal owns. */
int definition_keep(struct definition *d, struct err *e);

#endif
