/* qemu-args-devices.c: the rules of qemu-args.c for -device, -object, file systems and TPMs: which of them cannot leave the host. */
#include "qemu-args-rules.h"
#include "util.h"

#include <errno.h>
#include <string.h>

#define OF_THE_HOST   "it is a device of this host"
#define OTHER_PROCESS "another process holds a part of its state, behind a socket"
#define QEMU_CANNOT   "QEMU cannot migrate it"
#define ENCRYPTED     "the guest's memory is encrypted, and QEMU cannot migrate it"

struct refusal {
	const char *name; /* '*' at the end: anything */
	const char *why;
};

static const struct refusal refused_devices[] = {
	{"vfio-*", OF_THE_HOST},
	{"pci-assign", OF_THE_HOST},
	{"usb-host", OF_THE_HOST},
	{"scsi-block", OF_THE_HOST},
	{"scsi-generic", OF_THE_HOST},
	{"vhost-scsi*", OF_THE_HOST},
	{"vhost-vdpa*", OF_THE_HOST},
	{"virtio-input-host*", OF_THE_HOST},
	{"u2f-passthru", OF_THE_HOST},
	{"xen-*", OF_THE_HOST},
	{"vhost-user-*", OTHER_PROCESS},
	{"ivshmem*", "its memory is shared with other processes of this host"},
	{"x-pci-proxy-dev", OTHER_PROCESS},
	{"virtio-pmem*", "what it keeps is in a file that QEMU does not carry along, and vmferry does not either"},
	/* QEMU reports other devices that it cannot migrate (qemu-blocked.h), but not these */
	{"virtio-gpu-rutabaga*", QEMU_CANNOT " while it renders on the host's GPU; use virtio-gpu-pci"},
	{"virtio-vga-rutabaga", QEMU_CANNOT " while it renders on the host's GPU; use virtio-vga"},
};

static const struct refusal refused_objects[] = {
	{"sev-guest", ENCRYPTED},
	{"sev-snp-guest", ENCRYPTED},
	{"tdx-guest", ENCRYPTED},
	{"memory-backend-epc", ENCRYPTED},
	{"iommufd", OF_THE_HOST},
	{"input-linux", OF_THE_HOST},
	{"pr-manager-helper", "persistent reservations belong to this host"},
	{"cryptodev-vhost-user", OTHER_PROCESS},
	{"cryptodev-lkcf", OF_THE_HOST},
	{"x-remote-object", OTHER_PROCESS},
	{"x-vfio-user-server", OTHER_PROCESS},
	{"dbus-vmstate", OTHER_PROCESS},
	{"qtest", "it is driven by QEMU's own test program"},
	{"colo-compare", "the guest is one of a pair (COLO)"},
};

/* True if a guest that starts anew may keep the device: QEMU need not migrate it, and the other host may have such a device, too. */
static bool goes_anew(struct rewrite *w, const struct item *it, const char *name, const char *why)
{
	if (w->o->at_rest && !strcmp(why, OTHER_PROCESS)) { /* the device holds no state of a guest that is shut down */
		args_note(w, "-%s %s" ARGS_START_PROCESS ", with the socket by this name, before the guest", it->name, name);
		return true;
	}
	if (!w->o->no_state || (!text_starts_with(why, QEMU_CANNOT) && strcmp(why, OF_THE_HOST)))
		return false;
	if (!strcmp(why, OF_THE_HOST))
		args_note(w, "-%s %s" ARGS_HAVE_DEVICE " that is called the same", it->name, name);
	return true;
}

static int check_refused(struct rewrite *w, const struct item *it, const struct refusal *list, size_t count, const char *name)
{
	for (size_t i = 0; name && i < count; i++)
		if (args_among(name, &list[i].name, 1) && !goes_anew(w, it, name, list[i].why))
			return err_set(w->e, EINVAL, "the guest has -%s %s: %s", it->name, name, list[i].why);
	return 0;
}

/* The keys that name files, by the option, the kind of device or object, and the key. */
static const struct file_key {
	const char *option, *kind, *key;
	enum args_role role;
	bool read_only;
} file_keys[] = {
	{"device", "loader", "file", ARGS_DATA, true},
	{"device", "guest-loader", "kernel", ARGS_KERNEL, true},
	{"device", "guest-loader", "initrd", ARGS_INITRD, true},
	{"device", "*", "romfile", ARGS_ROM, true},
	{"device", "ipmi-bmc-sim", "frudatafile", ARGS_DATA, true},
	{"device", "ipmi-bmc-sim", "sdrfile", ARGS_DATA, true},
	{"object", "memory-backend-file", "mem-path", ARGS_MEMORY, false},
	{"object", "rng-random", "filename", ARGS_HOST_DEVICE, true},
	{"object", "secret", "file", ARGS_SECRET, true},
	{"object", "tls-creds-*", "dir", ARGS_SECRET, true},
	{"object", "tls-cipher-suites", "dir", ARGS_SECRET, true},
	{"object", "authz-list-file", "filename", ARGS_SECRET, true},
	{"object", "filter-dump", "file", ARGS_LOG, false},
	{"object", "igvm-cfg", "file", ARGS_DATA, true},
	{"fsdev", "local", "path", ARGS_DIRECTORY, false},
	{"virtfs", "local", "path", ARGS_DIRECTORY, false},
};

