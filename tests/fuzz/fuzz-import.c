/*
 * fuzz-import.c: libFuzzer on what vmferry import (agent-src/import) reads: descriptions, archives, manifests and headers of images, which strangers made.
 *
 * The first byte says which it is. What a reader takes becomes a command line, with a QEMU that has some devices and not others.
 */
#include "disk-content.h"
#include "foreign-image.h"
#include "networks.h"
#include "ova.h"
#include "qcow2-end.h"
#include "qemu-line.h"
#include "readers.h"
#include "seed.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static int (*const readers[])(struct guest_description *d, const char *text, size_t n,
			      struct err *e) = {read_ovf, read_vmx, read_libvirt, read_hyperv, read_proxmox, read_quickemu, read_box};
#define KINDS	   12 /* of which the first, and those from the last on, are descriptions */
#define FIRST_ONES 4

static size_t reader_of(unsigned kind)
{
	return kind < FIRST_ONES				  ? kind
	       : kind < KINDS - (ARRAY_LEN(readers) - FIRST_ONES) ? ARRAY_LEN(readers)
								  : kind - (KINDS - ARRAY_LEN(readers));
}

static char kind_of(size_t reader)
{
	return (char)(reader < FIRST_ONES ? reader : reader + KINDS - ARRAY_LEN(readers));
}

static void write_seeds(void)
{
	/* with paths that are those of the tree, from where this runs */
	static const char *const files[] = {"virtualbox.ovf",		"esxi.vmx",
					    "virt-manager.libvirt.xml", "generation1.hyperv.xml",
					    "windows.proxmox.conf",	"linux.quickemu.conf"};
	static const char manifest[] = "\4SHA1(a b.vmdk)= a9993e364706816aba3e25717850c26c9cd0d89d\n";
	/* clusters of 512 bytes: the list of tables in the first, one table in the second */
	static const char qcow2[1 + 3 * 512] =
		{8, 'Q', 'F', 'I', '\xfb', [8] = 3, [24] = 9, [40] = 1, [47] = 2, [1 + 518] = 4, [1 + 1024] = 0x40};
	static const char vmdk[] = "\6# Disk DescriptorFile\nparentCID=ffffffff\nRW 1 FLAT \"a\" 0\n";
	char text[16384];
	size_t i;

	for (i = 0; i < ARRAY_LEN(files); i++) {
		AUTO_FREE char *path = xasprintf("tests/data/import/%s", files[i]);
		FILE *f = fopen(path, "re");

		require(f);
		text[0] = kind_of(i);
		seed_write(files[i], text, 1 + fread(text + 1, 1, sizeof(text) - 1, f));
		fclose(f);
	}
	seed_write("manifest", manifest, strlen(manifest));
	seed_write("vmdk", vmdk, strlen(vmdk));
	seed_write("qcow2", qcow2, sizeof(qcow2));
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
	static char *disks[GUEST_DISKS_MAX];
	static const struct network_wish wish = {.net = "user"};
	const char *nets[GUEST_NICS_MAX];
	static const struct firmware uefi = {.code = (char *)"/c", .vars = (char *)"/v"};
	const struct line_wishes w = {.memory_bytes = 0};
	struct line_host h = {.machine = "m", .uefi = &uefi, .vars = "/v", .format = "raw", .nets = nets, .qmp = "/q", .vnc = "/n"};
	struct guest_description d = {.name = NULL};
	struct line line;
	struct err e;
	size_t i;

	for (i = 0; i < GUEST_DISKS_MAX; i++)
		disks[i] = (char *)"/d";
	h.disks = disks;
	is_proxmox(text, n);
	if (!readers[reader](&d, text, n, &e)) {
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

/* As a file without a name. */
static void look(bool archive, const uint8_t *p, size_t n)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct image_source s = {.path = xasprintf("/proc/self/fd/%d", fd)};
	struct ova o;
	struct err e;

	require(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	if (archive) {
		ova_read(&o, fd, &e);
		ova_fini(&o);
	} else {
		image_examine(&s, NULL, &e);
	}
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
	require(n <= i->left); /* it reads no more than there is, but for the tables' list and what is read of the header */
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

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	/* what is beyond the end of it is another's */
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
	if (reader_of(kind) < ARRAY_LEN(readers)) {
		describe((unsigned)reader_of(kind), text, n);
	} else if (kind == 4) {
		manifest_parse(&m, text, n, &e);
		manifest_fini(&m);
	} else if (kind == 7) {
		disk_content_read(&content, (const uint8_t *)text, n);
	} else if (kind == 8) {
		find_end(p, n);
	} else {
		look(kind == 5, p, n);
	}
	return 0;
}
