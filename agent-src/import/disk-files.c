/* disk-files.c: see disk-files.h. */
#include "disk-files.h"
#include "open-regular.h"
#include "pve-storage.h"
#include "util.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 2 /* folders below a description's */

/* "disk%201.vmdk"; malloc'ed. */
static char *percent_decoded(const char *text)
{
	char *out = xstrdup(text), *to = out;

	for (; *text; text++) {
		unsigned v;

		if (*text == '%' && isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2]) &&
		    sscanf(text + 1, "%2x", &v) == 1 && v) {
			*to++ = (char)v;
			text += 2;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
	return out;
}

static int in_ova(struct sources *s, struct image_source *to, const char *name, struct err *e)
{
	const struct ova_member *m = ova_find(&s->ova, name);
	AUTO_FREE char *decoded = percent_decoded(name);

	if (!m)
		m = ova_find(&s->ova, decoded);
	if (!m)
		return err_set(e, EINVAL, "%s: the disk '%.200s' is not in it", s->description, name);
	*to = (struct image_source){.path = xstrdup(s->tar), .is_slice = true, .offset = m->offset, .size = m->size};
	return 0;
}

/* The image of that name is among those that the user has given. */
static bool among_images(struct sources *s, struct image_source *to, const char *name)
{
	for (size_t i = 0; i < s->image_count; i++)
		if (!strcasecmp(described_base(s->images[i]), described_base(name))) {
			s->image_used[i] = true;
			to->path = xstrdup(s->images[i]);
			return true;
		}
	return false;
}

/* True if path, which is below its first dir bytes, is a file there, and not elsewhere by a link. */
static bool lies_there(char *path, size_t dir)
{
	struct stat st;
	char *slash;

	for (slash = path + dir; (slash = strchr(slash + 1, '/')); *slash = '/') {
		*slash = '\0';
		if (lstat(path, &st) || !S_ISDIR(st.st_mode))
			return false;
	}
	return !lstat(path, &st) && S_ISREG(st.st_mode);
}

/* Windows and macOS find a file by a name in other letters: the one that there is. */
static char *in_other_letters(const char *path)
{
	const char *base = described_base(path);
	AUTO_FREE char *dir = xasprintf("%.*s", (int)(base - path), path);
	DIR *d = opendir(dir);
	char *found = NULL;
	struct dirent *entry;
	unsigned n = 0;

	while (d && (entry = readdir(d)))
		if (!strcasecmp(entry->d_name, base)) {
			free(found);
			found = xasprintf("%s%s", dir, entry->d_name);
			n++;
		}
	if (d)
		closedir(d);
	if (n > 1) {
		free(found);
		found = NULL;
	}
	return found;
}

/* Hidden files are no images, and what lies deeper belongs to others. */
static bool is_shallow(const char *name)
{
	const char *p;
	unsigned depth = 0;

	for (p = name; (p = strchr(p, '/')); p++)
		if (p[1] == '.' || ++depth > DEPTH_MAX)
			return false;
	return *name != '.';
}

/* A file beside the description, or in a folder below it. */
static bool beside(struct sources *s, struct image_source *to, const char *name)
{
	int dir = (int)(strrchr(s->description, '/') - s->description);
	AUTO_FREE char *path = NULL;

	while (!strncmp(name, "./", 2))
		name += 2;
	if (s->archive || !file_name_below(name) || !is_shallow(name))
		return false;
	path = xasprintf("%.*s/%s", dir, s->description, name);
	if (!lies_there(path, (size_t)dir)) {
		char *other = in_other_letters(path);

		free(path);
		path = other;
	}
	if (!path || !lies_there(path, (size_t)dir))
		return false;
	to->path = xstrdup(path);
	return true;
}

/* Windows' way to write it; malloc'ed. */
static char *with_slashes(const char *name)
{
	char *out = xstrdup(name), *p;

	for (p = out; (p = strchr(p, '\\'));)
		*p++ = '/';
	return out;
}

/* A description of this host's own means that very file, and not one that has the same name elsewhere. */
static bool is_elsewhere(const struct sources *s, const struct described_disk *k)
{
	size_t dir = (size_t)(described_base(s->description) - s->description), n = (size_t)(described_base(k->file) - k->file);

	return k->absolute && *k->file == '/' && (n != dir || memcmp(k->file, s->description, dir) != 0);
}