/* True for memory of an nvdimm, whose contents outlive the guest. */
static bool is_kept(const struct rewrite *w, const struct item *object)
{
	const struct item *device = args_find(w, "device", "memdev", kv_get(&object->p.l, "id", NULL));
	const char *driver = device ? kv_get(&device->p.l, "driver", "driver") : NULL;

	return driver && !strcmp(driver, "nvdimm");
}

/* The row for this key; NULL: it names no file, or one of QEMU's own. */
static const struct file_key *file_key_of(const char *option, const char *kind, const char *key, const char *value)
{
	for (size_t k = 0; key && *value && k < ARRAY_LEN(file_keys); k++) {
		const struct file_key *f = &file_keys[k];

		if (!strcmp(f->option, option) && !strcmp(f->key, key) && args_among(kind, &f->kind, 1))
			/* a bare name is one of QEMU's own ROMs */
			return f->role != ARGS_ROM || strchr(value, '/') ? f : NULL;
	}
	return NULL;
}

/* Adds the object's size to its directory's: two objects may have their files in the same one. */
static void count_memory(struct rewrite *w, const struct item *it, const char *path)
{
	uint64_t bytes;

	if (parse_bytes(kv_get(&it->p.l, "size", NULL) ?: "", &bytes))
		return;
	for (size_t i = 0; i < w->r->file_count; i++)
		if (args_role_is_memory(w->r->files[i].role) && !strcmp(w->r->files[i].path, path))
			w->r->files[i].bytes += bytes;
}

static void map_files(struct rewrite *w, struct item *it, const char *kind)
{
	bool shared = kv_flag(&it->p.l, "share", false), kept = is_kept(w, it), closed = kv_flag(&it->p.l, "readonly", false);

	for (size_t i = 0; kind && i < it->p.l.n; i++) {
		struct kv *p = &it->p.l.v[i];
		const struct file_key *f = file_key_of(it->name, kind, p->key, p->value);

		AUTO_FREE char *from = f && f->role == ARGS_MEMORY ? qemu_args_absolute(w->o->cwd, p->value) : NULL;

		if (f)
			args_file(w, it, kept ? ARGS_PMEM : f->role,
				  f->read_only || (f->role == ARGS_MEMORY && !shared) || (f->role == ARGS_DIRECTORY && closed), NULL,
				  &p->value);
		if (from)
			count_memory(w, it, from);
	}
}

/* A property of every device of a kind, DRIVER.PROPERTY=VALUE or driver=,property=,value=: a property that names a file in -device names
 * one here, too. */
int args_on_global(struct rewrite *w, struct item *it)
{
	size_t n = strcspn(it->value, ".="), equals = strcspn(it->value, "=");
	bool dotted = it->value[n] == '.' && it->value[equals];
	AUTO_FREE char *driver = dotted ? xstrndup(it->value, n) : xstrdup(kv_get(&it->p.l, "driver", NULL) ?: "");
	AUTO_FREE char *key = dotted ? xstrndup(it->value + n + 1, equals - n - 1) : xstrdup(kv_get(&it->p.l, "property", NULL) ?: "");
	struct kv *given = dotted ? NULL : kv_find(&it->p.l, "value", NULL);
	AUTO_FREE char *value = xstrdup(dotted ? it->value + equals + 1 : given ? given->value : "");
	const struct file_key *f = file_key_of("device", driver, key, value);

	if (f)
		args_file(w, it, f->role, f->read_only, NULL, &value);
	if (f && dotted) {
		AUTO_FREE char *text = xasprintf("%s.%s=%s", driver, key, value);

		args_emit(w, it->name, text);
	} else if (f) {
		kv_replace(&given->value, xstrdup(value));
		args_emit_item(w, it);
	} else {
		args_emit(w, it->name, it->value);
	}
	return 0;
}

/* A device whose medium stays behind keeps no drive. */
static void drop_ejected(struct rewrite *w, struct item *it)
{
	const struct item *node = args_find(w, "blockdev", "node-name", kv_get(&it->p.l, "drive", NULL));

	if (node && node->ejected)
		kv_remove(&it->p.l, "drive");
}

/* The generation ID belongs to the guest, not to its QEMU. */
static void keep_generation(struct rewrite *w, struct item *it, const char *driver)
{
	struct kv *guid = driver && !strcmp(driver, "vmgenid") ? kv_find(&it->p.l, "guid", NULL) : NULL;

	if (!guid || strcmp(guid->value, "auto") || !w->o->vmgenid)
		return;
	kv_replace(&guid->value, xstrdup(w->o->vmgenid));
	args_note(w, "-device vmgenid keeps the guid that it has now, %s", w->o->vmgenid);
}

