/*
 * unpack-child.c: see unpack.h. What it says on standard output are lines: "disk NUMBER BYTES NAME", "config BYTES" with so many bytes behind it, "taken
 * BYTES" of the archive, and last "ok" or "error WHY".
 */
#include "packed.h"
#include "unpack.h"
#include "util.h"
#include "vma.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TELL_STEP (16u << 20) /* bytes of the archive */

struct job {
	struct packed *in;
	uint64_t told;
	int files[VMA_DEVICES]; /* -1: it is not wanted */
};

static int read_exactly(void *ctx, void *to, size_t n, struct err *e)
{
	struct job *j = ctx;
	size_t got;
	int r = packed_read(j->in, to, n, &got, e);

	if (r)
		return r;
	if (packed_taken(j->in) - j->told >= TELL_STEP) {
		j->told = packed_taken(j->in);
		printf("taken %llu\n", (unsigned long long)j->told);
		fflush(stdout);
	}
	return got == n ? 0 : !got ? 1 : err_set(e, EINVAL, "it is cut off");
}

static int write_part(void *ctx, unsigned device, uint64_t at, const uint8_t *p, size_t n, struct err *e)
{
	struct job *j = ctx;

	while (j->files[device] >= 0 && n) {
		ssize_t r = pwrite(j->files[device], p, n, (off_t)at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return err_sys(e, r ? errno : EIO, "cannot write what it has");
		p += r;
		n -= (size_t)r;
		at += (uint64_t)r;
	}
	return 0;
}

static void say_content(const struct vma *v)
{
	size_t i;

	for (i = 0; i < VMA_DEVICES; i++)
		if (v->devices[i].name && !strpbrk(v->devices[i].name, " \r\n"))
			printf("disk %zu %llu %.100s\n", i, (unsigned long long)v->devices[i].bytes, v->devices[i].name);
	if (!v->config)
		return;
	printf("config %zu\n", v->config_bytes);
	fwrite(v->config, 1, v->config_bytes, stdout);
	putchar('\n');
}

/* Another kind of file is not an error. */
static int look(struct job *j, int fd, struct err *e)
{
	char magic[sizeof(VMA_MAGIC)] = "";
	struct vma v;
	size_t got;
	int r = packed_read(j->in, magic, sizeof(magic), &got, e);

	if (r || memcmp(magic, VMA_MAGIC, sizeof(magic)) != 0)
		return r;
	packed_close(j->in);
	j->in = NULL;
	if (lseek(fd, 0, SEEK_SET))
		return err_sys(e, errno, "cannot read it");
	r = packed_open(&j->in, fd, e);
	if (r)
		return r;
	printf("vma\n");
	r = vma_read_header(&v, read_exactly, j, e);
	if (!r)
		say_content(&v);
	vma_fini(&v);
	return r;
}

/* "7=12": disk 7 goes to descriptor 12. */
static int take_files(struct job *j, int argc, char **argv, struct err *e)
{
	int i, number, fd;

	for (i = 0; i < VMA_DEVICES; i++)
		j->files[i] = -1;
	for (i = 0; i < argc; i++) {
		if (sscanf(argv[i], "%d=%d", &number, &fd) != 2 || number <= 0 || number >= VMA_DEVICES || fd < 0)
			return err_set(e, EINVAL, "'%s' is no disk and its file", argv[i]);
		j->files[number] = fd;
	}
	return 0;
}

static int set_sizes(const struct job *j, const struct vma *v, struct err *e)
{
	size_t i;

	for (i = 0; i < VMA_DEVICES; i++)
		if (j->files[i] >= 0 && v->devices[i].name && ftruncate(j->files[i], (off_t)v->devices[i].bytes))
			return err_sys(e, errno, "cannot make an image of %llu bytes", (unsigned long long)v->devices[i].bytes);
	return 0;
}

static int unpack(struct job *j, struct err *e)
{
	struct vma v;
	int r = vma_read_header(&v, read_exactly, j, e);

	if (!r)
		r = set_sizes(j, &v, e);
	if (!r)
		r = vma_read_extents(&v, read_exactly, write_part, j, e);
	vma_fini(&v);
	return r;
}

static int carry_out(int argc, char **argv, struct err *e)
{
	struct job j = {.in = NULL};
	int fd = argc > 2 ? atoi(argv[2]) : -1, r;

	if (fd < 0)
		return err_set(e, EINVAL, "%s needs a word and a descriptor", UNPACK_WORD);
	r = take_files(&j, argc - 3, argv + 3, e);
	if (!r)
		r = packed_open(&j.in, fd, e);
	if (!r)
		r = strcmp(argv[1], "look") ? unpack(&j, e) : look(&j, fd, e);
	packed_close(j.in);
	return r;
}

int unpack_child(int argc, char **argv)
{
	struct err e;

	if (carry_out(argc, argv, &e))
		printf("error %s\n", e.msg);
	else
		printf("ok\n");
	return fflush(stdout) ? 1 : 0;
}
