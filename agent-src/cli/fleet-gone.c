/* fleet-gone.c: guests that an earlier command has taken to another host, as notes of this host say. See fleet-command.h. */
#include "fleet-command.h"
#include "dest-connect.h"
#include "json-text.h"
#include "paths.h"
#include "qemu-discover.h"
#include "util.h"
#include "whereabouts.h"

#include <errno.h>
#include <string.h>

int fleet_read_gone(const struct fleet_command *c, const char *guest, json_t **gone, struct err *e)
{
	AUTO_FREE char *state = NULL;
	AUTO_FREE char *path = NULL;
	json_t *all, *newest;
	int r = state_dir_get(&state, c->o.dirs.state, e);

	*gone = NULL;
	if (r)
		return r;
	path = whereabouts_path(state, guest);
	r = whereabouts_read(path, &all, e);
	if (r)
		return r;
	newest = json_array_get(all, json_array_size(all) - 1);
	if (json_text(newest, "gone_to") && !strcmp(json_text(newest, "guest") ?: "", guest))
		*gone = json_incref(newest);
	json_decref(all);
	return 0;
}

/* The same, but NULL of a guest that runs here, too. -errno: it cannot be told. */
static int find_gone(const struct fleet_command *c, const char *guest, json_t **gone, struct err *e)
{
	struct guest g;
	int r;

	*gone = NULL;
	if (strchr(guest, '/'))
		return 0;
	r = fleet_read_gone(c, guest, gone, e);
	if (r || !*gone)
		return r;
	r = guest_find(&g, guest, e);
	guest_fini(&g);
	if (r == -ENOENT)
		return 0;
	json_decref(*gone);
	*gone = NULL;
	return r == -E2BIG ? r : 0; /* the guest is here with every other error */
}

/* The destination to which the same command, given before, has taken the guest: of that name, or else at a host of that name. NULL: to none. */
static const char *went_before_to(const struct fleet_command *c, const char *guest)
{
	AUTO_FREE char *there = NULL;
	const char *found = NULL;
	json_t *gone;
	struct err e;

	if (find_gone(c, guest, &gone, &e) || !gone)
		return NULL;
	there = dest_host_name(json_text(gone, "gone_to"));
	for (size_t i = 0; i < c->host_count; i++) {
		AUTO_FREE char *host = dest_host_name(c->hosts[i]);

		if (!strcmp(json_text(gone, "gone_to"), c->hosts[i]) || (!found && !strcasecmp(there, host)))
			found = c->hosts[i];
	}
	json_decref(gone);
	return found;
}

bool fleet_rule_binds(const struct fleet_rule *rule)
{
	return rule->kind == RULE_APART || rule->kind == RULE_TOGETHER;
}

void fleet_add_settled(struct settled_guests *s, const char *guest, const char *dest, const char *instance)
{
	s->list = xrealloc(s->list, (s->count + 1) * sizeof(*s->list));
	s->list[s->count++] = (struct settled_guest){xstrdup(guest), xstrdup(dest), xstrdup(instance)};
}

static int find_settled_of(struct fleet_command *c, const struct fleet_rule *rule, struct err *e)
{
	json_t *gone;

	for (size_t k = 0; k < rule->count; k++) {
		if (find_gone(c, rule->words[k], &gone, e))
			return err_prefix(e, "a rule names guest %s, and vmferry cannot tell whether that has gone to another host",
					  rule->words[k]);
		if (gone)
			fleet_add_settled(&c->settled, rule->words[k], json_text(gone, "gone_to"), json_text(gone, "instance"));
		json_decref(gone);
	}
	return 0;
}

/* Rules hold beside guests that an earlier command has taken to one of the hosts, too. */
int fleet_find_settled(struct fleet_command *c, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < c->rules.count && !r; i++)
		if (fleet_rule_binds(&c->rules.list[i]))
			r = find_settled_of(c, &c->rules.list[i], e);
	return r;
}

/* Guests that have gone are no candidates any more, wherever among the hosts they are. */
void fleet_set_aside_gone(struct fleet_command *c)
{
	size_t i, left = 0;

	c->gone = xcalloc(c->guest_count + 1, sizeof(*c->gone));
	for (i = 0; i < c->guest_count; i++) {
		const char *dest = went_before_to(c, c->guests[i]);

		if (dest)
			c->gone[c->gone_count++] = (struct gone_guest){c->guests[i], dest};
		else
			c->guests[left++] = c->guests[i];
	}
	c->guest_count = left;
	if (c->guests)
		c->guests[left] = NULL;
}
