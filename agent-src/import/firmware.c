/* firmware.c: see firmware.h. */
#include "firmware.h"
#include "json-text.h"
#include "open-regular.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define DESCRIPTOR_BYTES_MAX (256u << 10)

struct descriptor {
	char *name, *path;
};

struct descriptors {
	struct descriptor *of;
	size_t n;
};

static void add_directory(struct descriptors *l, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *x;
	size_t i;

	while (d && (x = readdir(d))) {
		const char *dot = strrchr(x->d_name, '.');

		for (i = 0; i < l->n && strcmp(l->of[i].name, x->d_name); i++)
			;
		if (i < l->n || !dot || strcmp(dot, ".json"))
			continue;
		l->of = xrealloc(l->of, (l->n + 1) * sizeof(*l->of));
		l->of[l->n++] = (struct descriptor){xstrdup(x->d_name), xasprintf("%s/%s", dir, x->d_name)};
	}
	if (d)
		closedir(d);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct descriptor *)a)->name, ((const struct descriptor *)b)->name);
}

static void collect(struct descriptors *l)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	AUTO_FREE char *own = config && *config ? xasprintf("%s/qemu/firmware", config)
			      : home		? xasprintf("%s/.config/qemu/firmware", home)
						: NULL;

	if (own)
		add_directory(l, own);
	add_directory(l, "/etc/qemu/firmware");
	add_directory(l, "/usr/share/qemu/firmware");
	if (l->n)
		qsort(l->of, l->n, sizeof(*l->of), by_name);
}

static json_t *load(const char *path)
{
	int fd = open_regular(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "re");
	char *text = xmalloc(DESCRIPTOR_BYTES_MAX);
	size_t n = f ? fread(text, 1, DESCRIPTOR_BYTES_MAX, f) : 0;
	json_t *o = n && n < DESCRIPTOR_BYTES_MAX ? json_loadb(text, n, 0, NULL) : NULL; /* one that is empty masks those below it */

	if (f)
		fclose(f);
	else if (fd >= 0)
		close(fd);
	free(text);
	return o;
}

static bool has_word(const json_t *list, const char *word)
{
	const json_t *x;
	size_t i;

	json_array_foreach(list, i, x)
		if (json_is_string(x) && !strcmp(json_string_value(x), word))
			return true;
	return false;
}

static bool is_for(const json_t *targets, const char *machine)
{
	const json_t *target, *pattern;
	size_t i, k;

	json_array_foreach(targets, i, target) {
		const char *arch = json_text(target, "architecture");

		json_array_foreach(json_object_get(target, "machines"), k, pattern)
			if (arch && !strcmp(arch, "x86_64") && json_is_string(pattern) &&
			    !fnmatch(json_string_value(pattern), machine, FNM_NOESCAPE))
				return true;
	}
	return false;
}

static char *dup_text(const json_t *o, const char *key)
{
	const char *s = json_text(o, key);

	return s ? xstrdup(s) : NULL;
}

/* Whether it fits, and then what it is. */
static bool take(struct firmware *f, const json_t *o, const char *machine, bool secure_boot)
{
	const json_t *features = json_object_get(o, "features"), *mapping = json_object_get(o, "mapping");
	const json_t *code = json_object_get(mapping, "executable"), *vars = json_object_get(mapping, "nvram-template");
	const char *device = json_text(mapping, "device"), *mode = json_text(mapping, "mode");

	if (!has_word(json_object_get(o, "interface-types"), "uefi") || !device || strcmp(device, "flash") ||
	    (mode && strcmp(mode, "split")) || !is_for(json_object_get(o, "targets"), machine))
		return false;
	if (has_word(features, "secure-boot") != secure_boot || has_word(features, "enrolled-keys") != secure_boot ||
	    has_word(features, "amd-sev-es") || has_word(features, "intel-tdx"))
		return false;
	if (!json_text(code, "filename") || !json_text(vars, "filename") || access(json_text(code, "filename"), R_OK) ||
	    access(json_text(vars, "filename"), R_OK))
		return false;
	f->code = dup_text(code, "filename");
	f->code_format = dup_text(code, "format");
	f->vars = dup_text(vars, "filename");
	f->vars_format = dup_text(vars, "format");
	f->smm = has_word(features, "requires-smm");
	return true;
}

int firmware_find(struct firmware *out, const char *machine, bool secure_boot, struct err *e)
{
	struct descriptors l = {.n = 0};
	bool found = false;
	size_t i;

	*out = (struct firmware){.code = NULL};
	collect(&l);
	for (i = 0; i < l.n; i++) {
		json_t *o = found ? NULL : load(l.of[i].path);

		found = found || take(out, o, machine, secure_boot);
		json_decref(o);
		free(l.of[i].name);
		free(l.of[i].path);
	}
	free(l.of);
	if (!found)
		return err_set(e, ENOENT,
			       "no UEFI firmware%s for %s is described in /usr/share/qemu/firmware or /etc/qemu/firmware: apt install ovmf",
			       secure_boot ? " with secure boot" : "", machine);
	return 0;
}

void firmware_fini(struct firmware *f)
{
	free(f->code);
	free(f->code_format);
	free(f->vars);
	free(f->vars_format);
	*f = (struct firmware){.code = NULL};
}
