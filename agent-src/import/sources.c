/* sources.c: see sources.h. */
#include "sources.h"
#include "packed-sources.h"
#include "disk-files.h"
#include "box.h"
#include "file-kind.h"
#include "image-whole.h"
#include "open-regular.h"
#include "packed.h"
#include "same-file.h"
#include "util.h"
#include "xml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define EFI_VARS_MAX (4u << 20)

/* ---- reading ---- */

static int read_text(char **out, size_t *n, int fd, uint64_t offset, uint64_t size, const char *name, struct err *e)
{
	size_t got = 0;

	if (!size || size > XML_BYTES_MAX)
		return err_set(e, EINVAL, "%s is %s", name, size ? "longer than 4 MiB, which no description is" : "empty");
	*out = xmalloc(size + 1);
	while (got < size) {
		ssize_t r = pread(fd, *out + got, size - got, (off_t)(offset + got));

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return err_sys(e, r ? errno : EIO, "cannot read %s", name);
		got += (size_t)r;
	}
	(*out)[size] = '\0';
	*n = size;
	return 0;
}

static int read_whole(char **out, size_t *n, const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open_regular(path);
	struct stat st;

	if (fd < 0)
		return err_sys(e, -fd, "cannot open %s", path);
	if (fstat(fd, &st))
		return err_sys(e, errno, "cannot read %s", path);
	return read_text(out, n, fd, 0, (uint64_t)st.st_size, path, e);
}

/* The only member with that ending; NULL: none. -EINVAL: several. */
static int only_member(const struct ova *o, const char *ending, const struct ova_member **out, struct err *e)
{
	*out = NULL;
	for (size_t i = 0; i < o->n; i++) {
		if (!described_ends_with(o->members[i].name, ending))
			continue;
		if (*out)
			return err_set(e, EINVAL, "the archive has several files '*%s'", ending);
		*out = &o->members[i];
	}
	return 0;
}

/* Opens an archive (OVA). what: the member that describes the guest. */
static int open_ova(struct sources *s, struct guest_description *d, const char *what, struct err *e)
{
	AUTO_CLOSE int fd = open_regular(s->tar);
	const struct ova_member *ovf, *mf, *cert;
	AUTO_FREE char *text = NULL;
	size_t n;
	int r;

	if (fd < 0)
		return err_sys(e, -fd, "cannot open %s", s->description);
	s->is_ova = true;
	r = ova_read(&s->ova, fd, e) ?: only_member(&s->ova, what, &ovf, e) ?: only_member(&s->ova, ".mf", &mf, e);
	r = r ?: only_member(&s->ova, ".cert", &cert, e);
	if (!r && !ovf)
		r = err_set(e, EINVAL, "a tar archive without an OVF, a VMX or a metadata.json of Vagrant's");
	r = r ?: read_text(&s->text, &s->text_bytes, fd, ovf->offset, ovf->size, ovf->name, e);
	if (!r && mf) {
		s->manifest_name = xstrdup(mf->name);
		r = read_text(&text, &n, fd, mf->offset, mf->size, mf->name, e);
		if (!r)
			r = manifest_parse(&s->manifest, text, n, e) ? err_prefix(e, "%s", mf->name) : 0;
	}
	if (r)
		return err_prefix(e, "%s", s->description);
	s->text_name = xstrdup(ovf->name);
	if (cert)
		description_note(d, "the signature (%s) is not looked at", cert->name);
	return 0;
}

/* x.mf beside x.ovf */
static int open_ovf_manifest(struct sources *s, struct err *e)
{
	AUTO_FREE char *path = NULL, *text = NULL;
	size_t stem = strlen(s->description) - (described_ends_with(s->description, ".ovf") ? 4 : 0), n;
	int r;

	path = xasprintf("%.*s.mf", (int)stem, s->description);
	if (access(path, F_OK))
		return 0;
	r = read_whole(&text, &n, path, e);
	if (!r && manifest_parse(&s->manifest, text, n, e))
		r = err_prefix(e, "%s", path);
	s->manifest_name = xstrdup(described_base(path));
	return r;
}

