/*
 * played-libvirtd.h: a libvirtd that answers each procedure with a good reply, for tests of the RPC client, or is told where to err.
 * Its guest is called "web".
 */
#ifndef VMFERRY_PLAYED_LIBVIRTD_H
#define VMFERRY_PLAYED_LIBVIRTD_H

#include "be.h"
#include "lv-private.h"
#include "util.h"

#include <string.h>

static const uint8_t played_uuid[LV_UUID_LEN] = {0xde, 0xad, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
#define PLAYED_VERSION 9000000U
#define PLAYED_QEMU    0x10000 /* added to the number of a procedure of QEMU's program */

static inline uint32_t played_program(int32_t procedure)
{
	return procedure >= PLAYED_QEMU ? LV_QEMU_PROGRAM : LV_PROGRAM;
}

static inline int32_t played_number(int32_t procedure)
{
	return procedure % PLAYED_QEMU;
}

static inline void played_domain(struct lv_writer *w)
{
	lv_write_string(w, "web");
	lv_write_uuid(w, played_uuid);
	lv_write_u32(w, (uint32_t)-1);
}

static inline void played_place(struct lv_writer *w, const char *name)
{
	lv_write_string(w, name);
	lv_write_uuid(w, played_uuid);
}

static inline void played_snapshot(struct lv_writer *w, const char *name)
{
	lv_write_string(w, name);
	played_domain(w);
}

static inline void played_volume(struct lv_writer *w)
{
	lv_write_string(w, "default");
	lv_write_string(w, "web.qcow2");
	lv_write_string(w, "/images/web.qcow2");
}

/* The body of a good reply. */
static inline void played_reply(struct lv_writer *w, int32_t procedure)
{
	switch (procedure) {
	case LV_AUTH_LIST:
		lv_write_u32(w, 1);
		lv_write_u32(w, 0);
		break;
	case LV_GET_LIB_VERSION:
		lv_write_u64(w, PLAYED_VERSION);
		break;
	case LV_LIST_ALL_DOMAINS:
		lv_write_u32(w, 2);
		played_domain(w);
		played_domain(w);
		lv_write_u32(w, 2);
		break;
	case LV_DOMAIN_LOOKUP_NAME:
	case LV_DOMAIN_LOOKUP_UUID:
	case LV_DOMAIN_DEFINE_XML_FLAGS:
		played_domain(w);
		break;
	case LV_DOMAIN_GET_XML:
	case LV_SNAPSHOT_GET_XML:
	case LV_POOL_GET_XML:
		lv_write_string(w, "<xml/>");
		break;
	case LV_VOLUME_GET_PATH:
		lv_write_string(w, "/images/web.qcow2");
		break;
	case LV_DOMAIN_GET_STATE:
		lv_write_u32(w, LV_PAUSED);
		lv_write_u32(w, 1);
		break;
	case LV_DOMAIN_IS_PERSISTENT:
	case LV_DOMAIN_GET_AUTOSTART:
	case LV_HAS_MANAGED_SAVE:
	case LV_HAS_CURRENT_SNAPSHOT:
	case LV_NETWORK_IS_ACTIVE:
	case LV_POOL_IS_ACTIVE:
	case LV_AUTH_POLKIT:
		lv_write_u32(w, 1);
		break;
	case LV_LIST_ALL_SNAPSHOTS:
		lv_write_u32(w, 2);
		played_snapshot(w, "first");
		played_snapshot(w, "second");
		lv_write_u32(w, 2);
		break;
	case LV_SNAPSHOT_CURRENT:
	case LV_SNAPSHOT_CREATE_XML:
		played_snapshot(w, "second");
		break;
	case LV_LIST_ALL_CHECKPOINTS:
		lv_write_u32(w, 0);
		lv_write_u32(w, 3);
		break;
	case LV_NETWORK_LOOKUP_NAME:
	case LV_POOL_LOOKUP_NAME:
	case LV_POOL_LOOKUP_TARGET_PATH:
		played_place(w, "default");
		break;
	case LV_LIST_ALL_NETWORKS:
		lv_write_u32(w, 2);
		played_place(w, "default");
		played_place(w, "dmz");
		lv_write_u32(w, 2);
		break;
	case LV_VOLUME_LOOKUP_NAME:
		played_volume(w);
		break;
	case LV_SECRET_LOOKUP_UUID:
		lv_write_uuid(w, played_uuid);
		lv_write_u32(w, 1);
		lv_write_string(w, "/images/web.qcow2");
		break;
	case LV_DOMAIN_BEGIN3:
		lv_write_opaque(w, "<cookie/>", 10);
		lv_write_string(w, "<domain/>");
		break;
	case LV_DOMAIN_PREPARE3:
		lv_write_opaque(w, "", 0);
		lv_write_optional(w, "unix:///run/ram");
		break;
	case LV_DOMAIN_FINISH3:
		played_domain(w);
		lv_write_opaque(w, "<cookie/>", 10);
		break;
	case PLAYED_QEMU + LV_MONITOR_EVENT_REGISTER:
		lv_write_u32(w, 7);
		break;
	default: /* an empty reply */
		break;
	}
}

/* A message whose head says length; its body follows. */
static inline void played_head(uint8_t at[LV_HEAD_BYTES], uint32_t length, uint32_t program, int32_t procedure, uint32_t type,
			       uint32_t serial, uint32_t status)
{
	put32(put32(put32(at, length), program), LV_VERSION_ONE);
	put32(put32(put32(put32(at + 12, (uint32_t)procedure), type), serial), status);
}

/* ---- every call, once ---- */

static inline int call_domains(struct lv *v, const struct lv_domain *d, struct err *e)
{
	struct lv_domain *all;
	size_t n;
	int r = lv_domains(v, &all, &n, e);

	(void)d;
	if (!r)
		lv_domains_free(all, n);
	return r;
}

static inline int drop_domain(int r, struct lv_domain *d)
{
	if (!r)
		lv_domain_fini(d);
	return r;
}

static inline int drop_string(int r, char **s)
{
	if (!r)
		free(*s);
	return r;
}

static inline int call_lookup(struct lv *v, const struct lv_domain *d, struct err *e)
{
	struct lv_domain out;

	return drop_domain(lv_lookup(v, d->name, &out, e), &out);
}

static inline int call_lookup_uuid(struct lv *v, const struct lv_domain *d, struct err *e)
{
	struct lv_domain out;

	return drop_domain(lv_lookup_uuid(v, d->uuid, &out, e), &out);
}

static inline int call_xml(struct lv *v, const struct lv_domain *d, struct err *e)
{
	char *xml = NULL;

	return drop_string(lv_xml(v, d, true, &xml, e), &xml);
}

static inline int call_state_of(struct lv *v, const struct lv_domain *d, struct err *e)
{
	enum lv_state state;

	return lv_state_of(v, d, &state, NULL, e);
}

static inline int call_is_persistent(struct lv *v, const struct lv_domain *d, struct err *e)
{
	bool yes;

	return lv_is_persistent(v, d, &yes, e);
}

static inline int call_autostart(struct lv *v, const struct lv_domain *d, struct err *e)
{
	bool yes;

	return lv_autostart(v, d, &yes, e);
}

static inline int call_set_autostart(struct lv *v, const struct lv_domain *d, struct err *e)
{
	return lv_set_autostart(v, d, true, e);
}

static inline int call_has_managed_save(struct lv *v, const struct lv_domain *d, struct err *e)
{
	bool yes;

	return lv_has_managed_save(v, d, &yes, e);
}

static inline int call_define(struct lv *v, const struct lv_domain *d, struct err *e)
{
	struct lv_domain out;

	(void)d;
	return drop_domain(lv_define(v, "<domain/>", &out, e), &out);
}

static inline int call_snapshots(struct lv *v, const struct lv_domain *d, struct err *e)
{
	char **xmls, *current;
	size_t n;
	int r = lv_snapshots(v, d, &xmls, &n, &current, e);

	if (!r) {
		lv_strings_free(xmls, n);
		free(current);
	}
	return r;
}

static inline int call_snapshot_redefine(struct lv *v, const struct lv_domain *d, struct err *e)
{
	return lv_snapshot_redefine(v, d, "<domainsnapshot/>", true, e);
}

static inline int call_checkpoint_count(struct lv *v, const struct lv_domain *d, struct err *e)
{
	unsigned n;

	return lv_checkpoint_count(v, d, &n, e);
}

static inline int call_network(struct lv *v, const struct lv_domain *d, struct err *e)
{
	bool active;

	(void)d;
	return lv_network(v, "default", &active, e);
}

static inline int call_networks(struct lv *v, const struct lv_domain *d, struct err *e)
{
	char **names;
	size_t n;
	int r = lv_networks(v, &names, &n, e);

	(void)d;
	if (!r)
		lv_strings_free(names, n);
	return r;
}

static inline int call_pool(struct lv *v, const struct lv_domain *d, struct err *e)
{
	char *xml = NULL;

	(void)d;
	return drop_string(lv_pool(v, "default", NULL, &xml, e), &xml);
}

static inline int call_pool_at(struct lv *v, const struct lv_domain *d, struct err *e)
{
	char *pool = NULL;

	(void)d;
	return drop_string(lv_pool_at(v, "/images", &pool, e), &pool);
}

static inline int call_pool_refresh(struct lv *v, const struct lv_domain *d, struct err *e)
{
	(void)d;
	return lv_pool_refresh(v, "default", e);
}

static inline int call_volume_path(struct lv *v, const struct lv_domain *d, struct err *e)
{
	char *path = NULL;

	(void)d;
	return drop_string(lv_volume_path(v, "default", "web.qcow2", &path, e), &path);
}

static inline int call_secret_is_there(struct lv *v, const struct lv_domain *d, struct err *e)
{
	return lv_secret_is_there(v, d->uuid, e);
}

static const struct lv_params played_params = {.migrate_uri = "unix:///run/ram", .parallel_connections = 2};

static inline int call_begin(struct lv *v, const struct lv_domain *d, struct err *e)
{
	struct lv_cookie cookie = {0};
	char *xml = NULL;
	int r = lv_begin(v, d, &played_params, LV_MIGRATE_LIVE, &cookie, &xml, e);

	lv_cookie_fini(&cookie);
	free(xml);
	return r;
}

static inline int call_prepare(struct lv *v, const struct lv_domain *d, struct err *e)
{
	const struct lv_cookie cookie = {(uint8_t *)(uintptr_t) "<cookie/>", 10};

	(void)d;
	return lv_prepare(v, &played_params, &cookie, LV_MIGRATE_LIVE, e);
}

static inline int call_finish(struct lv *v, const struct lv_domain *d, struct err *e)
{
	struct lv_domain out;

	(void)d;
	return drop_domain(lv_finish(v, &played_params, "<cookie/>", LV_MIGRATE_PAUSED, false, &out, e), &out);
}

static inline int call_finish_cancelled(struct lv *v, const struct lv_domain *d, struct err *e)
{
	(void)d;
	return lv_finish(v, &played_params, NULL, 0, true, NULL, e);
}

static inline int call_confirm(struct lv *v, const struct lv_domain *d, struct err *e)
{
	return lv_confirm(v, d, LV_MIGRATE_LIVE, true, e);
}

/* With the procedures that each is made of. */
static const struct played_call {
	int (*call)(struct lv *v, const struct lv_domain *d, struct err *e);
	int32_t procedures[4];
} played_calls[] = {
	{call_domains, {LV_LIST_ALL_DOMAINS}},
	{call_lookup, {LV_DOMAIN_LOOKUP_NAME}},
	{call_lookup_uuid, {LV_DOMAIN_LOOKUP_UUID}},
	{call_xml, {LV_DOMAIN_GET_XML}},
	{call_state_of, {LV_DOMAIN_GET_STATE}},
	{call_is_persistent, {LV_DOMAIN_IS_PERSISTENT}},
	{call_autostart, {LV_DOMAIN_GET_AUTOSTART}},
	{call_set_autostart, {LV_DOMAIN_SET_AUTOSTART}},
	{call_has_managed_save, {LV_HAS_MANAGED_SAVE}},
	{call_define, {LV_DOMAIN_DEFINE_XML_FLAGS}},
	{lv_undefine, {LV_DOMAIN_UNDEFINE_FLAGS}},
	{lv_create, {LV_DOMAIN_CREATE}},
	{call_snapshots, {LV_LIST_ALL_SNAPSHOTS, LV_HAS_CURRENT_SNAPSHOT, LV_SNAPSHOT_CURRENT, LV_SNAPSHOT_GET_XML}},
	{call_snapshot_redefine, {LV_SNAPSHOT_CREATE_XML}},
	{call_checkpoint_count, {LV_LIST_ALL_CHECKPOINTS}},
	{call_network, {LV_NETWORK_LOOKUP_NAME, LV_NETWORK_IS_ACTIVE}},
	{call_networks, {LV_LIST_ALL_NETWORKS}},
	{call_pool, {LV_POOL_LOOKUP_NAME, LV_POOL_IS_ACTIVE, LV_POOL_GET_XML}},
	{call_pool_refresh, {LV_POOL_LOOKUP_NAME, LV_POOL_REFRESH}},
	{call_volume_path, {LV_POOL_LOOKUP_NAME, LV_VOLUME_LOOKUP_NAME, LV_VOLUME_GET_PATH}},
	{call_secret_is_there, {LV_SECRET_LOOKUP_UUID}},
	{call_begin, {LV_DOMAIN_BEGIN3}},
	{call_prepare, {LV_DOMAIN_PREPARE3}},
	{call_finish, {LV_DOMAIN_FINISH3}},
	{call_finish_cancelled, {LV_DOMAIN_FINISH3}},
	{call_confirm, {LV_DOMAIN_CONFIRM3}},
	{lv_shutdown, {LV_DOMAIN_SHUTDOWN}},
	{call_pool_at, {LV_POOL_LOOKUP_TARGET_PATH}},
	{lv_resume, {LV_DOMAIN_RESUME}},
	{lv_watch, {PLAYED_QEMU + LV_MONITOR_EVENT_REGISTER}},
};

#endif
