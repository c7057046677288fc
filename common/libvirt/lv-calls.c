/* lv-calls.c: the calls to libvirt; see libvirt-rpc.h. Their arguments and replies are those of src/remote/remote_protocol.x. */
#include "lv-private.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Flags, by the names that libvirt's headers have. */
enum { XML_SECURE = 1 << 0, XML_INACTIVE = 1 << 1, XML_MIGRATABLE = 1 << 3 };
enum { UNDEFINE_SNAPSHOTS_METADATA = 1 << 1, UNDEFINE_KEEP_NVRAM = 1 << 3, UNDEFINE_KEEP_TPM = 1 << 6 };
enum { SNAPSHOT_CREATE_REDEFINE = 1 << 0, SNAPSHOT_CREATE_CURRENT = 1 << 1 };
enum { SNAPSHOT_LIST_TOPOLOGICAL = 1 << 10 };
enum { OPERATION_FAILED = 9 }; /* VIR_ERR_OPERATION_FAILED */

#define DOMAIN_BYTES  (4 + LV_UUID_LEN + 4) /* minimum size of a guest in a list */
#define NETWORK_BYTES (4 + LV_UUID_LEN)

/* A network and a pool look alike. */
struct place {
	char *name;
	uint8_t uuid[LV_UUID_LEN];
};

struct volume {
	char *pool, *name, *key;
};

/* A snapshot, or a checkpoint, in a list. */
struct moment {
	char *name;
	struct lv_domain of;
};

/* ---- helpers for calls ---- */

void lv_domain_fini(struct lv_domain *d)
{
	free(d->name);
	*d = (struct lv_domain){.id = -1};
}

void lv_domains_free(struct lv_domain *d, size_t count)
{
	while (count)
		lv_domain_fini(&d[--count]);
	free(d);
}

void lv_strings_free(char **s, size_t count)
{
	while (count)
		free(s[--count]);
	free(s);
}

void lv_write_domain(struct lv_writer *w, const struct lv_domain *d)
{
	lv_write_string(w, d->name);
	lv_write_uuid(w, d->uuid);
	lv_write_u32(w, (uint32_t)d->id);
}

void lv_read_domain(struct lv_reader *r, struct lv_domain *d)
{
	d->name = lv_read_string(r);
	lv_read_uuid(r, d->uuid);
	d->id = lv_read_i32(r);
}

static void write_place(struct lv_writer *w, const struct place *p)
{
	lv_write_string(w, p->name);
	lv_write_uuid(w, p->uuid);
}

static void read_place(struct lv_reader *r, struct place *p)
{
	p->name = lv_read_string(r);
	lv_read_uuid(r, p->uuid);
}

static void volume_fini(struct volume *v)
{
	FREE_ALL(v->pool, v->name, v->key);
}

static void write_volume(struct lv_writer *w, const struct volume *v)
{
	lv_write_string(w, v->pool);
	lv_write_string(w, v->name);
	lv_write_string(w, v->key);
}

static void read_volume(struct lv_reader *r, struct volume *v)
{
	v->pool = lv_read_string(r);
	v->name = lv_read_string(r);
	v->key = lv_read_string(r);
}

static void moment_fini(struct moment *m)
{
	free(m->name);
	lv_domain_fini(&m->of);
}

static void write_moment(struct lv_writer *w, const struct moment *m)
{
	lv_write_string(w, m->name);
	lv_write_domain(w, &m->of);
}

static void read_moment(struct lv_reader *r, struct moment *m)
{
	m->name = lv_read_string(r);
	lv_read_domain(r, &m->of);
}

/* The call, whose reply is one text. */
static int call_string(struct lv *v, struct lv_ask *ask, char **out, struct err *e)
{
	struct lv_reader r;
	char *text;

	if (lv_call(v, ask, &r, e) < 0)
		return -e->code;
	text = lv_read_string(&r);
	if (lv_reply_end(v, ask, &r, e) < 0) {
		free(text);
		return -e->code;
	}
	*out = text;
	return 0;
}

