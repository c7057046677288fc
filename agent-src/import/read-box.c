/* read-box.c: metadata.json of a Vagrant box of the provider libvirt: which images it has. All else of its machine is that provider's default. */
#include "json-text.h"
#include "readers.h"
#include "util.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static int check_provider(const json_t *o, struct err *e)
{
	const char *provider = json_text(o, "provider"), *arch = json_text(o, "architecture");

	if (!provider || (strcmp(provider, "libvirt") && strcmp(provider, "qemu")))
		return err_set(e, EINVAL, "a box of the provider '%.40s', with neither an OVF nor a VMX", provider ? provider : "?");
	if (arch && strcmp(arch, "amd64") && strcmp(arch, "x86_64") && strcmp(arch, "i386"))
		return err_set(e, EINVAL, "the processor is %.40s; only x86_64 and i686 can be imported", arch);
	return 0;
}

static void add_disk(struct guest_description *d, const char *path, const char *format)
{
	struct described_disk *k = description_add_disk(d);

	if (!k)
		return;
	k->label = xasprintf("disk%zu", d->disk_count);
	k->file = xstrdup(path);
	k->bus = BUS_VIRTIO;
	k->format = format && !strcmp(format, "raw") ? "raw" : NULL;
}

static int add_disks(struct guest_description *d, const json_t *o, struct err *e)
{
	const json_t *disks = json_object_get(o, "disks"), *each;
	size_t i;

	if (!json_is_array(disks)) {
		add_disk(d, "box.img", json_text(o, "format"));
		return 0;
	}
	json_array_foreach(disks, i, each) {
		const char *path = json_text(each, "path");

		if (!path)
			return err_set(e, EINVAL, "the disk #%zu has no path", i + 1);
		add_disk(d, path, json_text(each, "format"));
	}
	return 0;
}

static int read_guest(struct guest_description *d, const json_t *o, struct err *e)
{
	struct described_nic *nic;
	int r = check_provider(o, e) ?: add_disks(d, o, e);

	if (r)
		return r;
	d->origin = xstrdup("Vagrant box");
	d->system.of_qemu = true;
	d->machine = MACHINE_PC;
	nic = description_add_nic(d);
	described_nic_model(d, nic, "virtio");
	description_note(d, "a box says nothing of memory and processors: it has what is usual here (--memory, --cpus)");
	return 0;
}

int read_box(struct guest_description *d, const char *text, size_t n, struct err *e)
{
	json_error_t why;
	json_auto_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);

	return json_is_object(o) ? read_guest(d, o, e) : err_set(e, EINVAL, "metadata.json is not a JSON object: %s", why.text);
}