static int read_description(struct sources *s, struct guest_description *d, enum file_kind kind, struct err *e)
{
	int r = kind == KIND_VMA   ? archive_open(s, &vma_archive, e)
		: kind == KIND_XVA ? archive_open(s, &xva_archive, e)
		: kind == KIND_OVA ? open_ova(s, d, ".ovf", e)
		: kind == KIND_BOX ? open_ova(s, d, "metadata.json", e)
				   : read_whole(&s->text, &s->text_bytes, s->description, e);

	if (!r && kind == KIND_OVF)
		r = open_ovf_manifest(s, e);
	if (r)
		return r;
	r = file_kind_reader(kind)(d, s->text, s->text_bytes, e);
	return r ? err_prefix(e, "%s", s->description) : 0;
}

/* ---- manifests ---- */

/* Name of the file in a manifest: relative to the description's directory if below it, else the last part of the path. */
static const char *name_there(const struct sources *s, const char *path)
{
	size_t dir = (size_t)(described_base(s->description) - s->description);

	return !strncmp(path, s->description, dir) ? path + dir : described_base(path);
}

/* Path of the imported file with that name in the manifest, wherever the user has it; NULL: none. */
static const char *disk_called(const struct sources *s, const char *name)
{
	for (size_t i = 0; i < GUEST_DISKS_MAX; i++)
		if (s->disks[i].path && !s->disks[i].is_slice && !strcmp(name_there(s, s->disks[i].path), name))
			return s->disks[i].path;
	return NULL;
}

/* ---- ---- */

/* The file's own, without its ending. */
static char *stem_of(const char *path)
{
	const char *base = described_base(path), *dot = strrchr(base, '.');

	return xasprintf("%.*s", dot && dot != base ? (int)(dot - base) : (int)strlen(base), base);
}

/* The guest's name in that of a packed image: haos, of haos.qcow2.gz. */
static char *name_of_image(const char *path)
{
	AUTO_FREE char *inner = stem_of(path);

	return packed_is_called_so(path) ? stem_of(inner) : xstrdup(inner);
}

/* A guest of images alone: the disks in that order. */
static int describe_images(struct sources *s, struct guest_description *d, struct err *e)
{
	d->origin = xstrdup(s->image_count == 1 ? "a disk image" : "disk images");
	d->name = name_of_image(s->images[0]);
	for (size_t i = 0; i < s->image_count; i++) {
		struct described_disk *k = description_add_disk(d);

		if (!k)
			return err_set(e, EINVAL, "more than %d images", GUEST_DISKS_MAX);
		k->file = xstrdup(s->images[i]);
		s->disks[i].path = xstrdup(s->images[i]);
	}
	if (d->nic_count == 0)
		description_add_nic(d); /* an image says nothing of it */
	return 0;
}

/* True if the user calls that file raw. */
static bool is_said_raw(const struct sources_named *n, const char *path)
{
	for (size_t i = 0; i < n->raw_count; i++) {
		AUTO_FREE char *raw = realpath(n->raw[i], NULL);

		if (raw && !strcmp(raw, path))
			return true;
	}
	return false;
}

/* Marks a disk, which name gives by its path or as the description names it. */
static int take_raw(struct sources *s, const struct guest_description *d, const char *name, struct err *e)
{
	AUTO_FREE char *path = realpath(name, NULL);
	bool found = false;

	for (size_t i = 0; i < d->disk_count; i++) {
		struct image_source *k = &s->disks[i];

		if (k->path && ((path && !k->is_slice && !strcmp(k->path, path)) || !strcmp(described_base(d->disks[i].file), name)))
			found = k->is_raw = true;
	}
	return found ? 0 : err_set(e, EINVAL, "--raw %s: that is not a disk of this guest", name);
}

/* A directory stands for the only description in it. */
static int look_at(char **path, enum file_kind *kind, struct err *e)
{
	AUTO_FREE char *dir = NULL;

	if (!path_is_directory(*path))
		return file_kind_of(kind, *path, e);
	dir = *path;
	return file_kind_in(path, kind, dir, e);
}