/* The call, whose reply is one number. */
static int call_bool(struct lv *v, struct lv_ask *ask, bool *out, struct err *e)
{
	struct lv_reader r;
	int32_t n;

	if (lv_call(v, ask, &r, e) < 0)
		return -e->code;
	n = lv_read_i32(&r);
	if (lv_reply_end(v, ask, &r, e) < 0)
		return -e->code;
	*out = n;
	return 0;
}

/* The call, whose reply is one guest. */
static int call_domain(struct lv *v, struct lv_ask *ask, struct lv_domain *out, struct err *e)
{
	struct lv_domain d;
	struct lv_reader r;

	if (lv_call(v, ask, &r, e) < 0)
		return -e->code;
	lv_read_domain(&r, &d);
	if (lv_reply_end(v, ask, &r, e) < 0) {
		lv_domain_fini(&d);
		return -e->code;
	}
	*out = d;
	return 0;
}

static int call_place(struct lv *v, struct lv_ask *ask, struct place *out, struct err *e)
{
	struct lv_reader r;

	if (lv_call(v, ask, &r, e) < 0)
		return -e->code;
	read_place(&r, out);
	if (lv_reply_end(v, ask, &r, e) < 0) {
		free(out->name);
		return -e->code;
	}
	return 0;
}

static int call_volume(struct lv *v, struct lv_ask *ask, struct volume *out, struct err *e)
{
	struct lv_reader r;

	if (lv_call(v, ask, &r, e) < 0)
		return -e->code;
	read_volume(&r, out);
	if (lv_reply_end(v, ask, &r, e) < 0) {
		volume_fini(out);
		return -e->code;
	}
	return 0;
}

struct lv_ask lv_ask_of(const struct lv_domain *d, int32_t procedure, const char *what)
{
	struct lv_ask ask = {procedure, .what = what, .object = d->name};

	lv_write_domain(&ask.args, d);
	return ask;
}

static struct lv_ask about_flags(const struct lv_domain *d, enum lv_procedure procedure, const char *what, uint32_t flags)
{
	struct lv_ask ask = lv_ask_of(d, procedure, what);

	lv_write_u32(&ask.args, flags);
	return ask;
}

/* ---- guests ---- */

int lv_domains(struct lv *v, struct lv_domain **out, size_t *count, struct err *e)
{
	struct lv_ask ask = {LV_LIST_ALL_DOMAINS, .what = "list its guests"};
	struct lv_domain *all;
	struct lv_reader r;
	size_t i, n;

	lv_write_u32(&ask.args, 1); /* them, not only how many */
	lv_write_u32(&ask.args, 0); /* flags: of any kind */
	if (lv_call(v, &ask, &r, e) < 0)
		return -e->code;
	n = lv_read_count(&r, LV_LIST_MAX, DOMAIN_BYTES);
	all = xcalloc(MAX(n, (size_t)1), sizeof(*all));
	for (i = 0; i < n; i++)
		lv_read_domain(&r, &all[i]);
	lv_read_u32(&r); /* the count, once more */
	if (lv_reply_end(v, &ask, &r, e) < 0) {
		lv_domains_free(all, n);
		return -e->code;
	}
	*out = all;
	*count = n;
	return 0;
}

int lv_lookup(struct lv *v, const char *name, struct lv_domain *out, struct err *e)
{
	struct lv_ask ask = {LV_DOMAIN_LOOKUP_NAME, .what = "find guest", .object = name};

	lv_write_string(&ask.args, name);
	return call_domain(v, &ask, out, e);
}

int lv_lookup_uuid(struct lv *v, const uint8_t uuid[LV_UUID_LEN], struct lv_domain *out, struct err *e)
{
	struct lv_ask ask = {LV_DOMAIN_LOOKUP_UUID, .what = "find the guest by its UUID"};

	lv_write_uuid(&ask.args, uuid);
	return call_domain(v, &ask, out, e);
}