int args_on_device(struct rewrite *w, struct item *it)
{
	const char *driver = kv_get(&it->p.l, "driver", "driver");
	int r = check_refused(w, it, refused_devices, ARRAY_LEN(refused_devices), driver);

	if (r < 0)
		return r;
	if (text_starts_with(driver, "vhost-vsock") && args_check_in_place(w, it, "only one guest of a host has that vsock address"))
		return -w->e->code;
	if (text_starts_with(driver, "vhost-vsock"))
		args_note(w, "vsock address guest-cid=%s must be free on the destination; connections to the guest end",
			  kv_get(&it->p.l, "guest-cid", NULL) ? kv_get(&it->p.l, "guest-cid", NULL) : "?");
	keep_generation(w, it, driver);
	drop_ejected(w, it);
	map_files(w, it, driver);
	args_emit_item(w, it);
	return 0;
}

static void note_memory(struct rewrite *w, const struct item *it, const char *kind)
{
	const char *path = kv_get(&it->p.l, "mem-path", NULL);

	if (path && kv_flag(&it->p.l, "share", false) && !args_find_map(w, path))
		args_note(w, "guest memory is backed by %s: the destination must not see the same file as the source", path);
	if ((path && strstr(path, "hugepages")) || kv_flag(&it->p.l, "hugetlb", false))
		args_note(w, "-object %s of size %s needs as many huge pages on the destination", kind,
			  kv_get(&it->p.l, "size", NULL) ? kv_get(&it->p.l, "size", NULL) : "?");
}

int args_on_object(struct rewrite *w, struct item *it)
{
	const char *kind = kv_get(&it->p.l, "qom-type", "qom-type");
	int r = check_refused(w, it, refused_objects, ARRAY_LEN(refused_objects), kind);

	if (r < 0)
		return r;
	if (kind && !strcmp(kind, "filter-dump") && args_check_in_place(w, it, ARGS_EMPTIED))
		return -w->e->code;
	if (text_starts_with(kind, "memory-backend-"))
		note_memory(w, it, kind);
	map_files(w, it, kind);
	args_emit_item(w, it);
	return 0;
}

/* 9p: QEMU itself blocks migration for as long as the guest has it mounted. */
int args_on_fsdev(struct rewrite *w, struct item *it)
{
	const char *driver = kv_get(&it->p.l, "fsdriver", "fsdriver");

	if (driver && !strcmp(driver, "proxy"))
		return err_set(w->e, EINVAL, "the guest has -%s proxy: %s", it->name, OTHER_PROCESS);
	if (driver && !strcmp(driver, "local"))
		args_note(w,
			  "-%s shares a directory: the guest must have it unmounted during the move, and finds the "
			  "destination's directory of that name afterwards",
			  it->name);
	map_files(w, it, driver);
	args_emit_item(w, it);
	return 0;
}

/* A swtpm holds the TPM's state, and QEMU fetches it from there when it migrates. */
static int on_swtpm(struct rewrite *w, const struct item *it)
{
	const struct item *chardev = args_find(w, "chardev", "id", kv_get(&it->p.l, "chardev", NULL));
	const char *backend = chardev ? kv_get(&chardev->p.l, "backend", "backend") : NULL;

	if (!w->o->tpm)
		return err_set(w->e, EINVAL,
			       "the guest has a TPM (-tpmdev emulator): what that holds is in a swtpm process, and goes along only when "
			       "the guest is moved");
	if (!backend || strcmp(backend, "socket") || !kv_get(&chardev->p.l, "path", NULL) || kv_flag(&chardev->p.l, "server", false))
		return err_set(w->e, EINVAL,
			       "the guest has a TPM (-tpmdev emulator) that is not reached at a unix socket of a swtpm "
			       "(-chardev socket,id=…,path=…)");
	args_emit_item(w, it);
	return 0;
}

int args_on_tpmdev(struct rewrite *w, struct item *it)
{
	const char *type = kv_get(&it->p.l, "type", "type");

	if (type && !strcmp(type, "emulator"))
		return on_swtpm(w, it);
	if (type && !strcmp(type, "passthrough") && w->o->no_state) {
		args_note(
			w,
			"-tpmdev passthrough is the TPM of the host: the guest finds another one, and cannot use what this one has sealed");
		args_emit_item(w, it);
		return 0;
	}
	return err_set(w->e, EINVAL, "the guest has -tpmdev %s: %s", type ? type : "?", OF_THE_HOST);
}

int args_on_usbdevice(struct rewrite *w, struct item *it)
{
	if (text_starts_with(it->value, "host:"))
		return err_set(w->e, EINVAL, "the guest has -usbdevice %s: %s", it->value, OF_THE_HOST);
	args_emit(w, it->name, it->value);
	return 0;
}
