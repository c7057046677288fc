/* definition-plan.c: see definition-plan.h. */
#include "definition-plan.h"
#include "host-settings.h"
#include "json-text.h"
#include "kept-definition.h"
#include "tap.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS	  5000
#define POOLS_MAX 64

static int open_libvirt(struct lv **v, struct err *e)
{
	int r = lv_open(v, LOOK_MS, e);

	return r == -ENOENT
		       ? err_set(e, ENOENT,
				 "the guest is to be libvirt's, and no libvirt runs at the destination that could have it: install it "
				 "there (Debian: "
				 "libvirt-daemon-system), and start it (another user's than root: virsh -c qemu:///session list, there); "
				 "or have it there as a guest that a script starts: --as plain, or of one that "
				 "is plain here without --as")
		       : r;
}

static int check_is_free(struct definition *d, struct lv *v, const json_t *told, struct err *e)
{
	const char *name = json_text(told, "name");
	const char *uuid = json_text(told, "uuid");
	struct lv_domain other;
	int r = kept_definition_lookup(v, told, &other, e);
	bool runs = !r && other.id != -1;

	if (!r)
		lv_domain_fini(&other);
	if (runs)
		return err_set(
			e, EEXIST,
			"libvirt has a guest with the UUID %s at the destination already, and it is not shut down (virsh domstate %s --reason, there): an "
			"earlier move that is not settled may have it there, or hold it: vmferry recover, at both hosts, settles it, and where it may "
			"be had back vmferry keep",
			uuid, uuid);
	if (!r)
		return err_set(e, EEXIST,
			       "libvirt has a guest with the UUID %s at the destination already: undefine it there (virsh undefine %s)",
			       uuid, uuid);
	if (r != -ENOENT)
		return r;
	r = lv_lookup(v, name, &other, e);
	if (r)
		return r == -ENOENT ? 0 : r;
	lv_domain_fini(&other);
	(void)d;
	return err_set(e, EEXIST, "libvirt has another guest %s at the destination already: rename or undefine it there (virsh domrename)",
		       name);
}

static char *joined(char **names, size_t count)
{
	char *all = xstrdup("");

	for (size_t i = 0; i < count; i++) {
		AUTO_FREE char *before = all;

		all = xasprintf("%s%s%s", before, i ? ", " : "", names[i]);
	}
	return all;
}