int lv_lookup_text(struct lv *v, const char *uuid, struct lv_domain *out, struct err *e)
{
	uint8_t binary[LV_UUID_LEN];

	return lv_uuid_parse(uuid, binary) ? lv_lookup_uuid(v, binary, out, e)
					   : err_set(e, EINVAL, "'%.60s' is no UUID of a guest of libvirt's", uuid);
}

int lv_xml(struct lv *v, const struct lv_domain *d, bool inactive, char **xml, struct err *e)
{
	struct lv_ask ask = about_flags(d, LV_DOMAIN_GET_XML, "describe guest", XML_SECURE | (inactive ? XML_INACTIVE : 0));

	return call_string(v, &ask, xml, e);
}

int lv_xml_for_older(struct lv *v, const struct lv_domain *d, char **xml, struct err *e)
{
	struct lv_ask ask = about_flags(d, LV_DOMAIN_GET_XML, "describe guest", XML_SECURE | XML_INACTIVE | XML_MIGRATABLE);

	return call_string(v, &ask, xml, e);
}

int lv_state_of(struct lv *v, const struct lv_domain *d, enum lv_state *state, int *reason, struct err *e)
{
	struct lv_ask ask = about_flags(d, LV_DOMAIN_GET_STATE, "tell the state of guest", 0);
	struct lv_reader r;
	uint32_t is;
	int why;

	if (lv_call(v, &ask, &r, e) < 0)
		return -e->code;
	is = lv_read_u32(&r);
	why = lv_read_i32(&r);
	if (lv_reply_end(v, &ask, &r, e) < 0)
		return -e->code;
	*state = is > LV_PMSUSPENDED ? LV_NOSTATE : (enum lv_state)is;
	if (reason)
		*reason = why;
	return 0;
}

int lv_is_persistent(struct lv *v, const struct lv_domain *d, bool *yes, struct err *e)
{
	struct lv_ask ask = lv_ask_of(d, LV_DOMAIN_IS_PERSISTENT, "tell whether it keeps the definition of guest");

	return call_bool(v, &ask, yes, e);
}

int lv_autostart(struct lv *v, const struct lv_domain *d, bool *yes, struct err *e)
{
	struct lv_ask ask = lv_ask_of(d, LV_DOMAIN_GET_AUTOSTART, "read autostart of guest");

	return call_bool(v, &ask, yes, e);
}

int lv_set_autostart(struct lv *v, const struct lv_domain *d, bool yes, struct err *e)
{
	struct lv_ask ask = about_flags(d, LV_DOMAIN_SET_AUTOSTART, yes ? "set autostart of guest" : "clear autostart of guest", yes);

	return lv_call(v, &ask, NULL, e);
}

int lv_autostart_once(struct lv *v, const struct lv_domain *d, bool *yes, struct err *e)
{
	struct lv_ask ask = lv_ask_of(d, LV_DOMAIN_GET_AUTOSTART_ONCE, "read autostart --once of guest");

	*yes = false;
	return lv_version(v) < LV_HAS_ONCE ? 0 : call_bool(v, &ask, yes, e);
}

int lv_set_autostart_once(struct lv *v, const struct lv_domain *d, struct err *e)
{
	struct lv_ask ask = about_flags(d, LV_DOMAIN_SET_AUTOSTART_ONCE, "set autostart --once of guest", true);

	if (lv_version(v) < LV_HAS_ONCE)
		return err_set(e, ENOTSUP, "this libvirt is older than 11.2, and has no autostart for one boot alone");
	return lv_call(v, &ask, NULL, e);
}

int lv_has_managed_save(struct lv *v, const struct lv_domain *d, bool *yes, struct err *e)
{
	struct lv_ask ask = about_flags(d, LV_HAS_MANAGED_SAVE, "look for a managed save of guest", 0);

	return call_bool(v, &ask, yes, e);
}

/* libvirt has no error number of its own for a name or UUID that is taken: this call reports "operation failed" for it, and for nothing
 * else. */
