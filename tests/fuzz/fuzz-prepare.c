/*
 * fuzz-prepare.c: libFuzzer on what a source sends between the plan and QEMU's start: PREPARE, then the files that the guest reads.
 *
 * The plan is made for a guest without disks that needs two files, one of them empty. The input is records of u8 which (low two
 * bits: PREPARE, FILE_DATA, FILE_END; 0x80: as it stands, without the attempt's id in front of a PREPARE), u16 length and so many
 * bytes, until one is refused. A file that is here is what the source said it is; and whatever has been made is gone when it is undone.
 */
#include "../../agent-dst/moves/arriving-transfer.h"
#include "json-message.h"
#include "log.h"
#include "seed.h"
#include "xxh.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define KERNEL_BYTES 5000

static const uint16_t types[] = {MSG_PREPARE, MSG_FILE_DATA, MSG_FILE_END};

static char dir[64]; /* folder in which files are created */

static unsigned entries(const char *path)
{
	DIR *d = opendir(path);
	unsigned n = 0;

	require(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static char *in_dir(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

/* Sets the transfer to the state after the plan. */
static void plan(struct transfer *t)
{
	struct target *g = &t->target;
	struct part *files = &t->files.part;
	struct err e;

	memset(t->a.id, 0x5a, sizeof(t->a.id));
	g->name = xstrdup("a");
	g->exe = xstrdup("/bin/false");
	g->dir = in_dir("guest");
	g->run_dir = in_dir("run");
	g->qmp_path = in_dir("run/vmferry.qmp");
	g->description = json_pack("{s:s,s:[{s:s,s:s,s:s,s:s,s:b,s:i,s:i,s:i,s:i},{s:s,s:s,s:s,s:s,s:b}]}", "disk_dir", g->dir, "files",
				   "role", "kernel", "path", "/nowhere/k", "kind", "file", "wish", "copy", "read_only", 1, "size",
				   KERNEL_BYTES, "mode", 0644, "uid", (int)geteuid(), "gid", (int)getegid(), "role", "initrd", "path",
				   "/nowhere/i", "kind", "file", "wish", "copy", "read_only", 1);
	require(g->description && !files->ops->examine(files, &e) && t->files.count == 2);
}

/* Takes a message as the stages do. */
static int take(struct transfer *t, uint16_t type, const uint8_t *p, size_t n, struct err *e)
{
	struct event *ev;
	int r;

	if (!t->a.handing_off) {
		if (type != MSG_PREPARE)
			return err_set(e, EPROTO, "unexpected %s", msg_name(type));
		r = json_message_take(type, p, n, t->a.id, NULL, &t->decisions, e);
		return r ? r : prepare_enter(t, e);
	}
	if (type == MSG_PREPARE)
		return err_set(e, EPROTO, "unexpected PREPARE");
	ev = event_new(EVENT_FRAME, type, p, n);
	r = parts_event(&t->parts, ev, e);
	free(ev);
	return r == PART_NOT_MINE ? err_set(e, EPROTO, "unexpected %s", msg_name(type)) : r;
}

static void expect_whole(const struct files *files)
{
	size_t i;

	for (i = 0; i < files->count; i++) {
		const struct carried *c = &files->list[i];
		struct stat st;

		if (c->temp && c->fd < 0 && !files->awaited)
			require(!stat(c->to, &st) && (uint64_t)st.st_size == c->size && access(c->temp, F_OK));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	AUTO_FREE char *state = in_dir("state"), *guest = in_dir("guest");
	struct move_config cfg = {.state_dir = state, .runtime_dir = dir, .listen_fd = -1};
	static uint8_t bytes[16 + 65536];
	struct reader r = reader_of(p, n);
	struct transfer *t;
	struct err e;
	int k = 0;

	require(!transfer_new(&t, &cfg, &e));
	plan(t);
	while (reader_left(&r) && !k) {
		uint8_t what = read_u8(&r);
		uint16_t want = read_u16(&r), type = types[(what & 3) % ARRAY_LEN(types)];
		struct slice s = read_bytes(&r, MIN(want, reader_left(&r)));
		size_t lead = type == MSG_PREPARE && !(what & 0x80) ? sizeof(t->a.id) : 0;

		if (r.bad)
			break;
		memcpy(bytes, t->a.id, lead);
		if (s.n)
			memcpy(bytes + lead, s.p, s.n);
		k = take(t, type, bytes, lead + s.n, &e);
		require(!k || (k == -e.code && e.msg[0]));
	}
	expect_whole(&t->files);
	transfer_undo(t, false);
	require(!t->a.undo_failed && !json_array_size(t->a.leftovers) && !entries(guest));
	attempt_end_journal(&t->a);
	transfer_free(t);
	return 0;
}

/* ---- seeds ---- */

static void record(struct writer *w, uint8_t what, const struct writer *b)
{
	write_u8(w, what);
	write_u16(w, (uint16_t)writer_len(b));
	write_bytes(w, b->start, writer_len(b));
	require(!w->bad && !b->bad);
}

static void prepare_record(struct writer *w)
{
	uint8_t buf[512];
	struct writer b = writer_of(buf, sizeof(buf));
	unsigned i;

	write_bytes(&b, "{\"secret\":\"", 11);
	for (i = 0; i < DIGEST_SECRET_BYTES; i++)
		write_bytes(&b, "0f", 2);
	write_bytes(&b, "\"}", 2);
	record(w, 0, &b);
}

static void file_records(struct writer *w, uint32_t file, size_t size)
{
	static const uint8_t content[KERNEL_BYTES];
	static uint8_t buf[KERNEL_BYTES + 64];
	XXH3_state_t *hash = XXH3_createState();
	struct msg_file_end end = {.file = file, .size = size};
	XXH128_canonical_t digest;
	struct writer b;
	size_t at, len;

	XXH3_128bits_reset(hash);
	for (at = 0; at < size; at += len) {
		uint8_t offset[8];
		struct writer o = writer_of(offset, sizeof(offset));

		len = MIN(size - at, 3000);
		b = writer_of(buf, sizeof(buf));
		msg_file_data_encode(&b, &(struct msg_file_data){.file = file, .offset = at, .bytes = {content, len}});
		record(w, 1, &b);
		write_u64(&o, at);
		XXH3_128bits_update(hash, offset, sizeof(offset));
		XXH3_128bits_update(hash, content, len);
	}
	XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(hash));
	memcpy(end.digest, digest.digest, sizeof(end.digest));
	XXH3_freeState(hash);
	b = writer_of(buf, sizeof(buf));
	msg_file_end_encode(&b, &end);
	record(w, 2, &b);
}

static void write_seeds(void)
{
	static uint8_t buf[16384];
	struct writer w = writer_of(buf, sizeof(buf));

	prepare_record(&w);
	seed_write("prepare", buf, writer_len(&w));
	file_records(&w, 1, 0);
	seed_write("empty", buf, writer_len(&w));
	file_records(&w, 0, KERNEL_BYTES);
	seed_write("both", buf, writer_len(&w));
}

static void remove_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *x;

	while (d && (x = readdir(d)))
		unlinkat(dirfd(d), x->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
}

/* With the journals that are kept. */
static void remove_dirs(void)
{
	AUTO_FREE char *state = in_dir("state"), *guest = in_dir("guest");

	remove_dir(state);
	remove_dir(guest);
	rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	AUTO_FREE char *guest = NULL;

	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	log_init("fuzz", LOG_LEVEL_ERROR, open("/dev/null", O_WRONLY | O_CLOEXEC));
	snprintf(dir, sizeof(dir), "/dev/shm/vmferry-fuzz-XXXXXX"); /* /dev/shm: the journal makes many fsync calls */
	require(mkdtemp(dir));
	guest = in_dir("guest");
	require(!mkdir(guest, 0700));
	atexit(remove_dirs);
	return 0;
}
