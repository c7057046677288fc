/* lv-job.c: see libvirt-job.h. */
#include "lv-private.h"
#include "util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PARAM_INT = 1, PARAM_STRING = 7 }; /* virTypedParameterType */
enum { MIGRATE_FINISH_OK = 93 }; /* VIR_ERR_MIGRATE_FINISH_OK: the reply after a cancelled migration, as there is no guest to name */

void lv_cookie_fini(struct lv_cookie *c)
{
	free(c->data);
	*c = (struct lv_cookie){0};
}

/* ---- typed parameters ---- */

static void put_text(struct lv_writer *w, uint32_t *count, const char *name, const char *text)
{
	if (!text)
		return;
	++*count;
	lv_write_string(w, name);
	lv_write_u32(w, PARAM_STRING);
	lv_write_string(w, text);
}

static void put_int(struct lv_writer *w, uint32_t *count, const char *name, int32_t n)
{
	if (!n)
		return;
	++*count;
	lv_write_string(w, name);
	lv_write_u32(w, PARAM_INT);
	lv_write_u32(w, (uint32_t)n);
}

static void write_params(struct lv_writer *w, const struct lv_params *p)
{
	const char *const *disk;
	struct lv_writer all = {0};
	uint32_t count = 0;

	put_text(&all, &count, "migrate_uri", p->migrate_uri);
	put_text(&all, &count, "disks_uri", p->disks_uri);
	put_text(&all, &count, "destination_name", p->destination_name);
	put_text(&all, &count, "destination_xml", p->destination_xml);
	put_text(&all, &count, "persistent_xml", p->persistent_xml);
	for (disk = p->migrate_disks; disk && *disk; disk++)
		put_text(&all, &count, "migrate_disks", *disk);
	put_int(&all, &count, "parallel.connections", p->parallel_connections);
	lv_write_u32(w, count);
	lv_write_bytes(w, all.data, all.n);
	if (all.bad)
		w->bad = true;
	lv_writer_fini(&all);
}

/* ---- the steps ---- */

int lv_begin(struct lv *v, const struct lv_domain *d, const struct lv_params *p, uint32_t flags, struct lv_cookie *cookie, char **xml,
	     struct err *e)
{
	struct lv_ask ask = lv_ask_of(d, LV_DOMAIN_BEGIN3, "begin the migration of guest");
	const uint8_t *bytes;
	struct lv_reader r;
	char *text;
	size_t n;

	write_params(&ask.args, p);
	lv_write_u32(&ask.args, flags);
	if (lv_call(v, &ask, &r, e) < 0)
		return -e->code;
	bytes = lv_read_opaque(&r, &n);
	text = lv_read_string(&r);
	if (lv_reply_end(v, &ask, &r, e) < 0) {
		free(text);
		return -e->code;
	}
	*cookie = (struct lv_cookie){xmalloc(n + 1), n};
	memcpy(cookie->data, bytes, n);
	*xml = text;
	return 0;
}

int lv_prepare(struct lv *v, const struct lv_params *p, const struct lv_cookie *cookie, uint32_t flags, struct err *e)
{
	struct lv_ask ask = {LV_DOMAIN_PREPARE3, .what = "prepare for the guest"};
	struct lv_reader r;
	size_t n;

	write_params(&ask.args, p);
	lv_write_opaque(&ask.args, cookie->data, cookie->n);
	lv_write_u32(&ask.args, flags);
	if (lv_call(v, &ask, &r, e) < 0)
		return -e->code;
	lv_read_opaque(&r, &n); /* the cookie for Perform: the address of its NBD server, which we know */
	free(lv_read_optional(&r));
	return lv_reply_end(v, &ask, &r, e);
}

int lv_finish(struct lv *v, const struct lv_params *p, const char *cookie, uint32_t flags, bool cancelled, struct lv_domain *out,
	      struct err *e)
{
	struct lv_ask ask = {LV_DOMAIN_FINISH3, .what = cancelled ? "end what it prepared for guest" : "take over guest",
			     .object = p->destination_name};
	struct lv_domain d;
	struct lv_reader r;
	size_t n;

	write_params(&ask.args, p);
	lv_write_opaque(&ask.args, cookie, cookie ? strlen(cookie) + 1 : 0); /* including its NUL */
	lv_write_u32(&ask.args, flags);
	lv_write_u32(&ask.args, cancelled);
	if (lv_call(v, &ask, &r, e) < 0)
		return cancelled && e->code == EREMOTEIO && lv_error_code(v) == MIGRATE_FINISH_OK ? 0 : -e->code;
	lv_read_domain(&r, &d);
	lv_read_opaque(&r, &n);
	if (lv_reply_end(v, &ask, &r, e) < 0 || cancelled || !out) {
		lv_domain_fini(&d);
		return lv_reader_done(&r) ? 0 : -e->code;
	}
	*out = d;
	return 0;
}

int lv_confirm(struct lv *v, const struct lv_domain *d, uint32_t flags, bool cancelled, struct err *e)
{
	struct lv_ask ask = lv_ask_of(d, LV_DOMAIN_CONFIRM3, cancelled ? "end the migration of guest" : "let go of guest");

	write_params(&ask.args, &(struct lv_params){0});
	lv_write_opaque(&ask.args, NULL, 0);
	lv_write_u32(&ask.args, flags);
	lv_write_u32(&ask.args, cancelled);
	return lv_call(v, &ask, NULL, e);
}

int lv_resume(struct lv *v, const struct lv_domain *d, struct err *e)
{
	struct lv_ask ask = lv_ask_of(d, LV_DOMAIN_RESUME, "resume guest");

	return lv_call(v, &ask, NULL, e);
}
