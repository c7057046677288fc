/*
 * fuzz-bundle.c: libFuzzer on what vmferry import (agent-src/bundle, common/bundle) reads of a bundle: its manifest, and its stream.
 *
 * The first byte says which. What is taken lies within its limits and says the same when written again; what a stream leaves behind are files of
 * the manifest's, with its digests.
 */
#include "bundle-receive.h"
#include "bundle-tar.h"
#include "seed.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SUM "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" /* SHA-256 of "abc" */

static const char manifest[] =
	"{\"format\":\"vmferry-bundle\",\"version\":1,\"needs\":[],\"name\":\"vm\",\"qemu\":{\"program\":\"qemu-system-x86_64\"},\"cwd\":\"/\","
	"\"argv\":[\"q\",\"-drive\",\"file=/a,format=raw\",\"-cdrom\",\"/m\"],\"disks\":[{\"file\":\"d\",\"bytes\":3,\"sha256\":\"" SUM
	"\","
	"\"path\":\"/a\",\"format\":\"raw\",\"virtual_bytes\":512}],\"files\":[{\"path\":\"/m\",\"role\":\"media\"}],"
	"\"memory\":{\"file\":\"memory\",\"bytes\":3,\"sha256\":\"" SUM "\"}}";

static size_t put_member(char *to, const char *name, const char *text, size_t n)
{
	tar_header((uint8_t *)to, name, n, 0);
	memset(to + TAR_BLOCK, 0, n + tar_padding(n));
	memcpy(to + TAR_BLOCK, text, n);
	return TAR_BLOCK + n + tar_padding(n);
}

static void write_seeds(void)
{
	static char text[16384];
	size_t n;

	text[0] = 'm';
	memcpy(text + 1, manifest, strlen(manifest));
	seed_write("manifest", text, 1 + strlen(manifest));
	text[0] = 's';
	n = 1 + put_member(text + 1, BUNDLE_MANIFEST, manifest, strlen(manifest));
	n += put_member(text + n, "README", "x", 1);
	n += put_member(text + n, "d", "abc", 3);
	n += put_member(text + n, "memory", "abc", 3);
	memset(text + n, 0, 2 * TAR_BLOCK);
	seed_write("stream", text, n + 2 * TAR_BLOCK);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}

static void check_file(const struct bundle_file *f)
{
	require(bundle_name_is_plain(f->file) && !strchr(f->file, '/') && f->bytes <= BUNDLE_BYTES_MAX);
	require(strlen(f->sha256) == BUNDLE_DIGEST);
}

static void check(const struct bundle *b)
{
	AUTO_FREE char *text = bundle_print(b), *again = NULL, *readme = bundle_readme(b);
	const struct bundle_file *f;
	struct bundle other;
	struct err e;
	size_t i;

	require(b->name && b->cwd && b->argc && !b->argv[b->argc] && b->disk_count <= BUNDLE_DISKS_MAX &&
		b->file_count <= BUNDLE_FILES_MAX);
	for (i = 0; (f = bundle_next(b, &i));)
		check_file(f);
	require(text && readme && !bundle_parse(&other, text, strlen(text), &e));
	again = bundle_print(&other);
	require(!strcmp(text, again));
	bundle_fini(&other);
}

/* Receives an archive. The contents may be much shorter than the manifest says; the files are removed again. */
static void receive(const uint8_t *p, size_t n)
{
	char dir[] = "/dev/shm/fuzz-bundle-XXXXXX";
	AUTO_CLOSE int fd = memfd_create("fuzz", MFD_CLOEXEC);
	const struct bundle_file *f;
	struct bundle b;
	struct err e;
	size_t i;
	int r;

	require(fd >= 0 && write(fd, p, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0);
	if (bundle_receive_manifest(fd, &b, NULL, NULL, &e))
		return;
	require(mkdtemp(dir));
	r = bundle_receive_files(fd, &b, dir, NULL, NULL, &e);
	for (i = 0; (f = bundle_next(&b, &i));) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, f->file);
		AUTO_CLOSE int got = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		char hex[BUNDLE_DIGEST + 1];
		uint64_t bytes;

		require(r || got >= 0);
		if (!r) {
			require(!bundle_digest_file(got, path, &bytes, hex, NULL, NULL, &e));
			require(bytes == f->bytes && !strcmp(hex, f->sha256));
		}
		unlink(path);
	}
	require(!rmdir(dir)); /* the folder is empty again */
	bundle_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bundle b;
	struct err e;

	if (n < 1)
		return 0;
	if (*p == 's') {
		receive(p + 1, n - 1);
	} else if (!bundle_parse(&b, (const char *)p + 1, n - 1, &e)) {
		check(&b);
		bundle_fini(&b);
	}
	return 0;
}