static char *networks_here(struct lv *v)
{
	char **names, *all;
	size_t count, i;
	struct err ignored;

	if (lv_networks(v, &names, &count, &ignored))
		return xstrdup("?");
	all = joined(names, count);
	for (i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return all;
}

/* A guest that comes as it runs needs it at once, unless it is for its next start. */
static void caution(const struct definition *d, bool is_later, char *sentence /* freed */)
{
	struct err e;

	if (d->target->libvirt.domain && !is_later) {
		err_set(&e, ENODEV, "%s", sentence);
		target_obstacle(d->target, &e);
		free(sentence);
		return;
	}
	json_array_append_new(json_object_get(d->accept, "cautions"), json_string(sentence));
	free(sentence);
}

static bool is_there(struct lv *v, const char *kind, const char *name)
{
	struct err ignored;
	bool active;

	return !strcmp(kind, "bridge") ? bridge_is_here(name) : !lv_network(v, name, &active, &ignored) && active;
}

/* The network that this host's owner calls by that label, of the same kind if there is one: "bridge:br0", malloc'ed; NULL: nothing. */
static char *find_labelled(struct lv *v, const char *label, const char *kind)
{
	static const char *const kinds[] = {"bridge", "network"};
	struct host_settings s;
	struct err ignored;
	char *found = NULL;
	size_t k, i;

	if (host_settings_read(&s, &ignored))
		return NULL;
	for (k = 0; k < ARRAY_LEN(kinds) && !found; k++) {
		const char *one = kinds[!strcmp(kind, "network") ^ k];

		for (i = 0; i < s.net_count && !found; i++)
			if (!strcmp(s.nets[i].label, label) && is_there(v, one, s.nets[i].bridge))
				found = xasprintf("%s:%s", one, s.nets[i].bridge);
	}
	host_settings_fini(&s);
	return found;
}

/* A source that knows of that has the card there by another name. */
static bool goes_by_label(const struct definition *d, struct lv *v, const char *kind, const char *name)
{
	const json_t *told = json_object_get(d->target->description, DEFINITION);
	const char *label = json_text(json_object_get(d->target->description, "bridge_labels"), name);
	AUTO_FREE char *to = label && json_is_true(json_object_get(told, "net_map")) ? find_labelled(v, label, kind) : NULL;

	if (to)
		json_array_append_new(json_object_get(d->accept, "networks"),
				      json_pack("{s:s,s:s,s:s}", "kind", kind, "name", name, "to", to));
	return to;
}

/* Missing networks keep nobody from having the guest there, but it does not start before they are made. */
static void look_at_network(const struct definition *d, struct lv *v, const json_t *net, bool is_later)
{
	const char *kind = json_text(net, "kind") ?: "", *name = json_text(net, "name") ?: "";
	bool active;
	struct err e;
	int r;

	if (!strcmp(kind, "bridge") && !strchr(name, '/') && !bridge_is_here(name) && !goes_by_label(d, v, kind, name))
		caution(d, is_later, xasprintf("the destination has no bridge %s, which the guest's network card needs", name));
	if (strcmp(kind, "network"))
		return;
	r = lv_network(v, name, &active, &e);
	if (r == -ENOENT) {
		AUTO_FREE char *all = networks_here(v);

		if (goes_by_label(d, v, kind, name))
			return;
		caution(d, is_later,
			xasprintf("libvirt has no network %s (it has: %s), which the guest's network card needs before it can start", name,
				  *all ? all : "none"));
	} else if (!r && !active) {
		caution(d, is_later, xasprintf("libvirt's network %s is not active: virsh net-start %s", name, name));
	}
}

static void look_at_networks(const struct definition *d, struct lv *v, const json_t *told)
{
	json_t *net;
	size_t i;

	json_array_foreach(json_object_get(told, "networks"), i, net)
		if (i < POOLS_MAX)
			look_at_network(d, v, net, false);
	json_array_foreach(json_object_get(told, "networks_later"), i, net)
		if (i < POOLS_MAX)
			look_at_network(d, v, net, true);
}

/* Secrets that are known by what they are for, and not by a UUID, are not asked for. */
static void look_at_secrets(const struct definition *d, struct lv *v, const json_t *told)
{
	uint8_t uuid[LV_UUID_LEN];
	struct err ignored;
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(told, "secrets"), i, one)
		if (i < POOLS_MAX && json_is_string(one) && lv_uuid_parse(json_string_value(one), uuid) &&
		    lv_secret_is_there(v, uuid, &ignored) == -ENOENT)
			caution(d, false,
				xasprintf("libvirt has no secret %s, which the guest needs before it can start: virsh secret-define, "
					  "secret-set-value",
					  json_string_value(one)));
}

/* "<path>/srv/vm</path>", of a pool's <target>; malloc'ed, or NULL. */
static char *place_of_pool(const char *xml)
{
	const char *target = strstr(xml, "<target>"), *path = target ? strstr(target, "<path>") : NULL,
		   *end = path ? strstr(path, "</path>") : NULL;

	return end ? xasprintf("%.*s", (int)(end - path - (long)strlen("<path>")), path + strlen("<path>")) : NULL;
}

static void look_at_pools(const struct definition *d, struct lv *v, const json_t *told)
{
	json_t *out = json_object(), *name;
	struct err e;
	size_t i;

	json_array_foreach(json_object_get(told, "pools"), i, name) {
		AUTO_FREE char *xml = NULL;
		AUTO_FREE char *place = NULL;
		bool active;

		if (i >= POOLS_MAX || !json_is_string(name) || lv_pool(v, json_string_value(name), &active, &xml, &e))
			continue;
		place = active ? place_of_pool(xml) : NULL;
		if (place && text_is_utf8(place))
			json_object_set_new(out, json_string_value(name), json_string(place));
	}
	json_object_set_new(d->accept, "pools", out);
}

static char *version_text(unsigned long v)
{
	return xasprintf("%lu.%lu.%lu", v / 1000000, v / 1000 % 1000, v % 1000);
}

int definition_look(struct definition *d, const json_t *told, struct err *e)
{
	AUTO_FREE char *version = NULL;
	struct lv *v;
	int r = open_libvirt(&v, e);

	if (r)
		return r;
	version = version_text(lv_version(v));
	d->accept = json_pack("{s:s,s:[],s:[]}", "libvirt", version, "cautions", "networks");
	if (json_is_true(json_object_get(told, "transient")))
		json_object_set_new(d->accept, "transient", json_true());
	r = check_is_free(d, v, told, e);
	if (!r) {
		look_at_networks(d, v, told);
		look_at_pools(d, v, told);
		look_at_secrets(d, v, told);
	}
	lv_close(v);
	return r;
}
