/* kept-definition.c: see kept-definition.h. */
#include "kept-definition.h"
#include "durable-file.h"
#include "json-text.h"
#include "open-regular.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int kept_definition_check(const json_t *kept, struct err *e)
{
	const json_t *snapshots = json_object_get(kept, "snapshots");
	uint8_t uuid[LV_UUID_LEN];
	AUTO_FREE char *text = NULL;
	json_t *one;
	size_t i;

	if (!json_text(kept, "name") || !json_text(kept, "uuid") || !json_text(kept, "xml") ||
	    !lv_uuid_parse(json_text(kept, "uuid"), uuid) || (snapshots && !json_is_array(snapshots)))
		return err_set(e, EPROTO, "a guest's definition is malformed");
	json_array_foreach((json_t *)(uintptr_t)snapshots, i, one)
		if (!json_is_string(one))
			return err_set(e, EPROTO, "a guest's definition is malformed: snapshot %zu", i);
	text = json_dumps(kept, JSON_COMPACT);
	return text && strlen(text) <= KEPT_DEFINITION_MAX
		       ? 0
		       : err_set(e, E2BIG, "the guest's definition has, with its %zu snapshots, more than the %d bytes that can be carried",
				 json_array_size(snapshots), KEPT_DEFINITION_MAX);
}

int kept_definition_write(const char *path, const json_t *kept, struct err *e)
{
	AUTO_FREE char *text = json_dumps(kept, JSON_COMPACT);
	int r = text ? write_new_file(path, 0600, text, e) : err_set(e, ENOMEM, "the guest's definition cannot be written down");

	return r ? err_prefix(e, "keeping the guest's definition in %s", path) : 0;
}

char *kept_definition_place(const char *state_dir, const char *uuid)
{
	return xasprintf("%s/libvirt-%s.xml", state_dir, uuid);
}

char *kept_definition_place_changed(const char *state_dir, const char *uuid)
{
	return xasprintf("%s/libvirt-%s-changed.xml", state_dir, uuid);
}

int kept_definition_read(const char *path, json_t **kept, struct err *e)
{
	AUTO_CLOSE int fd = open_regular(path);
	AUTO_FREE char *text = NULL;
	json_error_t why;
	size_t n;
	int r = fd < 0 ? fd : read_regular(fd, KEPT_DEFINITION_MAX, &text, &n);

	*kept = NULL;
	if (r)
		return err_sys(e, -r, "the guest's definition, which is kept in %s", path);
	*kept = json_loadb(text, n, 0, &why);
	if (!*kept)
		return err_set(e, EBADMSG, "%s, which keeps the guest's definition, is no JSON: %s", path, why.text);
	r = kept_definition_check(*kept, e);
	if (r) {
		json_decref(*kept);
		*kept = NULL;
	}
	return r ? err_prefix(e, "%s", path) : 0;
}

int kept_definition_lookup(struct lv *v, const json_t *kept, struct lv_domain *out, struct err *e)
{
	return lv_lookup_text(v, json_text(kept, "uuid"), out, e);
}

int kept_definition_is_there(struct lv *v, const json_t *kept, bool *yes, struct err *e)
{
	struct lv_domain d;
	int r = kept_definition_lookup(v, kept, &d, e);

	*yes = !r;
	if (!r)
		lv_domain_fini(&d);
	return r == -ENOENT ? 0 : r;
}

static bool are_kept(const json_t *kept, char *const *snapshots, size_t count, const char *current)
{
	const json_t *list = json_object_get(kept, "snapshots");
	bool same = json_array_size(list) == count && !strcmp(json_text(kept, "current") ?: "", current ?: "");

	for (size_t i = 0; same && i < count; i++)
		same = !strcmp(json_string_value(json_array_get(list, i)), snapshots[i]);
	return same;
}

static void add_words(json_t *changed, bool yes, const char *words)
{
	if (yes)
		json_array_append_new(changed, json_string(words));
}

