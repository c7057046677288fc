/* living-definition.c: see living-definition.h. */
#include "living-definition.h"
#include "durable-file.h"
#include "json-text.h"
#include "kept-definition.h"
#include "living-devices.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define DEVICES	  "devices" /* member of the file that keeps the definition */
#define LOOKS_MAX 5

struct look {
	json_t *before, *now; /* devices */
	json_t *taken, *lost; /* devices that are different, described in words */
};

static int ask(struct lv *v, const struct lv_domain *it, char **xml, json_t **devices, struct err *e)
{
	int r = lv_xml(v, it, false, xml, e);

	*devices = r ? NULL : living_devices(*xml);
	return r || *devices ? r : err_set(e, EBADMSG, "cannot read what libvirt says of the guest's devices");
}

int living_definition_note(const char *path, struct lv *v, const struct lv_domain *it, struct err *e)
{
	AUTO_FREE char *xml = NULL;
	json_t *devices, *kept;
	int r = ask(v, it, &xml, &devices, e);

	if (r)
		return r;
	r = kept_definition_read(path, &kept, e);
	if (r) {
		json_decref(devices);
		return r;
	}
	json_object_set_new(kept, DEVICES, devices);
	r = kept_definition_check(kept, e);
	if (!r && unlink(path)) /* the file is not missed if we die now */
		r = err_sys(e, errno, "cannot replace %s", path);
	r = r ?: kept_definition_write(path, kept, e);
	json_decref(kept);
	return r;
}

static char *joined(const json_t *words)
{
	char *all = xstrdup("");

	for (size_t i = 0; i < json_array_size(words); i++) {
		AUTO_FREE char *before = all;

		all = xasprintf("%s%s%s", before, i ? ", " : "", json_string_value(json_array_get(words, i)));
	}
	return all;
}

static void tell_taken(const struct look *l, const json_t *kept, const char *as_it_came, const char *state_dir, json_t *told)
{
	AUTO_FREE char *place = kept_definition_place_changed(state_dir, json_text(kept, "uuid"));
	AUTO_FREE char *all = joined(l->taken);
	struct err e = {.msg = ""};

	unlink(place);
	write_new_file(place, 0600, as_it_came, &e);
	json_array_append_new(
		told,
		json_sprintf(
			"another client gave the guest other images since it runs there (virsh snapshot-create-as, blockcopy): libvirt "
			"there defines it with these, so keep them and their backing files: %s; its definition as it came: %s",
			all, e.code ? e.msg : place));
}

static void tell_lost(const struct look *l, const json_t *kept, json_t *told)
{
	AUTO_FREE char *all = joined(l->lost);

	json_array_append_new(
		told,
		json_sprintf("another client changed the guest's devices since it runs there. The change lasts only until its QEMU ends, "
			     "as its definition does not have it (virsh dumpxml %s shows what it has; attach-device and detach-device "
			     "with --config change the definition): %s",
			     json_text(kept, "name"), all));
}

/* -EAGAIN: libvirt has it defined, and is to be asked once more whether that is as its devices are. */
static int look_and_define(struct lv *v, const struct lv_domain *it, json_t *kept, const char *as_it_came, struct look *l, struct err *e)
{
	AUTO_FREE char *live = NULL;
	AUTO_FREE char *xml = xstrdup(as_it_came);
	json_t *now;
	int r = ask(v, it, &live, &now, e);

	if (r)
		return r;
	if (l->now && json_equal(l->now, now)) {
		json_decref(now);
		return 0;
	}
	json_decref(l->now);
	l->now = now;
	json_array_clear(l->taken);
	json_array_clear(l->lost);
	r = living_devices_take(&xml, live, l->before, now, l->taken, l->lost, e);
	json_object_set_new(kept, "xml", json_string(xml));
	return r ?: kept_definition_define(v, kept, e) ?: err_set(e, EAGAIN, "others change the guest's devices all the time");
}

/* An image that is made between our look and the definition is not in that. */
static int define(struct lv *v, const struct lv_domain *it, json_t *kept, const char *state_dir, json_t *told, struct err *e)
{
	struct look l = {json_object_get(kept, DEVICES), NULL, json_array(), json_array()};
	AUTO_FREE char *as_it_came = xstrdup(json_text(kept, "xml"));
	int i, r = -EAGAIN;

	for (i = 0; i < LOOKS_MAX && r == -EAGAIN; i++)
		r = look_and_define(v, it, kept, as_it_came, &l, e);
	if (!r && json_array_size(l.taken))
		tell_taken(&l, kept, as_it_came, state_dir, told);
	if (!r && json_array_size(l.lost))
		tell_lost(&l, kept, told);
	json_decref(l.now);
	json_decref(l.taken);
	json_decref(l.lost);
	return r;
}

int living_definition_define(struct lv *v, json_t *kept, const char *state_dir, json_t *told, struct err *e)
{
	struct lv_domain it;
	int r;

	if (!json_object_get(kept, DEVICES)) /* the definition came before devices were noted */
		return kept_definition_define(v, kept, e);
	r = kept_definition_lookup(v, kept, &it, e);
	if (r)
		return r;
	r = define(v, &it, kept, state_dir, told, e);
	lv_domain_fini(&it);
	return r;
}