int lv_define(struct lv *v, const char *xml, struct lv_domain *out, struct err *e)
{
	struct lv_ask ask = {LV_DOMAIN_DEFINE_XML_FLAGS, .what = "define the guest"};
	int r;

	lv_write_string(&ask.args, xml);
	lv_write_u32(&ask.args, 0);
	r = call_domain(v, &ask, out, e);
	if (r == -EREMOTEIO && lv_error_code(v) == OPERATION_FAILED)
		e->code = EEXIST;
	return r < 0 ? -e->code : 0;
}

int lv_undefine(struct lv *v, const struct lv_domain *d, struct err *e)
{
	struct lv_ask ask = about_flags(d, LV_DOMAIN_UNDEFINE_FLAGS, "undefine guest",
					UNDEFINE_SNAPSHOTS_METADATA | UNDEFINE_KEEP_NVRAM | UNDEFINE_KEEP_TPM);

	return lv_call(v, &ask, NULL, e);
}

int lv_create(struct lv *v, const struct lv_domain *d, struct err *e)
{
	struct lv_ask ask = lv_ask_of(d, LV_DOMAIN_CREATE, "start guest");

	return lv_call(v, &ask, NULL, e);
}

int lv_shutdown(struct lv *v, const struct lv_domain *d, struct err *e)
{
	struct lv_ask ask = lv_ask_of(d, LV_DOMAIN_SHUTDOWN, "shut down guest");

	return lv_call(v, &ask, NULL, e);
}

/* ---- snapshots and checkpoints ---- */

static void moments_free(struct moment *m, size_t count)
{
	while (count)
		moment_fini(&m[--count]);
	free(m);
}

static int list_snapshots(struct lv *v, const struct lv_domain *d, struct moment **out, size_t *count, struct err *e)
{
	struct lv_ask ask = lv_ask_of(d, LV_LIST_ALL_SNAPSHOTS, "list the snapshots of guest");
	struct moment *all;
	struct lv_reader r;
	size_t i, n;

	lv_write_u32(&ask.args, 1); /* them, not only how many */
	lv_write_u32(&ask.args, SNAPSHOT_LIST_TOPOLOGICAL);
	if (lv_call(v, &ask, &r, e) < 0)
		return -e->code;
	n = lv_read_count(&r, LV_LIST_MAX, 4 + DOMAIN_BYTES);
	all = xcalloc(MAX(n, (size_t)1), sizeof(*all));
	for (i = 0; i < n; i++)
		read_moment(&r, &all[i]);
	lv_read_u32(&r);
	if (lv_reply_end(v, &ask, &r, e) < 0) {
		moments_free(all, n);
		return -e->code;
	}
	*out = all;
	*count = n;
	return 0;
}

static int current_snapshot(struct lv *v, const struct lv_domain *d, char **name, struct err *e)
{
	struct lv_ask ask = about_flags(d, LV_SNAPSHOT_CURRENT, "tell which snapshot is the current one of guest", 0);
	struct moment m = {0};
	struct lv_reader r;

	if (lv_call(v, &ask, &r, e) < 0)
		return -e->code;
	read_moment(&r, &m);
	if (lv_reply_end(v, &ask, &r, e) < 0) {
		moment_fini(&m);
		return -e->code;
	}
	*name = m.name;
	lv_domain_fini(&m.of);
	return 0;
}

/* The name of the current snapshot; *name NULL: there is none. */
static int current_snapshot_if_any(struct lv *v, const struct lv_domain *d, char **name, struct err *e)
{
	struct lv_ask ask = about_flags(d, LV_HAS_CURRENT_SNAPSHOT, "tell whether a snapshot is the current one of guest", 0);
	bool is_there = false;
	int r = call_bool(v, &ask, &is_there, e);

	*name = NULL;
	return r < 0 || !is_there ? r : current_snapshot(v, d, name, e);
}

