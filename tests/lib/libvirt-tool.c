/*
 * libvirt-tool.c: asks the libvirt of this user by the agents' own client (common/libvirt), for tests to compare with virsh.
 *
 *   libvirt-tool COMMAND [ARGUMENT...]
 *
 * It prints what it is told, a line each, and ends with 0; or with 1 and the error: the errno's number, a space, the words. Commands: see
 * `commands` below. XML of arguments is in a file.
 */
#include "hex.h"
#include "libvirt-rpc.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT_MS 30000

static struct err err;

static bool ok(int r)
{
	return r >= 0;
}

static void print_domain(const struct lv_domain *d)
{
	char hex[2 * LV_UUID_LEN + 1];

	printf("%d %s %s\n", d->id, hex_format(d->uuid, LV_UUID_LEN, hex), d->name);
}

static int print_text(int r, char **text)
{
	if (ok(r)) {
		puts(*text);
		free(*text);
	}
	return r;
}

static int print_yes(int r, const bool *yes)
{
	if (ok(r))
		puts(*yes ? "yes" : "no");
	return r;
}

static int read_file(const char *path, char **text)
{
	FILE *f = fopen(path, "re");
	size_t n = 0;

	*text = xcalloc(1, MIB + 1);
	if (!f)
		return err_sys(&err, ENOENT, "%s", path);
	n = fread(*text, 1, MIB, f);
	fclose(f);
	return n ? 0 : err_set(&err, EINVAL, "%s is empty", path);
}

static int do_version(struct lv *v, char **a)
{
	(void)a;
	printf("%lu %s\n", lv_version(v), lv_is_user(v) ? "session" : "system");
	return 0;
}

static int do_domains(struct lv *v, char **a)
{
	struct lv_domain *all;
	size_t i, n;
	int r = lv_domains(v, &all, &n, &err);

	(void)a;
	if (!ok(r))
		return r;
	for (i = 0; i < n; i++)
		print_domain(&all[i]);
	lv_domains_free(all, n);
	return 0;
}

static int do_define(struct lv *v, char **a)
{
	struct lv_domain d;
	AUTO_FREE char *xml = NULL;
	int r = read_file(a[0], &xml);

	if (ok(r))
		r = lv_define(v, xml, &d, &err);
	if (ok(r)) {
		print_domain(&d);
		lv_domain_fini(&d);
	}
	return r;
}

static int do_lookup(struct lv *v, const struct lv_domain *d, char **a)
{
	struct lv_domain same;
	int r = lv_lookup_uuid(v, d->uuid, &same, &err);

	(void)a;
	if (ok(r)) {
		print_domain(&same);
		lv_domain_fini(&same);
	}
	return r;
}

static int do_xml(struct lv *v, const struct lv_domain *d, char **a)
{
	const char *which = a[0] ?: "";
	bool older = !strcmp(which, "for-older");
	char *xml;

	return print_text(older ? lv_xml_for_older(v, d, &xml, &err) : lv_xml(v, d, !strcmp(which, "inactive"), &xml, &err), &xml);
}

static int do_state(struct lv *v, const struct lv_domain *d, char **a)
{
	enum lv_state state;
	int reason, r = lv_state_of(v, d, &state, &reason, &err);

	(void)a;
	if (ok(r))
		printf("%d %d\n", (int)state, reason);
	return r;
}

static int do_persistent(struct lv *v, const struct lv_domain *d, char **a)
{
	bool yes;

	(void)a;
	return print_yes(lv_is_persistent(v, d, &yes, &err), &yes);
}

static int do_autostart(struct lv *v, const struct lv_domain *d, char **a)
{
	bool yes;

	if (a[0])
		return lv_set_autostart(v, d, !strcmp(a[0], "on"), &err);
	return print_yes(lv_autostart(v, d, &yes, &err), &yes);
}

static int do_autostart_once(struct lv *v, const struct lv_domain *d, char **a)
{
	bool yes;

	return a[0] ? lv_set_autostart_once(v, d, &err) : print_yes(lv_autostart_once(v, d, &yes, &err), &yes);
}

static int do_saved(struct lv *v, const struct lv_domain *d, char **a)
{
	bool yes;

	(void)a;
	return print_yes(lv_has_managed_save(v, d, &yes, &err), &yes);
}

static int do_undefine(struct lv *v, const struct lv_domain *d, char **a)
{
	(void)a;
	return lv_undefine(v, d, &err);
}

static int do_create(struct lv *v, const struct lv_domain *d, char **a)
{
	(void)a;
	return lv_create(v, d, &err);
}

/* The current one's name comes first, behind it each one's XML. */
static int do_snapshots(struct lv *v, const struct lv_domain *d, char **a)
{
	char **xmls, *current;
	size_t i, n;
	int r = lv_snapshots(v, d, &xmls, &n, &current, &err);

	(void)a;
	if (!ok(r))
		return r;
	printf("current %s\n", current ? current : "");
	for (i = 0; i < n; i++)
		puts(xmls[i]);
	lv_strings_free(xmls, n);
	free(current);
	return 0;
}

