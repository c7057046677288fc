/* definition-private.h: between definition.c, definition-cards.c and definition-live.c, which is of a guest that goes as it runs. */
#ifndef VMFERRY_SRC_DEFINITION_PRIVATE_H
#define VMFERRY_SRC_DEFINITION_PRIVATE_H

#include "definition.h"
#include "util.h"

#define DEFINITION	 "definition"
#define DEFINITION_ASIDE "definition-aside" /* in the journal */
#define ASK_MS		 5000

#define tell_once(d, ...) ((d)->told ? (void)0 : report_notice((d)->src->report, __VA_ARGS__))

static inline struct definition *definition_of(struct part *p)
{
	return container_of(p, struct definition, part);
}

/* What keeps it from going as it runs, each among the source's obstacles. */
int definition_examine_live(struct definition *d, struct err *e);
/* The networks and bridges that its cards are on: a new array. */
json_t *definition_networks(const struct libvirt_definition *def);
/* Networks on which a guest that goes as it runs is from its next start on, and not now; NULL: none. */
json_t *definition_networks_later(const struct definition *d, const json_t *now);
/* Network cards that the plan calls otherwise there: *count changes, malloc'ed. Tells of each. */
struct libvirt_change *definition_cards(struct definition *d, size_t *count);
/* Changes *xml, which is malloc'ed, as the destination's plan wants it. */
int definition_change(struct definition *d, char **xml, struct err *e);
/* A notice: somebody has defined the guest here, which is at the destination. */
void definition_tell_defined(const struct definition *d, const char *name, const char *uuid);
int definition_undo_aside(struct part *p, const json_t *detail, struct err *e);
/* Its definition, as it is here, into a file that the journal owns. */
int definition_keep(struct definition *d, struct err *e);
/* Has libvirt define it as that file says, whatever it has of it; failed: as kept_definition_complete(). */
int definition_define_again(json_t *kept, json_t *failed, struct err *e);

#endif