static int describe_snapshots(struct lv *v, const struct moment *m, char **xmls, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		struct lv_ask ask = {LV_SNAPSHOT_GET_XML, .what = "describe snapshot", .object = m[i].name};

		write_moment(&ask.args, &m[i]);
		lv_write_u32(&ask.args, XML_SECURE);
		if (call_string(v, &ask, &xmls[i], e) < 0)
			return -e->code;
	}
	return 0;
}

int lv_snapshots(struct lv *v, const struct lv_domain *d, char ***xmls, size_t *count, char **current, struct err *e)
{
	struct moment *all = NULL;
	char **texts, *now = NULL;
	size_t n = 0;
	int r;

	if (list_snapshots(v, d, &all, &n, e) < 0)
		return -e->code;
	texts = xcalloc(n + 1, sizeof(*texts));
	r = current_snapshot_if_any(v, d, &now, e) ?: describe_snapshots(v, all, texts, n, e);
	moments_free(all, n);
	if (r < 0) {
		lv_strings_free(texts, n);
		free(now);
		return r;
	}
	*xmls = texts;
	*count = n;
	*current = now;
	return 0;
}

int lv_snapshot_redefine(struct lv *v, const struct lv_domain *d, const char *xml, bool current, struct err *e)
{
	struct lv_ask ask = lv_ask_of(d, LV_SNAPSHOT_CREATE_XML, "note a snapshot of guest");
	struct moment m;
	struct lv_reader r;
	int ret;

	lv_write_string(&ask.args, xml);
	lv_write_u32(&ask.args, SNAPSHOT_CREATE_REDEFINE | (current ? SNAPSHOT_CREATE_CURRENT : 0));
	if (lv_call(v, &ask, &r, e) < 0)
		return -e->code;
	read_moment(&r, &m);
	ret = lv_reply_end(v, &ask, &r, e);
	moment_fini(&m);
	return ret;
}

int lv_checkpoint_count(struct lv *v, const struct lv_domain *d, unsigned *n, struct err *e)
{
	struct lv_ask ask = lv_ask_of(d, LV_LIST_ALL_CHECKPOINTS, "count the checkpoints of guest");
	struct lv_reader r;
	uint32_t count;

	lv_write_u32(&ask.args, 0); /* asks for the count, not for the list */
	lv_write_u32(&ask.args, 0); /* flags: all */
	if (lv_call(v, &ask, &r, e) < 0)
		return -e->code;
	lv_read_count(&r, 0, 1);
	count = lv_read_u32(&r);
	if (lv_reply_end(v, &ask, &r, e) < 0)
		return -e->code;
	*n = count;
	return 0;
}

/* ---- networks, pools, secrets ---- */

/* Finds the network or pool of that name; the caller frees *p. */
static int find_place(struct lv *v, enum lv_procedure procedure, const char *what, const char *name, struct place *p, struct err *e)
{
	struct lv_ask ask = {procedure, .what = what, .object = name};

	lv_write_string(&ask.args, name);
	return call_place(v, &ask, p, e);
}

static int place_is_active(struct lv *v, enum lv_procedure procedure, const struct place *p, bool *active, struct err *e)
{
	struct lv_ask ask = {procedure, .what = "tell whether it is active:", .object = p->name};

	write_place(&ask.args, p);
	return call_bool(v, &ask, active, e);
}

int lv_network(struct lv *v, const char *name, bool *active, struct err *e)
{
	struct place p;
	int r;

	if (find_place(v, LV_NETWORK_LOOKUP_NAME, "find network", name, &p, e) < 0)
		return -e->code;
	r = place_is_active(v, LV_NETWORK_IS_ACTIVE, &p, active, e);
	free(p.name);
	return r;
}

