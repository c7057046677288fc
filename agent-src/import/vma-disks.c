/* vma-disks.c: the disks of an archive of Proxmox VE's (vma.h), which of them are there, and these unpacked: a row of packed-sources.h. */
#include "packed-sources.h"
#include "disk-files.h"
#include "util.h"

#include <string.h>

static const struct packed_disk *in_vma(const struct sources *s, const char *label)
{
	AUTO_FREE char *name = xasprintf("drive-%s", label);

	for (size_t i = 0; i < s->packed.disk_count; i++)
		if (!strcmp(s->packed.disks[i].name, name))
			return &s->packed.disks[i];
	return NULL;
}

/* Numbers the disks as the configuration does, whether or not the archive has them. */
static void number_disks(struct guest_description *d)
{
	unsigned number = 0;

	for (size_t i = 0; i < d->disk_count; i++)
		if (!d->disks[i].cdrom)
			d->disks[i].number = ++number;
}

/* A disk of an archive is raw, whatever its first bytes say, as its guest writes them. */
static unsigned take(struct described_disk *k, const struct packed_disk *p)
{
	free(k->elsewhere);
	k->elsewhere = NULL;
	k->format = "raw";
	k->capacity = p->bytes;
	return p->number;
}

static bool is_configured(const struct guest_description *d, const char *name)
{
	const char *label = strncmp(name, "drive-", 6) ? "" : name + 6;

	for (size_t i = 0; i < d->disk_count; i++)
		if (d->disks[i].label && !strcmp(d->disks[i].label, label))
			return true;
	return (d->uefi.efi.label && !strcmp(d->uefi.efi.label, label)) || !strcmp(name, "vmstate");
}

static void note_others(const struct sources *s, struct guest_description *d)
{
	char size[24];

	for (size_t i = 0; i < s->packed.disk_count; i++)
		if (!is_configured(d, s->packed.disks[i].name))
			description_note(d, "the archive has %.60s (%s), which is not a disk of its configuration: it is left out",
					 s->packed.disks[i].name, format_bytes(size, s->packed.disks[i].bytes));
}

/* Leaves out those disks of d that are neither in it nor named by the user. */
static void find(struct sources *s, struct guest_description *d, const struct sources_named *named)
{
	const struct packed_disk *efi = d->uefi.efi.label && !disk_is_said(&d->uefi.efi, named) ? in_vma(s, d->uefi.efi.label) : NULL;
	size_t i = 0;

	number_disks(d);
	note_others(s, d);
	s->efi_number = efi ? take(&d->uefi.efi, efi) : 0;
	while (i < d->disk_count) {
		struct described_disk *k = &d->disks[i];
		bool is_given = k->cdrom || disk_is_said(k, named);
		const struct packed_disk *p = is_given ? NULL : in_vma(s, k->label);

		if (!p && !is_given) {
			description_note(d, "the disk %s is not in the archive, and is left out (--disk %s=FILE gives it)", k->label,
					 k->label);
			description_drop_disk(d, i);
			continue;
		}
		s->numbers[i++] = p ? take(k, p) : 0;
	}
}

/* ---- unpacked ---- */

struct targets {
	struct unpack_target list[GUEST_DISKS_MAX + 1];
	size_t n;
};

/* The file that a disk gets in the spool; malloc'ed. */
static char *unpack_to(struct sources *s, struct targets *t, unsigned number)
{
	char *path = xasprintf("%s/%u.raw", s->spool.path, number);

	t->list[t->n++] = (struct unpack_target){.number = number, .path = path};
	return path;
}

static int unpack_targets(struct sources *s, const struct targets *t, struct err *e)
{
	uint64_t max = 0, all = 0;

	for (size_t i = 0; i < s->packed.disk_count; i++) {
		max = MAX(max, s->packed.disks[i].bytes);
		all += MIN(s->packed.disks[i].bytes, UINT64_MAX / 2 - all);
	}
	return unpack_vma(s->description, t->list, t->n, max, all, e);
}

static int unpack(struct sources *s, struct guest_description *d, struct err *e)
{
	struct targets t = {.n = 0};

	for (size_t i = 0; i < d->disk_count; i++)
		if (s->numbers[i] && !s->disks[i].path)
			s->disks[i].path = unpack_to(s, &t, s->numbers[i]);
	if (s->efi_number && !s->efi.path)
		s->efi.path = unpack_to(s, &t, s->efi_number);
	return unpack_targets(s, &t, e);
}

const struct archive_kind vma_archive = {.text = "configuration", .find = find, .unpack = unpack};
