/*
 * test-libvirt-xml.c: definitions of libvirt's guests, one test for each tests/data/libvirt/NAME.xml (a snapshot: NAME.snapshot.xml): what is read
 * of it, that it is the same when nothing is changed, and, element by element, how it differs when all is changed. NAME.xml.expect says it.
 *
 * UPDATE=1 writes what is into those files: to be read before it is committed.
 */
#include "libvirt-xml.h"
#include "util.h"
#include "xml.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "guarded.h"

#define DIRECTORY   "tests/data/libvirt"
#define CASES_MAX   64
#define CHANGES_MAX 32

static char *read_file(const char *name)
{
	AUTO_FREE char *path = xasprintf(DIRECTORY "/%s", name);
	FILE *f = fopen(path, "re");
	char *text = xcalloc(1, 1 << 16);

	if (f) {
		assert_true(fread(text, 1, (1 << 16) - 1, f) < (1 << 16) - 1);
		fclose(f);
	}
	return text;
}

/* ---- two documents, compared ---- */

static void compare(FILE *out, const char *at, const xmlNode *a, const xmlNode *b);

static char *attr_of(const xmlNode *n, const xmlAttr *a)
{
	xmlChar *value = xmlNodeListGetString(n->doc, a->children, 1);
	char *text = xstrdup(value ? (const char *)value : "");

	xmlFree(value);
	return text;
}

static bool same_ns(const xmlNs *a, const xmlNs *b)
{
	return !a == !b && (!a || xmlStrEqual(a->href, b->href));
}

static const xmlAttr *same_attr(const xmlNode *n, const xmlAttr *as)
{
	const xmlAttr *a;

	for (a = n->properties; a && !(xmlStrEqual(a->name, as->name) && same_ns(a->ns, as->ns)); a = a->next)
		;
	return a;
}

static void compare_attributes(FILE *out, const char *at, const xmlNode *a, const xmlNode *b)
{
	const xmlAttr *p, *q;

	for (p = a->properties; p; p = p->next) {
		AUTO_FREE char *was = attr_of(a, p), *is = NULL;

		q = same_attr(b, p);
		is = q ? attr_of(b, q) : NULL;
		if (!is)
			fprintf(out, "%s: %s='%s' is gone\n", at, (const char *)p->name, was);
		else if (strcmp(was, is))
			fprintf(out, "%s: %s='%s' is '%s'\n", at, (const char *)p->name, was, is);
	}
	for (q = b->properties; q; q = q->next) {
		AUTO_FREE char *is = attr_of(b, q);

		if (!same_attr(a, q))
			fprintf(out, "%s: %s='%s' is new\n", at, (const char *)q->name, is);
	}
}

static void compare_children(FILE *out, const char *at, const xmlNode *a, const xmlNode *b)
{
	const xmlNode *p = a->children, *q = b->children;

	while (p) {
		AUTO_FREE char *below = xasprintf("%s/%s", at, (const char *)p->name);

		if (q && p->type == q->type && xmlStrEqual(p->name, q->name) && same_ns(p->ns, q->ns)) {
			compare(out, below, p, q);
			q = q->next;
		} else {
			fprintf(out, "%s is gone\n", below);
		}
		p = p->next;
	}
	for (; q; q = q->next)
		fprintf(out, "%s/%s is new\n", at, (const char *)q->name);
}

static void compare(FILE *out, const char *at, const xmlNode *a, const xmlNode *b)
{
	if (a->type != XML_ELEMENT_NODE) {
		if (!xmlStrEqual(a->content, b->content))
			fprintf(out, "%s: '%s' is '%s'\n", at, (const char *)a->content, (const char *)b->content);
		return;
	}
	compare_attributes(out, at, a, b);
	compare_children(out, at, a, b);
}

/* A line for each difference between two texts; malloc'ed. */
static char *differences(const char *a, const char *b)
{
	struct err e;
	char *text = NULL;
	size_t n;
	FILE *out = open_memstream(&text, &n);
	xmlDoc *x, *y;

	assert_int_equal(xml_read_whole(&x, a, strlen(a), &e), 0);
	if (xml_read_whole(&y, b, strlen(b), &e))
		fail_msg("what was written is no XML: %s\n%s", e.msg, b);
	compare_children(out, "", (const xmlNode *)x, (const xmlNode *)y);
	xmlFreeDoc(x);
	xmlFreeDoc(y);
	fclose(out);
	return text;
}

/* ---- what is read ---- */

static void say(FILE *out, const char *what, const char *text)
{
	if (text)
		fprintf(out, "%s: %s\n", what, text);
}

static void say_list(FILE *out, const char *what, char *const *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		say(out, what, list[i]);
}