static int not_found(const struct sources *s, const struct described_disk *k, size_t number, struct err *e)
{
	AUTO_FREE char *label = k->label ? xstrdup(k->label) : xasprintf("#%zu", number);

	if (k->elsewhere)
		return err_set(e, ENOENT,
			       "%s: the disk %.60s is %.200s: make an image of it there, and name it (--disk %.60s=FILE), or leave it out "
			       "(--disk %.60s=none)",
			       s->description, label, k->elsewhere, label, label);
	return err_set(e, ENOENT,
		       "%s: the disk '%.200s' is not beside it: name that file, too (vmferry import %s FILE…, or --disk %.60s=FILE)",
		       s->description, k->file, described_base(s->description), label);
}

/* ---- volumes of Proxmox VE's ---- */

#define STORAGE_CFG_MAX (1u << 20)

/* A configuration of this host's means what this host has; another one may name a disk of any guest here. */
static const char *storage_cfg(const struct sources *s, const struct sources_named *named)
{
	if (named->storage_cfg)
		return named->storage_cfg;
	return text_starts_with(s->description, PVE_DIRECTORY) ? PVE_STORAGE_CFG : NULL;
}

/* The node of this cluster that the configuration's guest is on; false: the configuration is another cluster's, or the user says where its volumes are. */
static bool find_nodes(struct pve_nodes *n, const struct sources *s, const struct sources_named *named)
{
	const char *there = s->description + strlen(PVE_NODES);

	if (named->storage_cfg || !text_starts_with(s->description, PVE_NODES))
		return false;
	if (gethostname(n->here, sizeof(n->here)))
		*n->here = '\0';
	n->here[sizeof(n->here) - 1] = '\0';
	n->here[strcspn(n->here, ".")] = '\0';
	snprintf(n->there, sizeof(n->there), "%.*s", (int)strcspn(there, "/"), there);
	return true;
}

/* 1: it is not there. */
static int in_storage(const struct sources *s, struct image_source *to, struct described_disk *k, const struct sources_named *named,
		      struct err *e)
{
	const char *cfg = k->volume ? storage_cfg(s, named) : NULL;
	AUTO_CLOSE int fd = cfg ? open_regular(cfg) : -ENOENT;
	AUTO_FREE char *text = NULL, *path = NULL;
	struct pve_nodes nodes;
	struct stat st;
	size_t n;
	int r = fd < 0 ? fd : read_regular(fd, STORAGE_CFG_MAX, &text, &n);

	if (r && named->storage_cfg)
		return err_sys(e, -r, "--storage-cfg: cannot read %s", cfg);
	path = r ? NULL : pve_volume_path(text, k->volume, find_nodes(&nodes, s, named) ? &nodes : NULL);
	to->path = path ? realpath(path, NULL) : NULL; /* a volume is a link to a device */
	if (!to->path || stat(to->path, &st))
		return 1;
	if (S_ISBLK(st.st_mode))
		k->format = "raw";
	free(k->elsewhere);
	k->elsewhere = NULL;
	return 0;
}

/* The name of a volume that is no file has an ending as soon as it is copied to one. */
static bool as_copy(struct sources *s, struct image_source *to, const char *name)
{
	static const char *const endings[] = {"raw", "qcow2", "img", "vmdk", "vhdx", "vdi"};
	bool found = false;

	for (size_t i = 0; !found && i < ARRAY_LEN(endings); i++) {
		AUTO_FREE char *file = xasprintf("%s.%s", name, endings[i]);

		found = among_images(s, to, file) || beside(s, to, file);
	}
	return found;
}

static int in_directory(struct sources *s, struct image_source *to, const struct described_disk *k, size_t number, struct err *e)
{
	AUTO_FREE char *decoded = percent_decoded(k->file), *slashes = with_slashes(k->file);

	if (among_images(s, to, k->file) || beside(s, to, k->file) || beside(s, to, slashes) || beside(s, to, decoded))
		return 0;
	if (k->volume && k->elsewhere && as_copy(s, to, k->file))
		return 0;
	/* the directory is one of the host that it comes from */
	if (!is_elsewhere(s, k) && strpbrk(k->file, "/\\") && beside(s, to, described_base(k->file)))
		return 0;
	return not_found(s, k, number, e);
}

/* ---- what the user says ---- */

static bool is_called(const struct described_disk *k, size_t number, const char *name, size_t n)
{
	AUTO_FREE char *own = xasprintf("#%zu", k->number ? k->number : number), *wish = xasprintf("%.*s", (int)n, name);

	return !strcmp(wish, own) || (k->label && !strcmp(wish, k->label)) ||
	       (k->file && (!strcmp(wish, k->file) || !strcmp(wish, described_base(k->file))));
}

bool disk_is_said(const struct described_disk *k, const struct sources_named *named)
{
	for (size_t i = 0; i < named->disk_count; i++)
		if (is_called(k, k->number, named->disks[i].name, named->disks[i].name_bytes))
			return true;
	return false;
}

