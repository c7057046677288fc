/* firmware.c: see firmware.h. */
#include "firmware.h"
#include "firmware-list.h"
#include "json-text.h"
#include "util.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>
#include <unistd.h>

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

/* True if the firmware fits; *f then describes it. */
static bool take(struct firmware *f, const json_t *o, const char *machine, bool secure_boot)
{
	const json_t *features = json_object_get(o, "features"), *mapping = json_object_get(o, "mapping");
	const json_t *code = json_object_get(mapping, "executable"), *vars = json_object_get(mapping, "nvram-template");
	const char *device = json_text(mapping, "device"), *mode = json_text(mapping, "mode");

	if (!json_find(json_object_get(o, "interface-types"), NULL, "uefi") || !device || strcmp(device, "flash") ||
	    (mode && strcmp(mode, "split")) || !is_for(json_object_get(o, "targets"), machine))
		return false;
	if (!json_find(features, NULL, "secure-boot") != !secure_boot || !json_find(features, NULL, "enrolled-keys") != !secure_boot ||
	    json_find(features, NULL, "amd-sev-es") || json_find(features, NULL, "intel-tdx"))
		return false;
	if (!json_text(code, "filename") || !json_text(vars, "filename") || access(json_text(code, "filename"), R_OK) ||
	    access(json_text(vars, "filename"), R_OK))
		return false;
	f->code = xstrdup(json_text(code, "filename"));
	f->code_format = xstrdup(json_text(code, "format"));
	f->vars = xstrdup(json_text(vars, "filename"));
	f->smm = json_find(features, NULL, "requires-smm");
	return true;
}

struct wish {
	struct firmware *out;
	const char *machine;
	bool secure_boot;
};

static bool on_descriptor(void *ctx, const json_t *descriptor)
{
	const struct wish *w = ctx;

	return take(w->out, descriptor, w->machine, w->secure_boot);
}

int firmware_find(struct firmware *out, const char *machine, bool secure_boot, struct err *e)
{
	struct wish w = {out, machine, secure_boot};

	*out = (struct firmware){.code = NULL};
	if (firmware_each("", on_descriptor, &w))
		return 0;
	return err_set(
		e, ENOENT,
		"no UEFI firmware%s for %s is described in /usr/share/qemu/firmware or /etc/qemu/firmware: install it " FIRMWARE_PACKAGES,
		secure_boot ? " with secure boot" : "", machine);
}

void firmware_fini(struct firmware *f)
{
	FREE_ALL(f->code, f->code_format, f->vars);
	*f = (struct firmware){.code = NULL};
}