static void describe_disk(FILE *out, const struct libvirt_disk *k)
{
	static const char *const sources[] = {"file", "block", "volume", "network", "none", "other"};

	fprintf(out, "disk %s: %s %s %s", k->target, k->device, sources[k->source], k->format);
	fprintf(out, "%s%s%s%s%s%s", k->path ? " " : "", k->path ? k->path : "", k->volume ? " " : "", k->volume ? k->pool : "",
		k->volume ? "/" : "", k->volume ? k->volume : "");
	fprintf(out, "%s%s%s%s%s\n", k->read_only ? " read-only" : "", k->shareable ? " shareable" : "", k->transient ? " transient" : "",
		k->encrypted ? " encrypted" : "", k->has_backing_named ? " on named files" : "");
	say(out, "  elsewhere", k->elsewhere);
	say(out, "  remote", k->remote);
	say_list(out, "  backing", k->backing, k->backing_count);
}

static void describe(FILE *out, const struct libvirt_definition *d)
{
	size_t i;

	fprintf(out, "%s '%s' %s %s %s, %llu MiB, %u processors%s\n", d->virttype, d->name, d->uuid, d->arch, d->machine,
		(unsigned long long)(d->ram_bytes >> 20), d->vcpus, d->is_uefi ? ", UEFI" : "");
	say(out, "emulator", d->emulator);
	say(out, "cpu", d->cpu);
	say(out, "loader", d->loader);
	say(out, "nvram", d->nvram);
	say(out, "nvram's template", d->nvram_template);
	say(out, "nvram's format", d->nvram_format);
	if (d->nvram_is_elsewhere)
		fprintf(out, "nvram is elsewhere\n");
	say(out, "kernel", d->kernel);
	say(out, "initrd", d->initrd);
	say(out, "dtb", d->dtb);
	say(out, "ACPI table", d->acpi_table);
	for (i = 0; i < d->disk_count; i++)
		describe_disk(out, &d->disks[i]);
	for (i = 0; i < d->nic_count; i++)
		fprintf(out, "nic %s: %s %s%s%s\n", d->nics[i].mac, d->nics[i].kind, d->nics[i].source ? d->nics[i].source : "-",
			d->nics[i].target ? " as " : "", d->nics[i].target ? d->nics[i].target : "");
	if (d->has_tpm)
		fprintf(out, "TPM%s%s\n", d->tpm_is_emulator ? " emulator" : "", d->tpm_is_encrypted ? " encrypted" : "");
	say(out, "TPM's version", d->tpm_version);
	say(out, "TPM's path", d->tpm_path);
	for (i = 0; i < d->secret_count; i++)
		fprintf(out, "secret %s: %s\n", d->secret_types[i], d->secrets[i]);
	say_list(out, "listens", d->listens, d->listen_count);
	say_list(out, "names", d->files, d->file_count);
	say_list(out, "not live", d->blocks_live, d->block_count);
	if (d->has_qemu_words)
		fprintf(out, "words for QEMU\n");
}

/* ---- all changed ---- */

struct plan {
	struct libvirt_change paths[CHANGES_MAX], nets[CHANGES_MAX];
	char *made[4 * CHANGES_MAX];
	size_t made_count;
	struct libvirt_changes c;
};

static const char *keep(struct plan *p, char *text)
{
	assert_true(p->made_count < ARRAY_LEN(p->made));
	p->made[p->made_count++] = text;
	return text;
}

static void add_path(struct plan *p, const char *from)
{
	size_t i;

	for (i = 0; i < p->c.path_count; i++)
		if (!strcmp(p->paths[i].from, from))
			return;
	assert_true(p->c.path_count < CHANGES_MAX);
	p->paths[p->c.path_count++] = (struct libvirt_change){.from = keep(p, xstrdup(from)),
							      .to = keep(p, xasprintf("/there%s%s", *from == '/' ? "" : "/", from))};
}

static void plan_all(struct plan *p, const struct libvirt_definition *d)
{
	size_t i, k;

	p->c = (struct libvirt_changes){.paths = p->paths,
					.nets = p->nets,
					.name = "elsewhere",
					.emulator = "/there/qemu",
					.drop_tpm = d->has_tpm};
	for (i = 0; i < d->disk_count; i++) {
		const struct libvirt_disk *disk = &d->disks[i];

		if (disk->source == LIBVIRT_VOLUME)
			add_path(p, keep(p, xasprintf("%s/%s", disk->pool, disk->volume)));
		else if (disk->path && strcmp(disk->device, "lun"))
			add_path(p, disk->path);
		for (k = 0; k < disk->backing_count; k++)
			add_path(p, disk->backing[k]);
	}
	if (d->nvram)
		add_path(p, d->nvram);
	for (i = 0; i < d->nic_count; i++) {
		const struct libvirt_nic *n = &d->nics[i];

		if (!strcmp(n->kind, "network") || !strcmp(n->kind, "bridge") || !strcmp(n->kind, "user"))
			p->nets[p->c.net_count++] =
				(struct libvirt_change){.from = keep(p, xstrdup(n->mac)),
							.to = strcmp(n->kind, "network") ? "network:there" : "bridge:br-there"};
	}
	for (i = 0; i < d->listen_count; i++)
		if (!strncmp(d->listens[i], "192.168.1.", 10))
			p->c.listen = "10.0.0.7";
}