int lv_networks(struct lv *v, char ***names, size_t *count, struct err *e)
{
	struct lv_ask ask = {LV_LIST_ALL_NETWORKS, .what = "list its networks"};
	struct lv_reader r;
	size_t i, n;
	char **all;

	lv_write_u32(&ask.args, 1); /* them, not only how many */
	lv_write_u32(&ask.args, 0); /* flags: of any kind */
	if (lv_call(v, &ask, &r, e) < 0)
		return -e->code;
	n = lv_read_count(&r, LV_LIST_MAX, NETWORK_BYTES);
	all = xcalloc(n + 1, sizeof(*all));
	for (i = 0; i < n; i++) {
		struct place p;

		read_place(&r, &p);
		all[i] = p.name;
	}
	lv_read_u32(&r);
	if (lv_reply_end(v, &ask, &r, e) < 0) {
		lv_strings_free(all, n);
		return -e->code;
	}
	*names = all;
	*count = n;
	return 0;
}

static int find_pool(struct lv *v, const char *name, struct place *p, struct err *e)
{
	return find_place(v, LV_POOL_LOOKUP_NAME, "find storage pool", name, p, e);
}

static int pool_xml(struct lv *v, const struct place *p, char **xml, struct err *e)
{
	struct lv_ask ask = {LV_POOL_GET_XML, .what = "describe storage pool", .object = p->name};

	write_place(&ask.args, p);
	lv_write_u32(&ask.args, 0);
	return call_string(v, &ask, xml, e);
}

int lv_pool(struct lv *v, const char *name, bool *active, char **xml, struct err *e)
{
	bool is_active = false;
	struct place p;
	int r;

	if (find_pool(v, name, &p, e) < 0)
		return -e->code;
	r = place_is_active(v, LV_POOL_IS_ACTIVE, &p, &is_active, e);
	if (!r && xml)
		r = pool_xml(v, &p, xml, e);
	if (!r && active)
		*active = is_active;
	free(p.name);
	return r;
}

int lv_pool_at(struct lv *v, const char *dir, char **pool, struct err *e)
{
	struct place p;
	int r = find_place(v, LV_POOL_LOOKUP_TARGET_PATH, "find the storage pool at", dir, &p, e);

	if (!r)
		*pool = p.name;
	return r;
}

int lv_pool_refresh(struct lv *v, const char *name, struct err *e)
{
	struct lv_ask ask = {LV_POOL_REFRESH, .what = "refresh storage pool", .object = name};
	struct place p;

	if (find_pool(v, name, &p, e) < 0)
		return -e->code;
	write_place(&ask.args, &p);
	lv_write_u32(&ask.args, 0);
	free(p.name);
	return lv_call(v, &ask, NULL, e);
}

static int find_volume(struct lv *v, const struct place *pool, const char *name, struct volume *out, struct err *e)
{
	struct lv_ask ask = {LV_VOLUME_LOOKUP_NAME, .what = "find volume", .object = name};

	write_place(&ask.args, pool);
	lv_write_string(&ask.args, name);
	return call_volume(v, &ask, out, e);
}

int lv_volume_path(struct lv *v, const char *pool, const char *volume, char **path, struct err *e)
{
	struct lv_ask ask = {LV_VOLUME_GET_PATH, .what = "tell the path of volume", .object = volume};
	struct volume vol = {.name = NULL};
	struct place p;
	int r;

	if (find_pool(v, pool, &p, e) < 0)
		return -e->code;
	r = find_volume(v, &p, volume, &vol, e);
	free(p.name);
	if (r < 0)
		return r;
	write_volume(&ask.args, &vol);
	volume_fini(&vol);
	return call_string(v, &ask, path, e);
}

int lv_secret_is_there(struct lv *v, const uint8_t uuid[LV_UUID_LEN], struct err *e)
{
	struct lv_ask ask = {LV_SECRET_LOOKUP_UUID, .what = "find the secret"};
	uint8_t same[LV_UUID_LEN];
	struct lv_reader r;

	lv_write_uuid(&ask.args, uuid);
	if (lv_call(v, &ask, &r, e) < 0)
		return -e->code;
	lv_read_uuid(&r, same);
	lv_read_i32(&r); /* the secret's user, and the user's name for it */
	free(lv_read_string(&r));
	return lv_reply_end(v, &ask, &r, e);
}
