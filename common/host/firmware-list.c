/* firmware-list.c: see firmware-list.h. */
#include "firmware-list.h"
#include "json-text.h"
#include "open-regular.h"
#include "util.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DESCRIPTOR_BYTES_MAX (256u << 10)

/* The directories in which Debian and Ubuntu, Fedora and RHEL, Arch, Gentoo, and openSUSE put firmware, described or not; QEMU's own is
 * that of openSUSE. */
#define DEBIAN	 "/usr/share/OVMF", "/usr/share/ovmf", "/usr/share/qemu-efi-aarch64", "/usr/share/AAVMF", "/usr/share/seabios"
#define FEDORA	 "/usr/share/edk2/ovmf", "/usr/share/edk2/aarch64", "/usr/share/qemu-kvm"
#define ARCH	 "/usr/share/edk2/x64", "/usr/share/edk2-ovmf/x64"
#define GENTOO	 "/usr/share/edk2-ovmf", "/usr/share/edk2/OvmfX64"
#define OPENSUSE "/usr/share/qemu"

static const char *const folders[] = {DEBIAN, FEDORA, ARCH, GENTOO, OPENSUSE};

struct name {
	char *name, *path;
};

struct names {
	struct name *of;
	size_t n;
};

static bool is_json(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && !strcmp(dot, ".json");
}

/* Names of files in dir are added, but for those that the list has already. */
static void add_directory(struct names *l, const char *dir, bool json)
{
	DIR *d = opendir(dir);
	struct dirent *x;
	size_t i;

	while (d && (x = readdir(d))) {
		for (i = 0; i < l->n && strcmp(l->of[i].name, x->d_name); i++)
			;
		if (i < l->n || x->d_name[0] == '.' || (json && !is_json(x->d_name)))
			continue;
		l->of = xrealloc(l->of, (l->n + 1) * sizeof(*l->of));
		l->of[l->n++] = (struct name){xstrdup(x->d_name), xasprintf("%s/%s", dir, x->d_name)};
	}
	if (d)
		closedir(d);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

static void sort(struct names *l)
{
	if (l->n)
		qsort(l->of, l->n, sizeof(*l->of), by_name);
}

static void free_names(struct names *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->of[i].name);
		free(l->of[i].path);
	}
	free(l->of);
}

static void collect(struct names *l, const char *root)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	AUTO_FREE char *own = config && *config ? xasprintf("%s/qemu/firmware", config)
			      : home		? xasprintf("%s/.config/qemu/firmware", home)
						: NULL;
	AUTO_FREE char *etc = xasprintf("%s/etc/qemu/firmware", root), *usr = xasprintf("%s/usr/share/qemu/firmware", root);

	if (own && !*root)
		add_directory(l, own, true);
	add_directory(l, etc, true);
	add_directory(l, usr, true);
	sort(l);
}

/* A descriptor that is empty masks those of its name in later directories. */
static json_t *load(const char *path)
{
	AUTO_CLOSE int fd = open_regular(path);
	AUTO_FREE char *text = NULL;
	size_t n = 0;

	return fd >= 0 && !read_regular(fd, DESCRIPTOR_BYTES_MAX, &text, &n) && n ? json_loadb(text, n, 0, NULL) : NULL;
}

bool firmware_each(const char *root, firmware_descriptor_fn fn, void *ctx)
{
	struct names l = {.n = 0};
	bool found = false;

	collect(&l, root);
	for (size_t i = 0; i < l.n && !found; i++) {
		json_t *o = load(l.of[i].path);

		found = fn(ctx, o);
		json_decref(o);
	}
	free_names(&l);
	return found;
}

struct file_search {
	const char *root;
	firmware_file_fn fn;
	void *ctx;
};

static bool try_file(const struct file_search *s, const json_t *o, const char *key)
{
	const char *path = json_text(o, key);
	AUTO_FREE char *there = path ? xasprintf("%s%s", s->root, path) : NULL;

	return path && *path == '/' && s->fn(s->ctx, there);
}

/* The code of a flash, or what is loaded as memory is (-bios). */
static bool on_descriptor(void *ctx, const json_t *descriptor)
{
	const json_t *mapping = json_object_get(descriptor, "mapping");

	return try_file(ctx, json_object_get(mapping, "executable"), "filename") || try_file(ctx, mapping, "filename");
}

bool firmware_each_file(const char *root, firmware_file_fn fn, void *ctx)
{
	struct file_search s = {root, fn, ctx};
	bool found = firmware_each(root, on_descriptor, &s);
	size_t i, k;

	for (i = 0; i < ARRAY_LEN(folders) && !found; i++) {
		AUTO_FREE char *dir = xasprintf("%s%s", root, folders[i]);
		struct names l = {.n = 0};

		add_directory(&l, dir, false);
		sort(&l);
		for (k = 0; k < l.n && !found; k++)
			found = fn(ctx, l.of[k].path);
		free_names(&l);
	}
	return found;
}