/* 1: the user has not said it. */
static int as_said(struct image_source *to, const struct described_disk *k, size_t number, const struct sources_named *named, struct err *e)
{
	for (size_t i = 0; i < named->disk_count; i++) {
		const struct disk_wish *w = &named->disks[i];

		if (!is_called(k, number, w->name, w->name_bytes))
			continue;
		to->path = realpath(w->file, NULL);
		return to->path ? 0 : err_sys(e, errno, "--disk %.*s: cannot open %s", (int)w->name_bytes, w->name, w->file);
	}
	return 1;
}

static int no_such_disk(const struct sources *s, const struct guest_description *d, const struct disk_wish *w, struct err *e)
{
	char *list = xstrdup(""), *longer;
	size_t i, n = 0;

	for (i = 0; i < d->disk_count; i++) {
		const struct described_disk *k = &d->disks[i];

		if (k->cdrom)
			continue;
		n++;
		longer = xasprintf("%s%s#%zu%s%.60s", list, n > 1 ? ", " : "", k->number ? k->number : n, k->label ? " " : "",
				   k->label ? k->label : "");
		free(list);
		list = longer;
	}
	err_set(e, EINVAL, "--disk %.*s: %s describes no such disk; it has %s%s%.60s", (int)MIN(w->name_bytes, 60), w->name, s->description,
		n ? list : "none", d->uefi.efi.label ? ", " : "", d->uefi.efi.label ?: "");
	free(list);
	return -EINVAL;
}

static int all_known(const struct sources *s, const struct guest_description *d, const struct sources_named *named, struct err *e)
{
	size_t i, k;

	for (i = 0; i < named->disk_count; i++) {
		const struct disk_wish *w = &named->disks[i];
		size_t number = 0;
		bool known = false;

		for (k = 0; k < d->disk_count; k++)
			known |= !d->disks[k].cdrom && is_called(&d->disks[k], ++number, w->name, w->name_bytes);
		if (!known && !(d->uefi.efi.file && is_called(&d->uefi.efi, 0, w->name, w->name_bytes)))
			return no_such_disk(s, d, w, e);
	}
	return 0;
}

static bool is_left_out(const struct described_disk *k, size_t number, const struct sources_named *named)
{
	for (size_t i = 0; i < named->disk_count; i++)
		if (!strcmp(named->disks[i].file, DISK_NONE) && is_called(k, number, named->disks[i].name, named->disks[i].name_bytes))
			return true;
	return false;
}

static bool is_any_left_out(const struct guest_description *d, const struct sources_named *named)
{
	size_t i, number = 0;

	for (i = 0; i < d->disk_count; i++)
		if (!d->disks[i].cdrom && is_left_out(&d->disks[i], ++number, named))
			return true;
	return false;
}

/* Points that stay keep their numbers. */
static int leave_out(struct sources *s, struct guest_description *d, const struct sources_named *named, struct err *e)
{
	size_t i, kept = 0, number = 0, disks = 0;

	if (!is_any_left_out(d, named))
		return 0;
	for (i = 0; i < d->disk_count; i++) {
		struct described_disk *k = &d->disks[i];

		number += !k->cdrom;
		if (!k->cdrom && !k->number)
			k->number = (unsigned)number;
		if (!k->cdrom && is_left_out(k, number, named)) {
			description_note(d, "the disk %.60s is left out (--disk)", k->label ?: k->file ?: "?");
			described_disk_fini(k);
			continue;
		}
		disks += !k->cdrom;
		if (kept != i) {
			d->disks[kept] = *k;
			s->numbers[kept] = s->numbers[i];
		}
		kept++;
	}
	for (i = kept; i < d->disk_count; i++) {
		d->disks[i] = (struct described_disk){.file = NULL};
		s->numbers[i] = 0;
	}
	d->disk_count = kept;
	return disks ? 0 : err_set(e, EINVAL, "%s: all its disks would be left out (--disk)", s->description);
}

/* The variables of its UEFI: the firmware begins with new ones, which line-decide.c notes. */
static void leave_efi_out(struct sources *s, struct guest_description *d, const struct sources_named *named)
{
	if (!d->uefi.efi.file || !is_left_out(&d->uefi.efi, 0, named))
		return;
	described_disk_fini(&d->uefi.efi);
	d->uefi.efi = (struct described_disk){.file = NULL};
	s->efi_number = 0;
}

static char *name_of(const struct described_disk *k)
{
	const char *file = k->volume ?: k->file;

	return k->label && file ? xasprintf("%.60s (%.200s)", k->label, file) : xasprintf("'%.200s'", k->label ?: file ?: "?");
}

