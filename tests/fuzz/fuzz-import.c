/*
 * fuzz-import.c: libFuzzer on what vmferry import (agent-src/import) reads: descriptions, manifests and headers of images, which strangers made.
 * Archives are fuzz-archive.c's.
 *
 * The first byte says which it is. What a reader takes becomes a command line, with a QEMU that has some devices and not others.
 */
#include "disk-content.h"
#include "foreign-image.h"
#include "networks.h"
#include "ova.h"
#include "pve-storage.h"
#include "qcow2-end.h"
#include "qemu-line.h"
#include "readers.h"
#include "seed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Kinds of input, which the first byte tells: a description of each reader; behind them what is read beside descriptions. */
static const struct {
	int (*read)(struct guest_description *d, const char *text, size_t n, struct err *e);
	const char *seed; /* a file of tests/data/import */
} readers[] = {
	{read_ovf, "virtualbox.ovf"},
	{read_ovf, "ovirt.ovf"},
	{read_vmx, "esxi.vmx"},
	{read_libvirt, "agent-and-serial.libvirt.xml"},
	{read_hyperv, "generation1.hyperv.xml"},
	{read_hyperv_json, "generation2.hyperv.json"},
	{read_virtualbox, "linux.vbox"},
	{read_xva, "xcp-ng.ova.xml"},
	{read_proxmox, "windows.proxmox.conf"},
	{read_quickemu, "linux.quickemu.conf"},
	{read_box, "two-images.box.json"},
	{read_utm, "linux.plist"},
};
enum { KIND_MANIFEST = ARRAY_LEN(readers), KIND_IMAGE, KIND_CONTENT, KIND_QCOW2, KIND_STORAGE, KINDS };

static void seed(unsigned kind, const char *name, const char *p, size_t n)
{
	char text[16384];

	require(n < sizeof(text));
	text[0] = (char)kind;
	memcpy(text + 1, p, n);
	seed_write(name, text, n + 1);
}

static void write_seeds(void)
{
	static const char manifest[] = "SHA1(a b.vmdk)= a9993e364706816aba3e25717850c26c9cd0d89d\n";
	/* clusters of 512 bytes: the list of tables in the first, one table in the second */
	static const char qcow2[3 * 512] = {'Q', 'F', 'I', '\xfb', [7] = 3, [23] = 9, [39] = 1, [46] = 2, [517] = 4, [1023] = 0x40};
	static const char vmdk[] = "# Disk DescriptorFile\nparentCID=ffffffff\nRW 1 FLAT \"a\" 0\n";
	static const char storage[] = "lvmthin: l\n\tvgname pve\n\nzfspool: z\n\tpool a/b\n\nz:vm-1-disk-0\n";
	char text[16384];
	unsigned i;

	for (i = 0; i < ARRAY_LEN(readers); i++) {
		/* with paths that are those of the tree, from where this runs */
		AUTO_FREE char *path = xasprintf("tests/data/import/%s", readers[i].seed);
		FILE *f = fopen(path, "re");

		require(f);
		seed(i, readers[i].seed, text, fread(text, 1, sizeof(text) - 1, f));
		fclose(f);
	}
	seed(KIND_MANIFEST, "manifest", manifest, strlen(manifest));
	seed(KIND_IMAGE, "vmdk", vmdk, strlen(vmdk));
	seed(KIND_QCOW2, "qcow2", qcow2, sizeof(qcow2));
	seed(KIND_STORAGE, "storage", storage, strlen(storage));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}

static bool has(const void *ctx, const char *device)
{
	(void)ctx;
	return strlen(device) % 3;
}

static void describe(unsigned reader, const char *text, size_t n)
{
	static char *disks[GUEST_DISKS_MAX], *serials[GUEST_SERIALS_MAX];
	static const struct network_wish wish = {.net = "user"};
	const char *nets[GUEST_NICS_MAX];
	static const struct firmware uefi = {.code = (char *)"/c", .vars = (char *)"/v"};
	const struct line_wishes w = {.memory_bytes = 0};
	struct line_host h = {.machine = "m",
			      .uefi = &uefi,
			      .vars = "/v",
			      .format = "raw",
			      .nets = nets,
			      .qmp = "/q",
			      .vnc = "/n",
			      .agent = "/a",
			      .serials = serials};
	struct guest_description d = {.name = NULL};
	struct line line;
	struct err e;
	size_t i;

	for (i = 0; i < GUEST_DISKS_MAX; i++)
		disks[i] = (char *)"/d";
	h.disks = disks;
	for (i = 0; i < GUEST_SERIALS_MAX; i++)
		serials[i] = (char *)"/s";
	is_proxmox(text, n);
	is_quickemu(text, n);
	is_hyperv_json(text, n);
	is_utm(text, n);
	if (!readers[reader].read(&d, text, n, &e)) {
		if (!d.name)
			d.name = xstrdup("x");
		line_decide(&d, &w, has, NULL);
		require(!networks_choose(nets, &d, &wish, 1, &e));
		if (!line_make(&line, &d, &h, &e))
			require(line.argc > 2 && !strcmp(line.argv[1], "-S"));
		line_fini(&line);
	}
	description_fini(&d);
}

/* Looks at the input as at a file without a name. */
static void look(const uint8_t *p, size_t n)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct image_source s = {.path = xasprintf("/proc/self/fd/%d", fd)};
	struct err e;

	require(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	image_examine(&s, NULL, &e);
	image_source_fini(&s);
	close(fd);
}

struct image {
	const uint8_t *p;
	size_t n, left;
};

static int read_image(void *ctx, void *to, size_t n, uint64_t at, struct err *e)
{
	struct image *i = ctx;

	(void)e;
	require(at <= i->n && n <= i->n - at);
	require(n <= i->left); /* the reader gets no more bytes than are left, except for the list of tables and the header */
	i->left -= n;
	memcpy(to, i->p + at, n);
	return 0;
}

static void find_end(const uint8_t *p, size_t n)
{
	struct image i = {p, n, 3 * n};
	uint64_t end;
	struct err e;

	require(!qcow2_compressed_end(read_image, &i, n, &end, &e));
}

/* A configuration of storage, whose last line is a volume. */
static void find_volume(char *text)
{
	char *last = strrchr(text, '\n');

	if (last) {
		*last = '\0';
		free(pve_volume_path(text, last + 1, NULL));
		free(pve_volume_path(text, last + 1, &(struct pve_nodes){"a", "b"}));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	/* bytes beyond the end belong to another buffer */
	AUTO_FREE char *text = NULL;
	struct disk_content content;
	struct manifest m;
	struct err e;
	unsigned kind;

	if (!n)
		return 0;
	kind = *p++ % KINDS;
	n--;
	text = xmalloc(n + 1);
	memcpy(text, p, n);
	text[n] = '\0';
	switch (kind) {
	case KIND_MANIFEST:
		manifest_parse(&m, text, n, &e);
		manifest_fini(&m);
		break;
	case KIND_IMAGE:
		look(p, n);
		break;
	case KIND_CONTENT:
		disk_content_read(&content, (const uint8_t *)text, n);
		break;
	case KIND_QCOW2:
		find_end(p, n);
		break;
	case KIND_STORAGE:
		find_volume(text);
		break;
	default:
		describe(kind, text, n);
	}
	return 0;
}
