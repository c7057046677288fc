/* qemu-args-machine.c: the rules of qemu-args.c for the machine, its kernel and other files, and QEMU's process. */
#include "qemu-args-rules.h"
#include "util.h"

#include <errno.h>
#include <string.h>

/* The machine */

/* A bare name is looked up in QEMU's own data directory. */
static bool is_data_file(const char *value)
{
	return !strchr(value, '/');
}

int args_on_machine(struct rewrite *w, struct item *it)
{
	static const struct {
		const char *key;
		enum args_role role;
	} files[] = {{"kernel", ARGS_KERNEL}, {"initrd", ARGS_INITRD}, {"dtb", ARGS_DTB}, {"shim", ARGS_SHIM}, {"firmware", ARGS_BIOS}};
	struct kv *type = kv_find(&it->p.l, "type", "type"), *p;

	if (kv_get(&it->p.l, "confidential-guest-support", NULL) || kv_get(&it->p.l, "memory-encryption", NULL))
		return err_set(w->e, EINVAL, "the guest's memory is encrypted (-%s %s): QEMU cannot migrate it", it->name, it->value);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		p = kv_find(&it->p.l, files[i].key, NULL);
		if (p && *p->value && (files[i].role != ARGS_BIOS || !is_data_file(p->value)))
			args_file(w, it, files[i].role, true, NULL, &p->value);
	}
	if (type) {
		w->machine_typed = true;
		if (w->o->machine && strcmp(type->value, w->o->machine)) {
			args_note(w, w->o->no_state ? "machine type %s becomes %s" : "machine type %s is pinned to %s", type->value,
				  w->o->machine);
			kv_replace(&type->value, xstrdup(w->o->machine));
		}
	}
	args_emit_item(w, it);
	return 0;
}

int args_on_accel(struct rewrite *w, struct item *it)
{
	static const char *const elsewhere[] = {"xen", "hvf", "whpx", "nvmm", "hax", "qtest", "mshv"};
	const char *accel = kv_get(&it->p.l, "accel", "accel");

	if (accel && args_among(accel, elsewhere, ARRAY_LEN(elsewhere)))
		return err_set(w->e, EINVAL, "the guest runs with -accel %s: only guests of KVM and TCG can be moved", accel);
	args_emit_item(w, it);
	return 0;
}

int args_on_cpu(struct rewrite *w, struct item *it)
{
	size_t n = strcspn(it->value, ",");

	if ((n == 4 && text_starts_with(it->value, "host")) || (n == 3 && text_starts_with(it->value, "max")))
		args_note(w,
			  "-cpu %.*s shows the guest the processor that it is on: the destination's must have all that it "
			  "was shown here",
			  (int)n, it->value);
	args_emit(w, it->name, it->value);
	return 0;
}

int args_on_mem_path(struct rewrite *w, struct item *it)
{
	AUTO_FREE char *path = xstrdup(it->value);

	args_file(w, it, ARGS_MEMORY, false, NULL, &path);
	args_emit(w, it->name, path);
	return 0;
}

int args_on_icount(struct rewrite *w, struct item *it)
{
	if (kv_get(&it->p.l, "rr", NULL))
		return err_set(w->e, EINVAL, "the guest is being recorded or replayed (-icount %s): QEMU cannot migrate it", it->value);
	args_emit_item(w, it);
	return 0;
}

static bool is_on(const char *value)
{
	return value && (!strcmp(value, "on") || !strcmp(value, "yes") || !strcmp(value, "true"));
}

/* -runas and -chroot until QEMU 9, -run-with since. */
int args_on_run_with(struct rewrite *w, struct item *it)
{
	const char *user = strcmp(it->name, "runas") ? kv_get(&it->p.l, "user", NULL) : it->value;

	if (!strcmp(it->name, "chroot") || kv_get(&it->p.l, "chroot", NULL))
		return err_set(w->e, EINVAL,
			       "QEMU runs in a chroot (-%s %s), from where it reaches neither vmferry's sockets "
			       "nor the files that it was started with",
			       it->name, it->value);
	if (w->o->private_qmp && is_on(kv_get(&it->p.l, "exit-with-parent", NULL)))
		return err_set(w->e, EINVAL,
			       "QEMU ends with what started it (-run-with %s), which is vmferry at the destination: start it without",
			       it->value);
	if (user)
		return err_set(w->e, EINVAL,
			       "QEMU gave up its rights after it had started (-%s %s), so that it cannot reach "
			       "vmferry's sockets; start it as user %s instead",
			       it->name, it->value, user);
	args_emit(w, it->name, it->value);
	return 0;
}

