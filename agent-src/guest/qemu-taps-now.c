/*
 * qemu-taps-now.c: writes into the guest's command line which taps its QEMU has. One that has taken the place of another (--in-place) began with taps that
 * stood in for those (common/host/tap.h), and its line still names them.
 */
#include "qemu-discover.h"
#include "qemu-props.h"
#include "tap.h"
#include "util.h"

#include <string.h>

/* A new value of that option, malloc'ed; NULL: it stays as it is. */
static char *with_its_tap(const struct guest *g, const char *value)
{
	char name[IF_NAMESIZE], *out = NULL;
	struct props p;
	struct kv *tap;
	unsigned index;

	props_parse(&p, value);
	tap = kv_find(&p.l, "ifname", NULL);
	index = tap ? tap_stood_in_for(tap->value) : 0;
	if (index && if_indextoname(index, name) && tap_is_of(g->pid, name)) {
		kv_replace(&tap->value, xstrdup(name));
		out = props_print(&p);
	}
	props_fini(&p);
	return out;
}

void guest_write_in_taps(struct guest *g)
{
	for (size_t i = 1; i < g->line.argc; i++) {
		char *now = strstr(g->line.argv[i], TAP_STAND_IN) ? with_its_tap(g, g->line.argv[i]) : NULL;

		if (now)
			kv_replace(&g->line.argv[i], now);
	}
}