static int do_redefine(struct lv *v, const struct lv_domain *d, char **a)
{
	AUTO_FREE char *xml = NULL;
	int r = a[0] ? read_file(a[0], &xml) : err_set(&err, EINVAL, "a file is missing");

	return ok(r) ? lv_snapshot_redefine(v, d, xml, a[1], &err) : r;
}

static int do_checkpoints(struct lv *v, const struct lv_domain *d, char **a)
{
	unsigned n;
	int r = lv_checkpoint_count(v, d, &n, &err);

	(void)a;
	if (ok(r))
		printf("%u\n", n);
	return r;
}

static int do_network(struct lv *v, char **a)
{
	bool yes;

	return print_yes(lv_network(v, a[0], &yes, &err), &yes);
}

static int do_networks(struct lv *v, char **a)
{
	char **names;
	size_t i, n;
	int r = lv_networks(v, &names, &n, &err);

	(void)a;
	for (i = 0; ok(r) && i < n; i++)
		puts(names[i]);
	if (ok(r))
		lv_strings_free(names, n);
	return r;
}

static int do_pool(struct lv *v, char **a)
{
	bool yes;
	char *xml;

	return print_text(print_yes(lv_pool(v, a[0], &yes, &xml, &err), &yes), &xml);
}

static int do_refresh(struct lv *v, char **a)
{
	return lv_pool_refresh(v, a[0], &err);
}

static int do_volume(struct lv *v, char **a)
{
	char *path;

	return print_text(lv_volume_path(v, a[0], a[1] ? a[1] : "", &path, &err), &path);
}

static int do_secret(struct lv *v, char **a)
{
	uint8_t uuid[LV_UUID_LEN];

	if (!hex_parse(a[0], uuid, LV_UUID_LEN))
		return err_set(&err, EINVAL, "a UUID is 32 hexadecimal digits");
	return lv_secret_is_there(v, uuid, &err);
}

static const struct command {
	const char *name;
	int (*of_host)(struct lv *v, char **a);
	int (*of_guest)(struct lv *v, const struct lv_domain *d, char **a); /* the first argument is its name */
	bool alone;							    /* the command needs no argument */
} commands[] = {
	{"version", do_version, NULL, true},
	{"domains", do_domains, NULL, true},
	{"define", do_define, NULL, false},		    /* FILE */
	{"lookup", NULL, do_lookup, false},		    /* NAME; by the UUID that it has */
	{"xml", NULL, do_xml, false},			    /* NAME [inactive|for-older] */
	{"state", NULL, do_state, false},		    /* NAME */
	{"persistent", NULL, do_persistent, false},	    /* NAME */
	{"autostart", NULL, do_autostart, false},	    /* NAME [on|off] */
	{"autostart-once", NULL, do_autostart_once, false}, /* NAME [on] */
	{"managed-save", NULL, do_saved, false},	    /* NAME */
	{"undefine", NULL, do_undefine, false},		    /* NAME */
	{"create", NULL, do_create, false},		    /* NAME */
	{"snapshots", NULL, do_snapshots, false},	    /* NAME */
	{"redefine", NULL, do_redefine, false},		    /* NAME FILE [current] */
	{"checkpoints", NULL, do_checkpoints, false},	    /* NAME */
	{"network", do_network, NULL, false},		    /* NAME */
	{"networks", do_networks, NULL, true},
	{"pool", do_pool, NULL, false},		   /* NAME */
	{"pool-refresh", do_refresh, NULL, false}, /* NAME */
	{"volume-path", do_volume, NULL, false},   /* POOL VOLUME */
	{"secret", do_secret, NULL, false},	   /* UUID */
};

static int run(struct lv *v, const struct command *c, char **a)
{
	struct lv_domain d;
	int r;

	if (!a[0] && !c->alone)
		return err_set(&err, EINVAL, "what %s is about is missing", c->name);
	if (c->of_host)
		return c->of_host(v, a);
	r = lv_lookup(v, a[0], &d, &err);
	if (!ok(r))
		return r;
	r = c->of_guest(v, &d, a + 1);
	lv_domain_fini(&d);
	return r;
}

int main(int argc, char **argv)
{
	const struct command *c;
	struct lv *v;
	int r;

	for (c = commands; argc > 1 && c < commands + ARRAY_LEN(commands); c++)
		if (!strcmp(c->name, argv[1]))
			break;
	if (argc < 2 || c == commands + ARRAY_LEN(commands)) {
		fputs("usage: libvirt-tool COMMAND [ARGUMENT...]\n", stderr);
		return 2;
	}
	r = lv_open(&v, TIMEOUT_MS, &err);
	if (ok(r)) {
		r = run(v, c, argv + 2);
		lv_close(v);
	}
	if (!ok(r))
		fprintf(stderr, "%d %s\n", err.code, err.msg);
	return ok(r) ? 0 : 1;
}