static int sort_files(struct sources *s, enum file_kind *kind, const struct sources_named *n, struct err *e)
{
	s->images = xcalloc(n->file_count, sizeof(*s->images));
	s->image_used = xcalloc(n->file_count, sizeof(*s->image_used));
	for (size_t i = 0; i < n->file_count; i++) {
		AUTO_FREE char *path = realpath(n->files[i], NULL);
		enum file_kind this = KIND_IMAGE;
		int r;

		if (!path)
			return err_sys(e, errno, "cannot open %s", n->files[i]);
		r = is_said_raw(n, path) ? 0 : look_at(&path, &this, e);
		if (r)
			return r;
		if (this != KIND_IMAGE && s->description)
			return err_set(e, EINVAL, "%s and %s each describe a guest: one at a time", s->description, path);
		if (this != KIND_IMAGE)
			*kind = this;
		*(this == KIND_IMAGE ? &s->images[s->image_count++] : &s->description) = path;
		path = NULL;
	}
	return 0;
}

static bool is_used(const struct sources *s, const char *name)
{
	return !strcmp(name, s->is_ova ? s->text_name : described_base(s->description)) || (!s->is_ova && disk_called(s, name));
}

/* A file that somebody has taken out of an appliance (an ISO, say) is not missed, if its guest does not use it. */
static void drop_missing(struct sources *s, struct guest_description *d)
{
	int dir = (int)(strrchr(s->description, '/') - s->description);
	size_t i, kept = 0;

	for (i = 0; i < s->manifest.n; i++) {
		struct manifest_line *l = &s->manifest.lines[i];
		AUTO_FREE char *path = xasprintf("%.*s/%s", dir, s->description, l->name);

		if (is_used(s, l->name) || (s->is_ova ? ova_find(&s->ova, l->name) != NULL : !access(path, F_OK) || errno != ENOENT)) {
			s->manifest.lines[kept++] = *l;
			continue;
		}
		description_note(d, "%s names %s, which is not there: the guest does not use it", s->manifest_name, l->name);
		free(l->name);
	}
	s->manifest.n = kept;
}

int sources_open(struct sources *s, struct guest_description *d, const struct sources_named *n, struct err *e)
{
	enum file_kind kind = KIND_IMAGE;
	int r;

	*s = (struct sources){.bases = n->bases};
	*d = (struct guest_description){.told.verbose = n->verbose, .told.wish = n->guest};
	r = sort_files(s, &kind, n, e);
	if (!r && (kind == KIND_OVA || kind == KIND_PACKED))
		r = box_open(s, &kind, n->dir ? n->dir : ".", e);
	if (!r && n->guest && kind != KIND_OVF && kind != KIND_OVA)
		r = err_set(e, EINVAL, "--guest %s: only an OVF, or an OVA, describes several guests", n->guest);
	if (r)
		return r;
	if (s->description) {
		r = read_description(s, d, kind, e);
		if (!r && !d->name &&
		    (kind == KIND_QUICKEMU || kind == KIND_PROXMOX || kind == KIND_BOX)) /* the file has the guest's name */
			d->name = stem_of(s->description);
		if (!r && s->archive)
			s->archive->find(s, d, n);
		r = r ?: disk_files_find(s, d, n, e);
		if (!r)
			drop_missing(s, d);
	} else {
		r = describe_images(s, d, e);
	}
	if (!r && s->description && !s->is_ova && !s->archive) {
		s->folder = xasprintf("%.*s", (int)(described_base(s->description) - s->description), s->description);
		s->bases.folder = s->folder;
	}
	for (size_t i = 0; !r && i < n->raw_count; i++)
		r = take_raw(s, d, n->raw[i], e);
	return r;
}

/* ---- digests, compared ---- */