static int would_be_same(const struct sources *s, const struct described_disk *a, const struct described_disk *b, const char *path,
			 struct err *e)
{
	AUTO_FREE char *one = name_of(a), *other = name_of(b);

	return err_set(e, EINVAL, "%s: the disks %s and %s would be the same file, %s: say of each which it is (--disk %.60s=FILE)",
		       s->description, one, other, described_base(path), b->label ?: b->file ?: "#2");
}

/* Checks that a disk's file is not that of another disk: two names from directories that are not here may mean one file. */
static int is_another(const struct sources *s, const struct guest_description *d, size_t i, struct err *e)
{
	for (size_t k = 0; k < i; k++)
		if (s->disks[k].path && !strcmp(s->disks[k].path, s->disks[i].path) && s->disks[k].offset == s->disks[i].offset)
			return would_be_same(s, &d->disks[k], &d->disks[i], s->disks[i].path, e);
	return 0;
}

static int find_disk(struct sources *s, struct described_disk *k, size_t i, size_t number, const struct sources_named *named, struct err *e)
{
	int r = as_said(&s->disks[i], k, number, named, e);

	if (r == 1 && (s->numbers[i] || (!k->file && k->capacity)))
		return 0; /* the disk is in the archive, or blank */
	if (r == 1 && !k->file)
		return not_found(s, k, number, e);
	if (r != 1) {
		free(k->elsewhere); /* a copy found at another path no longer matters */
		k->elsewhere = xstrdup(s->disks[i].path ?: "");
		if (!k->file && s->disks[i].path) /* the description has the disk as a blank one */
			k->file = xstrdup(s->disks[i].path);
		return r;
	}
	if (s->is_ova)
		return in_ova(s, &s->disks[i], k->file, e);
	if (k->volume && among_images(s, &s->disks[i], k->file))
		return 0;
	r = in_storage(s, &s->disks[i], k, named, e);
	return r == 1 ? in_directory(s, &s->disks[i], k, number, e) : r;
}

/* The firmware's variables may be missing. */
static int find_efi(struct sources *s, struct described_disk *k, const struct sources_named *named, struct err *e)
{
	struct err ignored;
	int r = as_said(&s->efi, k, 0, named, e);

	if (r == 1)
		r = in_storage(s, &s->efi, k, named, e);
	if (r == 1)
		r = in_directory(s, &s->efi, k, 0, &ignored) ? 1 : 0;
	return r == 1 ? 0 : r;
}

/* *path: of the host that the description is of. Here it may be any file, so only one beside it, or that the user has named, is the guest's. */
static bool find_boot_file(struct sources *s, char **path)
{
	struct image_source found = {.path = NULL};

	if (!among_images(s, &found, *path) && !beside(s, &found, *path) && !beside(s, &found, described_base(*path)))
		return false;
	free(*path);
	*path = found.path;
	return true;
}

static int find_boot_files(struct sources *s, struct guest_description *d, struct err *e)
{
	char **each[] = {&d->direct.kernel, &d->direct.initrd};

	for (size_t i = 0; i < ARRAY_LEN(each); i++)
		if (d->direct.kernel && *each[i] && !find_boot_file(s, each[i]))
			return err_set(
				e, ENOENT,
				"%s: the guest is started from %.200s, which is not beside it: copy it there, or name it, too (vmferry "
				"import %s FILE…)",
				s->description, *each[i], described_base(s->description));
	if (!d->uefi.nvram || find_boot_file(s, &d->uefi.nvram))
		return 0;
	description_note(d, "the variables of its UEFI, %.200s, are not beside its description, and are not named: it begins with new ones",
			 d->uefi.nvram);
	free(d->uefi.nvram);
	d->uefi.nvram = NULL;
	return 0;
}

int disk_files_find(struct sources *s, struct guest_description *d, const struct sources_named *named, struct err *e)
{
	size_t i, number = 0;
	int r = all_known(s, d, named, e) ?: leave_out(s, d, named, e);

	if (!r)
		leave_efi_out(s, d, named);
	for (i = 0; !r && i < d->disk_count; i++) {
		if (d->disks[i].cdrom)
			continue;
		r = find_disk(s, &d->disks[i], i, ++number, named, e);
		if (!r && s->disks[i].path)
			r = is_another(s, d, i, e);
	}
	if (!r && d->uefi.efi.file && !s->efi_number)
		r = find_efi(s, &d->uefi.efi, named, e);
	r = r ?: find_boot_files(s, d, e);
	for (i = 0; !r && i < s->image_count; i++)
		if (!s->image_used[i])
			r = err_set(e, EINVAL, "%s is not a disk of the guest that %s describes (--disk DISK=%s says which one it is)",
				    s->images[i], s->description, s->images[i]);
	return r;
}