/* Files */

int args_on_data_file(struct rewrite *w, struct item *it)
{
	AUTO_FREE char *path = xstrdup(it->value);

	if (!is_data_file(path))
		args_file(w, it, strcmp(it->name, "bios") ? ARGS_ROM : ARGS_BIOS, true, NULL, &path);
	args_emit(w, it->name, path);
	return 0;
}

int args_on_option_rom(struct rewrite *w, struct item *it)
{
	struct kv *file = kv_find(&it->p.l, "romfile", "romfile");

	if (file && !is_data_file(file->value))
		args_file(w, it, ARGS_ROM, true, NULL, &file->value);
	args_emit_item(w, it);
	return 0;
}

/* "FILE", or "FILE ARGUMENTS,FILE ARGUMENTS" for multiboot. */
int args_on_initrd(struct rewrite *w, struct item *it)
{
	AUTO_FREE char *list = xstrdup(it->value);
	char *out = xstrdup(""), *module, *save = NULL;
	bool multi = strchr(list, ',') != NULL;

	for (module = strtok_r(list, ",", &save); module; module = strtok_r(NULL, ",", &save)) {
		size_t n = multi ? strcspn(module, " ") : strlen(module);
		char *path = xasprintf("%.*s", (int)n, module);

		args_file(w, it, ARGS_INITRD, true, NULL, &path);
		kv_replace(&out, xasprintf("%s%s%s%s", out, *out ? "," : "", path, module + n));
		free(path);
	}
	args_emit(w, it->name, out);
	free(out);
	return 0;
}

/* data=FILE:FILE… */
static void map_file_list(struct rewrite *w, const struct item *it, enum args_role role, char **value)
{
	AUTO_FREE char *list = xstrdup(*value);
	char *out = xstrdup(""), *name, *save = NULL;

	for (name = strtok_r(list, ":", &save); name; name = strtok_r(NULL, ":", &save)) {
		char *path = xstrdup(name);

		args_file(w, it, role, true, NULL, &path);
		kv_replace(&out, xasprintf("%s%s%s", out, *out ? ":" : "", path));
		free(path);
	}
	kv_replace(value, out);
}

/* Options whose only files are named by one or two keys. */
int args_on_file_keys(struct rewrite *w, struct item *it)
{
	static const struct {
		const char *option, *key;
		enum args_role role;
		bool list;
	} keys[] = {
		{"fw_cfg", "file", ARGS_FW_CFG, false},	     {"smbios", "file", ARGS_SMBIOS, false},
		{"smbios", "path", ARGS_SMBIOS, false},	     {"acpitable", "file", ARGS_ACPITABLE, true},
		{"acpitable", "data", ARGS_ACPITABLE, true}, {"boot", "splash", ARGS_DATA, false},
		{"plugin", "file", ARGS_DATA, false},
	};
	size_t i, k;

	for (i = 0; i < it->p.l.n; i++) {
		for (k = 0; k < ARRAY_LEN(keys); k++) {
			struct kv *p = &it->p.l.v[i];

			if (strcmp(keys[k].option, it->name) || !p->key || strcmp(keys[k].key, p->key) ||
			    (keys[k].role == ARGS_DATA && is_data_file(p->value)))
				continue;
			if (keys[k].list)
				map_file_list(w, it, keys[k].role, &p->value);
			else
				args_file(w, it, keys[k].role, true, NULL, &p->value);
		}
	}
	args_emit_item(w, it);
	return 0;
}

int args_on_trace(struct rewrite *w, struct item *it)
{
	struct kv *p = kv_find(&it->p.l, "file", NULL);

	if (p && args_check_in_place(w, it, ARGS_EMPTIED))
		return -w->e->code;
	if (p)
		args_file(w, it, ARGS_LOG, false, "-trace file", &p->value);
	p = kv_find(&it->p.l, "events", NULL);
	if (p)
		args_file(w, it, ARGS_DATA, true, "-trace events", &p->value);
	args_emit_item(w, it);
	return 0;
}

/* Options that QEMU dropped between 7 and 10 become those that replaced them, which older versions know, too. */
int args_on_old_word(struct rewrite *w, struct item *it)
{
	static const struct {
		const char *name, *option, *value;
	} words[] = {
		{"no-hpet", "machine", "hpet=off"},
		{"no-acpi", "machine", "acpi=off"},
		{"watchdog", "device", NULL},
	};
	size_t i;

	for (i = 0; strcmp(words[i].name, it->name); i++)
		;
	args_emit(w, words[i].option, words[i].value ? words[i].value : it->value);
	return 0;
}
