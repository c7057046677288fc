/* point-net.c: where the network cards of a guest lead that runs from a point of its replica. See point-run.h. */
#include "point-run.h"
#include "qemu-props.h"
#include "util.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* A card is called as a user calls it, or as the line does. NULL: it has no name at all. */
static const char *nic_name(const struct args_nic *n)
{
	return n->netdev ?: n->device ?: n->mac;
}

static bool is_called(const struct args_nic *n, const char *name)
{
	return (n->netdev && !strcmp(n->netdev, name)) || (n->device && !strcmp(n->device, name)) || (n->mac && !strcasecmp(n->mac, name));
}

/* The network to which the card leads: as said here, or as said when its replica was begun; in a trial nowhere. NULL: the same as at the
 * primary. */
static const char *leads_to(const struct run *r, const struct replica_conf *c, const struct args_nic *n)
{
	const char *name, *to = NULL;
	json_t *what;

	for (size_t i = 0; i < c->o.map_net.count; i++) {
		AUTO_FREE char *word = xstrdup(c->o.map_net.at[i]);
		char *value = strchr(word, '=');

		*value = '\0';
		if (is_called(n, word))
			to = c->o.map_net.at[i] + (value - word) + 1;
	}
	json_object_foreach(json_object_get(json_object_get(r->point->json, "guest"), "map_net"), name, what)
		if (strcmp(r->kind, "test") && !to && is_called(n, name))
			to = json_string_value(what);
	return to ?: strcmp(r->kind, "test") ? NULL : "none";
}

static int check_word(const struct args_result *looked, const char *said, struct err *e)
{
	AUTO_FREE char *word = xstrdup(said);

	*strchr(word, '=') = '\0';
	for (size_t i = 0; i < looked->nic_count; i++)
		if (is_called(&looked->nics[i], word))
			return 0;
	return err_set(e, EINVAL, "--map-net %s: the guest has no network card %s", said, word);
}

int run_map_nets(const struct run *r, const struct replica_conf *c, const struct args_result *looked, struct args_net_map **out,
		 size_t *count, struct err *e)
{
	int k = 0;

	*out = xcalloc(looked->nic_count + 1, sizeof(**out));
	*count = 0;
	for (size_t i = 0; i < c->o.map_net.count && !k; i++)
		k = check_word(looked, c->o.map_net.at[i], e);
	for (size_t i = 0; i < looked->nic_count && !k; i++) {
		const struct args_nic *n = &looked->nics[i];
		const char *to = leads_to(r, c, n);

		if (to && !nic_name(n))
			return err_set(
				e, ENOTSUP,
				"a network card of the guest has no id and no MAC address, by which it could be given another network");
		if (to)
			(*out)[(*count)++] = (struct args_net_map){nic_name(n), to};
	}
	return k;
}

void run_name_nics(struct run *r)
{
	for (size_t i = 1; i + 1 < r->argc && !strcmp(r->kind, "test"); i++) {
		struct props p;

		if (strcmp(r->argv[i], "-nic") && strcmp(r->argv[i], "--nic"))
			continue;
		props_parse(&p, r->argv[i + 1]);
		if (!kv_get(&p.l, "id", NULL) && !kv_get(&p.l, "mac", NULL) && strcmp(kv_get(&p.l, "type", "type") ?: "", "none")) {
			AUTO_FREE char *id = xasprintf("trial%zu", i);

			kv_append(&p.l, "id", id);
			kv_replace(&r->argv[i + 1], props_print(&p));
		}
		props_fini(&p);
	}
}
