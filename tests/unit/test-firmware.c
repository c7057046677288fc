/* test-firmware.c: a guest's firmware is found by its contents, wherever this host's distribution has put it: in trees as those have
 * them. */
#include "firmware-here.h"
#include "file-digest.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/test-firmware-XXXXXX";

static void clear(void)
{
	AUTO_FREE char *command = xasprintf("rm -rf %s", root);

	assert_int_equal(system(command), 0);
	assert_int_equal(mkdir(root, 0755), 0);
}

static void put(const char *path, const char *contents)
{
	AUTO_FREE char *there = xasprintf("%s%s", root, path);
	char *slash;
	FILE *f;

	for (slash = strchr(there + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(!mkdir(there, 0755) || errno == EEXIST);
		*slash = '/';
	}
	f = fopen(there, "w");
	assert_non_null(f);
	fputs(contents, f);
	fclose(f);
}

/* A member of DESCRIBE's files with such contents at the source. */
static json_t *described(const char *role, const char *path, const char *contents)
{
	AUTO_FREE char *copy = xasprintf("%s/source", root);
	char digest[FILE_DIGEST_CHARS + 1];
	struct err e;
	uint64_t size;

	put("/source", contents);
	assert_int_equal(file_digest(copy, false, &size, digest, &e), 0);
	return json_pack("{s:s,s:s,s:b,s:I,s:s}", "role", role, "path", path, "read_only", true, "size", (json_int_t)size, "digest",
			 digest);
}

static void finds(const char *role, const char *contents, const char *there)
{
	json_t *file = described(role, "/usr/share/OVMF/OVMF_CODE_4M.fd", contents);
	AUTO_FREE char *path = firmware_here(root, file);

	json_decref(file);
	if (!there) {
		assert_null(path);
		return;
	}
	assert_non_null(path);
	assert_string_equal(path + strlen(root), there);
}

static void it_is_found_in_the_folders_of_distributions(void **state)
{
	static const char *const trees[] = {
		"/usr/share/OVMF/OVMF_CODE_4M.fd",	     /* Debian, Ubuntu */
		"/usr/share/ovmf/OVMF.fd",		     /* the same, both parts in one */
		"/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2",   /* Fedora */
		"/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", /* RHEL */
		"/usr/share/qemu/ovmf-x86_64-4m-code.bin",   /* openSUSE */
		"/usr/share/edk2/x64/OVMF_CODE.4m.fd",	     /* Arch */
		"/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", /* Debian, for aarch64 */
		"/usr/share/seabios/bios-256k.bin",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(trees); i++) {
		clear();
		put(trees[i], "the same");
		finds("pflash-code", "the same", trees[i]);
		finds("bios", "the same", trees[i]);
		finds("pflash-code", "of other size", NULL);
		finds("pflash-code", "THE SAME", NULL);
	}
}

static void it_is_found_where_descriptors_say(void **state)
{
	(void)state;
	clear();
	put("/opt/flash.fd", "flash");
	put("/opt/memory.fd", "memory");
	put("/usr/share/qemu/firmware/10-nonsense.json", "{");
	put("/usr/share/qemu/firmware/20-flash.json",
	    "{\"mapping\":{\"device\":\"flash\",\"executable\":{\"filename\":\"/opt/flash.fd\",\"format\":\"raw\"},"
	    "\"nvram-template\":{\"filename\":\"/opt/vars.fd\"}}}");
	put("/etc/qemu/firmware/30-memory.json", "{\"mapping\":{\"device\":\"memory\",\"filename\":\"/opt/memory.fd\"}}");
	finds("pflash-code", "flash", "/opt/flash.fd");
	finds("bios", "memory", "/opt/memory.fd");
	put("/usr/share/OVMF/OVMF_CODE.fd", "flash");
	finds("pflash-code", "flash", "/opt/flash.fd");
	put("/etc/qemu/firmware/20-flash.json", ""); /* a file of /etc masks the one of the distribution */
	finds("pflash-code", "flash", "/usr/share/OVMF/OVMF_CODE.fd");
}

/* The host is not asked for a kernel, or an image, of the same contents. */
static void nothing_but_firmware_is_looked_for(void **state)
{
	json_t *file;

	(void)state;
	clear();
	put("/usr/share/OVMF/OVMF_CODE.fd", "the same");
	finds("kernel", "the same", NULL);
	finds("media", "the same", NULL);
	finds("pflash-vars", "the same", NULL);
	file = described("pflash-code", "/x", "the same");
	json_object_del(file, "digest");
	assert_null(firmware_here(root, file));
	json_object_set_new(file, "digest", json_string("no digest at all"));
	assert_null(firmware_here(root, file));
	json_decref(file);
}

static int make_root(void **state)
{
	(void)state;
	return !mkdtemp(root);
}

static int remove_root(void **state)
{
	(void)state;
	clear();
	return rmdir(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_found_in_the_folders_of_distributions),
		cmocka_unit_test(it_is_found_where_descriptors_say),
		cmocka_unit_test(nothing_but_firmware_is_looked_for),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