/* 0 and a descriptor in *fd, which is to be closed. */
static int open_named(const struct sources *s, const char *name, int *fd, uint64_t *offset, uint64_t *size, struct err *e)
{
	int dir = (int)(strrchr(s->description, '/') - s->description);
	const char *used = s->is_ova ? s->tar : disk_called(s, name);
	AUTO_FREE char *path = used ? xstrdup(used) : xasprintf("%.*s/%s", dir, s->description, name);
	const struct ova_member *m = s->is_ova ? ova_find(&s->ova, name) : NULL;
	struct stat st;

	if (s->is_ova && !m)
		return err_set(e, EBADMSG, "%s names %s, which is not in %s", s->manifest_name, name, s->description);
	*fd = open_regular(path);
	if (*fd < 0)
		return err_set(e, EBADMSG, "%s names %s, which cannot be read: %s", s->manifest_name, name, strerror(-*fd));
	if (fstat(*fd, &st)) {
		close(*fd);
		return err_sys(e, errno, "cannot read %s", path);
	}
	*offset = m ? m->offset : 0;
	*size = m ? m->size : (uint64_t)st.st_size;
	return 0;
}

/* Checks that the manifest lists a file that is to be used. */
static int is_listed(const struct sources *s, const char *name, struct err *e)
{
	for (size_t i = 0; i < s->manifest.n; i++)
		if (!strcmp(s->manifest.lines[i].name, name))
			return 0;
	return err_set(e, EBADMSG, "%s says nothing of %s", s->manifest_name, name);
}

static int all_listed(const struct sources *s, struct err *e)
{
	size_t i, k;
	int r = is_listed(s, s->is_ova ? s->text_name : described_base(s->description), e);

	for (i = 0; !r && i < GUEST_DISKS_MAX; i++) {
		const struct image_source *d = &s->disks[i];

		if (!d->path)
			continue;
		if (!d->is_slice)
			r = is_listed(s, name_there(s, d->path), e);
		for (k = 0; !r && d->is_slice && k < s->ova.n; k++)
			if (s->ova.members[k].offset == d->offset && s->ova.members[k].size == d->size)
				r = is_listed(s, s->ova.members[k].name, e);
	}
	return r;
}

/* The files that a disk consists of lie beside it; only of what lies beside the description a manifest's digest was compared. */
static int extents_listed(const struct sources *s, const struct image_source *d, struct err *e)
{
	size_t i, dir = (size_t)(described_base(s->description) - s->description);
	bool is_beside = !strncmp(d->path, s->description, dir) && described_base(d->path) == d->path + dir;
	int r = 0;

	for (i = 0; i < d->extent_count && !r; i++) {
		r = is_listed(s, d->extents[i], e);
		if (!r && (!is_beside || disk_called(s, d->extents[i])))
			r = err_set(
				e, EINVAL,
				"%s consists of other files, of which %s does not say whether they are whole: have all of them beside %s",
				d->path, s->manifest_name, s->description);
	}
	return r;
}

static void note_bases(const struct image_source *k, struct guest_description *d)
{
	description_note(d, "the image %.100s is on %.100s%s: one image is made of them", described_base(k->path),
			 described_base(k->bases[0].path), k->base_count > 1 ? " and others" : "");
}

/* A guest of the description's had the contents of the bases that this names, whatever the image says. */
static int check_bases(const struct image_source *k, const struct described_disk *d, struct err *e)
{
	size_t i;

	for (i = 0; d->says_bases && i < k->base_count && i < d->base_count; i++)
		if (strcmp(described_base(k->bases[i].path), described_base(d->bases[i])))
			break;
	if (!d->says_bases || (i == k->base_count && i == d->base_count))
		return 0;
	return err_set(
		e, EINVAL,
		"the description says that the disk %.40s is on %.200s (<backingStore>), and the image itself, %.200s, on %.200s: the guest "
		"would have other contents. Take <backingStore> out of the description if the image is right, or have the image "
		"name what it is on (qemu-img rebase -u)",
		d->label ?: described_base(d->file), i < d->base_count ? described_base(d->bases[i]) : "nothing further",
		described_base(k->path), i < k->base_count ? described_base(k->bases[i].path) : "nothing further");
}