int kept_definition_compare(struct lv *v, const struct lv_domain *d, const json_t *kept, json_t *changed, char **xml, struct err *e)
{
	AUTO_FREE char *now = NULL, *current = NULL;
	char **snapshots = NULL;
	size_t count = 0;
	bool autostart = false, once = false, differs;
	int r = lv_xml(v, d, true, &now, e) ?: lv_autostart(v, d, &autostart, e) ?: lv_autostart_once(v, d, &once, e);

	r = r ?: lv_snapshots(v, d, &snapshots, &count, &current, e);

	*xml = NULL;
	if (r)
		return r;
	differs = strcmp(now, json_text(kept, "xml")) != 0;
	add_words(changed, differs, "its definition (virsh edit)");
	add_words(changed, autostart != json_is_true(json_object_get(kept, "autostart")),
		  autostart ? "autostart (it is on by now)" : "autostart (it is off by now)");
	add_words(changed, once != json_is_true(json_object_get(kept, "autostart_once")),
		  once ? "autostart for one boot (it is on by now)" : "autostart for one boot (it is off by now)");
	add_words(changed, !are_kept(kept, snapshots, count, current), "its snapshots");
	lv_strings_free(snapshots, count);
	*xml = differs ? xstrdup(now) : NULL;
	return 0;
}

int kept_definition_define(struct lv *v, const json_t *kept, struct err *e)
{
	struct lv_domain d;
	int r = lv_define(v, json_text(kept, "xml"), &d, e);

	if (r)
		return err_prefix(e, "defining the guest %s", json_text(kept, "name"));
	lv_domain_fini(&d);
	return 0;
}

static void tell_failure(json_t *failed, const struct err *e)
{
	json_array_append_new(failed, json_string(e->msg));
}

/* The name of a snapshot stands in its XML first, before the guest's. */
static bool is_named(const char *xml, const char *name)
{
	const char *begin = strstr(xml, "<name>"), *end = begin ? strstr(begin, "</name>") : NULL;

	begin = begin ? begin + strlen("<name>") : NULL;
	return begin && end && (size_t)(end - begin) == strlen(name) && text_starts_with(begin, name);
}

static int set_autostart(struct lv *v, const struct lv_domain *d, const json_t *kept, struct err *e)
{
	int r = json_is_true(json_object_get(kept, "autostart")) ? lv_set_autostart(v, d, true, e) : 0;

	if (r)
		return err_prefix(e, "having guest %s started when its host boots", d->name);
	r = json_is_true(json_object_get(kept, "autostart_once")) ? lv_set_autostart_once(v, d, e) : 0;
	return r ? err_prefix(e, "having guest %s started when its host boots the next time (virsh autostart --once)", d->name) : 0;
}

static void note_snapshots(struct lv *v, const struct lv_domain *d, const json_t *kept, json_t *failed)
{
	const char *current = json_text(kept, "current");
	struct err e;
	json_t *xml;
	size_t i;

	json_array_foreach(json_object_get(kept, "snapshots"), i, xml) {
		const char *text = json_string_value(xml);

		if (lv_snapshot_redefine(v, d, text, current && is_named(text, current), &e)) {
			err_prefix(&e, "snapshot %zu of guest %s", i + 1, d->name);
			tell_failure(failed, &e);
		}
	}
}

int kept_definition_complete(struct lv *v, const json_t *kept, json_t *failed, struct err *e)
{
	struct lv_domain d;

	if (kept_definition_lookup(v, kept, &d, e)) {
		tell_failure(failed, e);
	} else {
		note_snapshots(v, &d, kept, failed);
		if (set_autostart(v, &d, kept, e))
			tell_failure(failed, e);
		lv_domain_fini(&d);
	}
	return lv_is_lost(v) ? err_set(e, ECONNRESET, "libvirt was lost while it was told of the guest's snapshots and autostart") : 0;
}
