/*
 * unpack-child.c: see unpack.h. What it says on standard output are lines: "disk NUMBER BYTES NAME", "config BYTES" with so many bytes behind it, "taken
 * BYTES" of the archive, and last "ok" or "error WHY".
 */
#include "packed.h"
#include "tarred-disk.h"
#include "unpack.h"
#include "util.h"
#include "vma.h"
#include "xva.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define AT_USTAR  257u
#define TELL_STEP (16u << 20) /* bytes of the archive */

struct job {
	struct packed *in;
	uint64_t told, room;	/* room: bytes that may be written yet, of all disks */
	int files[VMA_DEVICES]; /* -1: it is not wanted */
};

static void tell_taken(struct job *j)
{
	if (packed_taken(j->in) - j->told < TELL_STEP)
		return;
	j->told = packed_taken(j->in);
	printf("taken %llu\n", (unsigned long long)j->told);
	fflush(stdout);
}

static int read_exactly(void *ctx, void *to, size_t n, struct err *e)
{
	struct job *j = ctx;
	size_t got;
	int r = packed_read(j->in, to, n, &got, e);

	if (r)
		return r;
	tell_taken(j);
	return got == n ? 0 : !got ? 1 : err_set(e, EINVAL, "cut off");
}

static int write_whole(struct job *j, int fd, const uint8_t *p, size_t n, uint64_t at, struct err *e)
{
	if (n > j->room)
		return err_set(e, ENOSPC, "no room: what is in it is more than the file system that it goes to has room for");
	j->room -= n;
	while (n) {
		ssize_t r = pwrite(fd, p, n, (off_t)at);

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

static int write_part(void *ctx, unsigned device, uint64_t at, const uint8_t *p, size_t n, struct err *e)
{
	struct job *j = ctx;

	return j->files[device] < 0 ? 0 : write_whole(j, j->files[device], p, n, at, e);
}

static void say_content(const struct vma *v)
{
	for (size_t i = 0; i < VMA_DEVICES; i++)
		if (v->devices[i].name && !strpbrk(v->devices[i].name, " \r\n"))
			printf("disk %zu %llu %.100s\n", i, (unsigned long long)v->devices[i].bytes, v->devices[i].name);
	if (!v->config)
		return;
	printf("config %zu\n", v->config_bytes);
	fwrite(v->config, 1, v->config_bytes, stdout);
	putchar('\n');
}

static int look_at_xva(struct job *j, struct err *e)
{
	AUTO_FREE char *config = NULL;
	size_t n;
	int r = xva_read_config(&config, &n, read_exactly, j, e);

	if (r)
		return r;
	printf("xva\nconfig %zu\n", n);
	fwrite(config, 1, n, stdout);
	putchar('\n');
	return 0;
}

/* Looks at the kind of file; an unknown kind is not an error. */
static int look(struct job *j, int fd, struct err *e)
{
	uint8_t head[TARRED_HEAD] = {0}; /* head of a tar, which needs the most bytes */
	bool is_xva, is_vma;
	uint64_t bytes;
	struct vma v;
	size_t got;
	int r = packed_read(j->in, head, sizeof(head), &got, e);

	is_xva = xva_is(head);
	is_vma = !memcmp(head, VMA_MAGIC, sizeof(VMA_MAGIC));
	if (!r && tarred_disk_is(head, got, &bytes))
		printf("tarred-disk\ndisk 1 %llu " TARRED_DISK "\n", (unsigned long long)bytes);
	else if (!r && got >= TAR_BLOCK && !is_vma && !is_xva && !memcmp(head + AT_USTAR, "ustar", 5))
		printf("tar\n");
	if (r || (!is_vma && !is_xva))
		return r;
	packed_close(j->in);
	j->in = NULL;
	if (lseek(fd, 0, SEEK_SET))
		return err_sys(e, errno, "cannot read it");
	r = packed_open(&j->in, fd, e);
	if (r)
		return r;
	if (is_xva)
		return look_at_xva(j, e);
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
			return err_set(e, EINVAL, "'%s' is not a disk and its file", argv[i]);
		j->files[number] = fd;
	}
	return 0;
}

static int set_sizes(const struct job *j, const struct vma *v, struct err *e)
{
	for (size_t i = 0; i < VMA_DEVICES; i++)
		if (j->files[i] >= 0 && v->devices[i].name && ftruncate(j->files[i], (off_t)v->devices[i].bytes))
			return err_sys(e, errno, "cannot make an image of %llu bytes", (unsigned long long)v->devices[i].bytes);
	return 0;
}

static int unpack(struct job *j, struct err *e)
{
	struct vma v;
	int r = vma_read_header(&v, read_exactly, j, e) ?: set_sizes(j, &v, e) ?: vma_read_extents(&v, read_exactly, write_part, j, e);

	vma_fini(&v);
	return r;
}

/* ---- an XVA ---- */

struct numbered_file {
	unsigned number;
	int fd;
};

struct xva_job {
	struct job *j;
	struct numbered_file files[XVA_DISKS_MAX];
};

static int read_for_xva(void *ctx, void *to, size_t n, struct err *e)
{
	return read_exactly(((struct xva_job *)ctx)->j, to, n, e);
}

static int write_block(void *ctx, unsigned disk, uint64_t at, const uint8_t *p, size_t n, struct err *e)
{
	const struct xva_job *x = ctx;
	size_t i;

	for (i = 0; x->files[i].number != disk; i++)
		;
	return write_whole(x->j, x->files[i].fd, p, n, at, e);
}

/* "4=12=1048576": disk 4, which has so many bytes, goes to descriptor 12. */
static int make_disks_of_xva(struct job *j, int argc, char **argv, struct err *e)
{
	struct xva_job job = {.j = j};
	struct xva x = {.disk_count = 0};
	int i, r;

	for (i = 0; i < argc && i < XVA_DISKS_MAX; i++) {
		unsigned long long bytes;

		if (sscanf(argv[i], "%u=%d=%llu", &job.files[i].number, &job.files[i].fd, &bytes) != 3)
			return err_set(e, EINVAL, "'%s' is not a disk and its file", argv[i]);
		x.disks[x.disk_count++] = (struct xva_disk){.number = job.files[i].number, .bytes = bytes};
		if (ftruncate(job.files[i].fd, (off_t)bytes))
			return err_sys(e, errno, "cannot make an image of %llu bytes", bytes);
	}
	r = xva_read_disks(&x, read_for_xva, write_block, &job, e);
	xva_fini(&x);
	return r;
}

/* ---- a disk in a tar ---- */

struct tarred_job {
	struct job *j;
	int fd;
};

static int read_for_tar(void *ctx, void *to, size_t n, struct err *e)
{
	return read_exactly(((struct tarred_job *)ctx)->j, to, n, e);
}

static int write_tarred(void *ctx, uint64_t at, const uint8_t *p, size_t n, struct err *e)
{
	const struct tarred_job *t = ctx;

	return write_whole(t->j, t->fd, p, n, at, e);
}

/* "1=12=1048576": the disk, which has so many bytes, goes to descriptor 12. */
static int make_tarred_disk(struct job *j, int argc, char **argv, struct err *e)
{
	struct tarred_job t = {.j = j};
	unsigned long long bytes;

	if (argc != 1 || sscanf(argv[0], "1=%d=%llu", &t.fd, &bytes) != 2)
		return err_set(e, EINVAL, "the unpacker needs one file");
	if (ftruncate(t.fd, (off_t)bytes))
		return err_sys(e, errno, "cannot make an image of %llu bytes", bytes);
	return tarred_disk_read(bytes, read_for_tar, write_tarred, &t, e);
}

/* ---- what is compressed alone ---- */

/* "1=12=…": all of it goes to descriptor 12, with holes for zeros. These take no room, and time: a file of so much zeros cannot be made there. */
static int make_plain(struct job *j, int argc, char **argv, struct err *e)
{
	static uint8_t buf[1u << 20];
	uint64_t at = 0, most = MIN(j->room, UNPACK_DISK_BYTES);
	size_t got;
	int fd, r;

	if (argc != 1 || sscanf(argv[0], "1=%d=", &fd) != 1)
		return err_set(e, EINVAL, "the unpacker needs one file");
	do {
		r = packed_read(j->in, buf, sizeof(buf), &got, e);
		if (!r && got > most - at)
			r = err_set(e, ENOSPC, "no room: what is in it, zeros as well, is more than %llu bytes", (unsigned long long)most);
		if (!r && !bytes_are_zero(buf, got))
			r = write_whole(j, fd, buf, got, at, e);
		at += got;
		tell_taken(j);
	} while (!r && got == sizeof(buf));
	return r || !ftruncate(fd, (off_t)at) ? r : err_sys(e, errno, "cannot make a file of %llu bytes", (unsigned long long)at);
}

static int carry_out(int argc, char **argv, struct err *e)
{
	struct job j = {.in = NULL};
	int fd = argc > 3 ? atoi(argv[2]) : -1, r;
	unsigned long long room;

	if (fd < 0 || sscanf(argv[3], "room=%llu", &room) != 1)
		return err_set(e, EINVAL, "%s needs a word, a descriptor and how much may be written", UNPACK_WORD);
	j.room = room;
	r = packed_open(&j.in, fd, e);
	if (!r && !strcmp(argv[1], "vma"))
		r = take_files(&j, argc - 4, argv + 4, e) ? -EINVAL : unpack(&j, e);
	else if (!r && !strcmp(argv[1], "xva"))
		r = make_disks_of_xva(&j, argc - 4, argv + 4, e);
	else if (!r && !strcmp(argv[1], "tarred-disk"))
		r = make_tarred_disk(&j, argc - 4, argv + 4, e);
	else if (!r && !strcmp(argv[1], "plain"))
		r = make_plain(&j, argc - 4, argv + 4, e);
	else if (!r)
		r = look(&j, fd, e);
	packed_close(j.in);
	return r;
}

int unpack_child(int argc, char **argv)
{
	struct err e;

	signal(SIGXFSZ, SIG_IGN); /* the error is reported instead */
	if (carry_out(argc, argv, &e))
		printf("error %s\n", e.msg);
	else
		printf("ok\n");
	return fflush(stdout) ? 1 : 0;
}
