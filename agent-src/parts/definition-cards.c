/*
 * definition-cards.c: the networks and bridges that a libvirt guest's cards are on, as it runs or from its next start on, which may differ; and where the
 * destination has them by another name (labels, host-settings.h). See definition.h.
 */
#include "definition-private.h"
#include "json-text.h"
#include "util.h"

#include <string.h>

json_t *definition_networks(const struct libvirt_definition *def)
{
	json_t *out = json_array(), *one;

	for (size_t i = 0; i < def->nic_count; i++) {
		const struct libvirt_nic *nic = &def->nics[i];

		one = nic->kind && nic->source ? json_pack("{s:s,s:s}", "kind", nic->kind, "name", nic->source) : NULL;
		if (one && !json_has(out, one))
			json_array_append(out, one);
		json_decref(one);
	}
	return out;
}

json_t *definition_networks_later(const struct definition *d, const json_t *now)
{
	struct libvirt_definition later;
	json_t *out, *all, *one;
	struct err ignored;
	size_t i;

	if (!definition_is_live(d) || d->guest.is_transient ||
	    libvirt_definition_read(&later, d->guest.xml, strlen(d->guest.xml), &ignored))
		return NULL;
	out = json_array();
	all = definition_networks(&later);
	json_array_foreach(all, i, one)
		if (!json_has(now, one))
			json_array_append(out, one);
	json_decref(all);
	libvirt_definition_fini(&later);
	if (json_array_size(out))
		return out;
	json_decref(out);
	return NULL;
}

static void tell_of_cards(struct definition *d, const char *kind, const char *name, const char *to)
{
	bool told = false;

	for (size_t i = 0; i < d->guest.def.nic_count; i++) {
		const struct libvirt_nic *nic = &d->guest.def.nics[i];

		if (!nic->kind || !nic->source || strcmp(nic->kind, kind) || strcmp(nic->source, name))
			continue;
		tell_once(d, "network card %s is on %s there, which has the label of %s here", nic->mac ?: nic->target ?: "?", to, name);
		told = true;
	}
	if (!told)
		tell_once(d, "a network card that the guest has from its next start on is on %s there, which has the label of %s here", to,
			  name);
}

struct libvirt_change *definition_cards(struct definition *d, size_t *count)
{
	json_t *networks = json_object_get(json_object_get(d->accepted, "definition"), "networks"), *net;
	struct libvirt_change *list = xcalloc(json_array_size(networks) + 1, sizeof(*list));
	size_t i;

	*count = 0;
	json_array_foreach(networks, i, net) {
		const char *kind = json_text(net, "kind"), *name = json_text(net, "name"), *to = json_text(net, "to");

		if (!kind || !name || !to)
			continue;
		list[(*count)++] = (struct libvirt_change){.from = name, .kind = kind, .to = to, .may_miss = true};
		tell_of_cards(d, kind, name, to);
	}
	return list;
}