static void plan_fini(struct plan *p)
{
	while (p->made_count)
		free(p->made[--p->made_count]);
}

static void must_be_the_same(const char *text, int (*rewriter)(const char *, size_t, const struct libvirt_changes *, char **, struct err *))
{
	static const struct libvirt_changes none;
	AUTO_FREE char *again = NULL, *differs = NULL;
	struct err e;

	if (rewriter(text, strlen(text), &none, &again, &e))
		fail_msg("it is not written again: %s", e.msg);
	differs = differences(text, again);
	assert_string_equal(differs, "");
}

static void rewrite_all(FILE *out, const char *text, const struct libvirt_changes *c,
			int (*rewriter)(const char *, size_t, const struct libvirt_changes *, char **, struct err *))
{
	AUTO_FREE char *again = NULL, *differs = NULL;
	struct err e;

	if (rewriter(text, strlen(text), c, &again, &e)) {
		fprintf(out, "--- not changed: %s\n", e.msg);
		return;
	}
	differs = differences(text, again);
	fprintf(out, "--- all changed\n%s", differs);
	if (getenv("WRITE_TO")) /* for a validator */
		fprintf(stderr, "%s", again);
}

static void of_domain(FILE *out, const char *text)
{
	struct libvirt_definition d;
	struct plan p = {.made_count = 0};
	struct err e;

	if (libvirt_definition_read(&d, text, strlen(text), &e)) {
		fprintf(out, "refused: %s\n", e.msg);
		return;
	}
	describe(out, &d);
	must_be_the_same(text, libvirt_xml_rewrite);
	plan_all(&p, &d);
	rewrite_all(out, text, &p.c, libvirt_xml_rewrite);
	plan_fini(&p);
	libvirt_definition_fini(&d);
}

static void of_snapshot(FILE *out, const char *text)
{
	static const struct libvirt_change paths[] = {{.from = "/srv/images/web.qcow2", .to = "/there/web.qcow2"},
						      {.from = "/srv/images/web.before-upgrade", .to = "/there/web.before-upgrade"},
						      {.from = "/srv/images/web.mem", .to = "/there/web.mem"},
						      {.from = "/srv/images/data.raw", .to = "/dev/vg1/data", .type = "block"},
						      {.from = "/added/later", .to = "/there/later"}};
	static const struct libvirt_change nets[] = {{.from = "default", .to = "bridge:br0"}};
	const struct libvirt_changes c = {.paths = paths, .path_count = ARRAY_LEN(paths), .nets = nets, .net_count = 1, .name = "web2"};

	must_be_the_same(text, libvirt_snapshot_rewrite);
	rewrite_all(out, text, &c, libvirt_snapshot_rewrite);
}

static void is_as_expected(void **state)
{
	const char *name = *state;
	AUTO_FREE char *text = read_file(name), *file = xasprintf("%s.expect", name), *expected = read_file(file), *is = NULL;
	size_t n;
	FILE *out = open_memstream(&is, &n);

	if (strstr(name, ".snapshot."))
		of_snapshot(out, text);
	else
		of_domain(out, text);
	fclose(out);
	if (getenv("UPDATE")) {
		AUTO_FREE char *path = xasprintf(DIRECTORY "/%s", file);

		out = fopen(path, "we");
		assert_non_null(out);
		fputs(is, out);
		fclose(out);
		return;
	}
	assert_string_equal(is, expected);
}

int main(void)
{
	static struct CMUnitTest tests[CASES_MAX];
	static char names[CASES_MAX][64];
	struct dirent **found = NULL;
	size_t count = 0;
	int i, n = scandir(DIRECTORY, &found, NULL, alphasort);

	for (i = 0; i < n; i++) {
		size_t len = strlen(found[i]->d_name);

		if (len > 4 && len < sizeof(names[0]) && !strcmp(found[i]->d_name + len - 4, ".xml") && count < CASES_MAX) {
			strcpy(names[count], found[i]->d_name);
			tests[count] =
				(struct CMUnitTest){.name = names[count], .test_func = is_as_expected, .initial_state = names[count]};
			count++;
		}
		free(found[i]);
	}
	free(found);
	if (!count)
		return 1;
	return _cmocka_run_group_tests("libvirt-xml", tests, count, NULL, NULL);
}