static void note_snapshots(const struct image_source *k, struct guest_description *d)
{
	AUTO_FREE char *names = image_snapshot_names(k);

	description_note(d, "the image %.100s has %u snapshot%s within it (%s), which do%s not come along: the disk is as it is now",
			 described_base(k->path), k->snapshots, k->snapshots == 1 ? "" : "s", names, k->snapshots == 1 ? "es" : "");
}

/* Reads the UEFI variables. Without them the firmware starts with new ones, as the plan says. */
static void read_efi(struct sources *s, const struct guest_description *d, const char *qemu_img)
{
	struct err ignored;

	if (!s->efi.path || image_examine(&s->efi, d->uefi.efi.elsewhere ? NULL : d->uefi.efi.format, &ignored))
		return;
	s->vars = xmalloc(EFI_VARS_MAX);
	if (image_start(qemu_img, &s->efi, EFI_VARS_MAX, s->vars, &s->vars_bytes, &ignored))
		s->vars_bytes = 0;
}

int sources_examine(struct sources *s, struct guest_description *d, const char *qemu_img, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < d->disk_count; i++) {
		if (!s->disks[i].path)
			continue;
		s->disks[i].may = &s->bases;
		r = image_examine(&s->disks[i], d->disks[i].elsewhere ? NULL : d->disks[i].format, e);
		if (!r && s->disks[i].base_count)
			note_bases(&s->disks[i], d);
		r = r ?: check_bases(&s->disks[i], &d->disks[i], e);
		if (!r && s->disks[i].snapshots)
			note_snapshots(&s->disks[i], d);
		if (!r && s->manifest_name)
			r = extents_listed(s, &s->disks[i], e);
		r = r ?: image_check_whole(qemu_img, &s->disks[i], d->disks[i].format != NULL, &d->disks[i].content, e);
		if (r && s->is_ova)
			err_prefix(e, "disk %s", d->disks[i].file);
	}
	if (!r)
		read_efi(s, d, qemu_img);
	return r;
}

static int hint_at_own_change(const struct sources *s, struct err *e)
{
	struct err why = *e;

	return err_set(e, EBADMSG, "%s. Copy it again; if you have changed it yourself, %s", why.msg,
		       s->is_ova ? "unpack the archive (tar xf), and import its OVF without the manifest (.mf)"
				 : "import it without its manifest (move the .mf away)");
}

int sources_verify(const struct sources *s, digest_progress_fn progress, void *ctx, struct err *e)
{
	int r = s->manifest_name ? all_listed(s, e) : 0;

	for (size_t i = 0; !r && i < s->manifest.n; i++) {
		const struct manifest_line *l = &s->manifest.lines[i];
		uint64_t offset, size;
		int fd;

		r = open_named(s, l->name, &fd, &offset, &size, e);
		if (r)
			break;
		r = manifest_check(l, fd, offset, size, progress, ctx, e);
		close(fd);
	}
	return r == -EBADMSG ? hint_at_own_change(s, e) : r;
}

uint64_t sources_verify_bytes(const struct sources *s)
{
	uint64_t total = 0;

	for (size_t i = 0; i < s->manifest.n; i++) {
		uint64_t offset, size;
		struct err ignored;
		int fd;

		if (open_named(s, s->manifest.lines[i].name, &fd, &offset, &size, &ignored))
			continue;
		close(fd);
		total += size;
	}
	return total;
}

void sources_fini(struct sources *s)
{
	for (size_t i = 0; i < GUEST_DISKS_MAX; i++)
		image_source_fini(&s->disks[i]);
	for (size_t i = 0; i < s->image_count; i++)
		free(s->images[i]);
	FREE_ALL(s->images, s->image_used, s->tar, s->description, s->text, s->text_name, s->folder, s->manifest_name);
	image_source_fini(&s->efi);
	free(s->vars);
	packed_content_fini(&s->packed);
	sources_clean(s);
	manifest_fini(&s->manifest);
	ova_fini(&s->ova);
}
