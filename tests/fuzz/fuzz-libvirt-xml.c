/*
 * fuzz-libvirt-xml.c: libFuzzer on definitions of libvirt's guests (agent-src/guest/libvirt-xml.h), read, rewritten, and read again: nothing is
 * different but for what was to be changed. And as a plain command line (agent-src/import/libvirt-plain.h), which names the files of all disks.
 */
#include "libvirt-plain.h"
#include "seed.h"
#include "util.h"

#include <errno.h>
#include <string.h>

static void write_seeds(void)
{
	/* with paths that are those of the tree, from where this runs */
	static const char *const names[] = {"q35-uefi-tpm",    "i440fx-ide",
					    "pools",	       "network-disks",
					    "host-devices",    "macvtap-and-graphics",
					    "live-with-chain", "qemu-words",
					    "nvram-as-source", "snapshot-external.snapshot"};
	char text[16384];
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *path = xasprintf("tests/data/libvirt/%s.xml", names[i]);
		FILE *f = fopen(path, "re");

		require(f);
		seed_write(names[i], text, fread(text, 1, sizeof(text), f));
		fclose(f);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return !a == !b && (!a || !strcmp(a, b));
}

/* Checks that each `from` of the source became `to`, and that everything else is unchanged. */
static void require_changed(const char *was, const char *is, const char *from, const char *to)
{
	require(same_text(is, was && from && !strcmp(was, from) ? to : was));
}

static void compare(const struct libvirt_definition *a, const struct libvirt_definition *b, const char *from, const char *to)
{
	size_t i, k;

	require(same_text(a->name, b->name) && same_text(a->uuid, b->uuid) && same_text(a->emulator, b->emulator) &&
		same_text(a->firmware.loader, b->firmware.loader) && a->ram_bytes == b->ram_bytes && a->vcpus == b->vcpus &&
		a->tpm.is_there == b->tpm.is_there);
	require(a->disk_count == b->disk_count && a->nic_count == b->nic_count && a->secrets.count == b->secrets.count &&
		a->listen_count == b->listen_count && a->file_count == b->file_count && a->block_count == b->block_count);
	require_changed(a->firmware.nvram, b->firmware.nvram, from, to);
	for (i = 0; i < a->disk_count; i++) {
		require(same_text(a->disks[i].target, b->disks[i].target) && same_text(a->disks[i].format, b->disks[i].format));
		require_changed(a->disks[i].path, b->disks[i].path, from, to);
		require(a->disks[i].backing_count == b->disks[i].backing_count);
		for (k = 0; k < a->disks[i].backing_count; k++)
			require_changed(a->disks[i].backing[k], b->disks[i].backing[k], from, to);
	}
	for (i = 0; i < a->file_count; i++)
		require(same_text(a->files[i], b->files[i]));
}

static void rewrite(const struct libvirt_definition *d, const char *text, size_t n, const struct libvirt_change *p)
{
	const struct libvirt_changes c = {.paths = p, .path_count = p != NULL};
	struct libvirt_definition again;
	struct err e;
	char *out = NULL;
	int r = libvirt_xml_rewrite(text, n, &c, &out, &e);

	require(!r || (p && r == -ENOTSUP));
	if (r)
		return;
	require(!libvirt_definition_read(&again, out, strlen(out), &e));
	compare(d, &again, p ? p->from : NULL, p ? p->to : NULL);
	libvirt_definition_fini(&again);
	free(out);
}

/* All that there is to change, in whatever text. */
static void change_all(const char *text, size_t n)
{
	static const struct libvirt_change paths[] = {{.from = "/var/lib/libvirt/images/web.qcow2", .to = "default/web"},
						      {.from = "default/pools.qcow2", .to = "/there", .type = "block", .is_alone = true}},
					   nets[] = {{.from = "default", .to = "bridge:br0"},
						     {.from = "52:54:00:11:22:02", .to = "network:n"}};
	static const struct libvirt_changes c = {.paths = paths,
						 .path_count = ARRAY_LEN(paths),
						 .nets = nets,
						 .net_count = ARRAY_LEN(nets),
						 .name = "b",
						 .listen = "10.0.0.1",
						 .emulator = "/q",
						 .drop_tpm = true};
	struct err e;
	char *out = NULL;

	if (!libvirt_snapshot_rewrite(text, n, &c, &out, &e))
		free(out);
	out = NULL;
	if (!libvirt_xml_rewrite(text, n, &c, &out, &e))
		free(out);
}

static bool names(const struct libvirt_plain *p, const char *path)
{
	AUTO_FREE char *doubled = xmalloc(2 * strlen(path) + 1);
	char *to = doubled;
	size_t i;

	for (; *path; path++) {
		*to++ = *path;
		if (*path == ',')
			*to++ = ',';
	}
	*to = '\0';
	for (i = 0; i < p->argc; i++)
		if (strstr(p->argv[i], doubled))
			return true;
	return false;
}

static void as_plain(const struct libvirt_definition *d, const char *text, size_t n)
{
	AUTO_FREE char *whole = xstrndup(text, n);
	struct libvirt_plain p;
	struct err e;
	size_t i;

	if (!libvirt_plain_line(&p, whole, d, NULL, &e)) {
		require(p.argc > 1 && !p.argv[p.argc] && same_text(p.argv[0], d->emulator));
		for (i = 0; i < d->disk_count; i++)
			require(!d->disks[i].path || names(&p, d->disks[i].path));
		require(!d->firmware.nvram || !d->firmware.is_uefi || names(&p, d->firmware.nvram));
	} else {
		require(!p.argv && !p.notes);
	}
	libvirt_plain_fini(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	/* without a zero behind it, in memory of its size */
	char *text = xmalloc(n ? n : 1);
	struct libvirt_definition d;
	struct err e;
	size_t i;

	memcpy(text, p, n);
	change_all(text, n);
	if (!libvirt_definition_read(&d, text, n, &e)) {
		rewrite(&d, text, n, NULL);
		for (i = 0; i < d.disk_count && i < 4; i++)
			if (d.disks[i].path)
				rewrite(&d, text, n, &(struct libvirt_change){.from = d.disks[i].path, .to = "/there"});
		as_plain(&d, text, n);
		if (d.firmware.nvram)
			rewrite(&d, text, n, &(struct libvirt_change){.from = d.firmware.nvram, .to = "/there"});
	}
	libvirt_definition_fini(&d);
	free(text);
	return 0;
}
