/*
 * fuzz-data-receive.c: libFuzzer on a destination's data channel: objects, DATA, rounds, deltas, digests.
 *
 * A whole receiver with its thread. The disk is a small file; RAM is one block of a forked child and whatever blocks
 * the input announces, which are held here; with MAPPED in the first byte it is a mapping. With OPAQUE in the first byte it is a channel of an opaque stream, and a QEMU, of which this file
 * is the stand-in, takes what comes and answers the end of the input; then it may also be that its connection has ended, or that the
 * main stream is waited for, and whoever is above the channels would end them. However the input goes, the channel is lost in the end, with a reason, and
 * nothing is called complete. With ALIKE in the first byte blocks may be wanted of another image.
 */
#include "data-receive-private.h"
#include "alike-fill.h"
#include "../../agent-dst/parts/bitmaps.h"
#include "script.h"
#include "seed.h"
/* gives access to the private struct; no QEMU runs that could be asked */
#include "../../agent-dst/carry/ram-place.c"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define KEY_BYTE   7
#define OBJECTS	   1 /* settings: as every move begins */
#define OPAQUE	   2
#define MAPPED	   4
#define ALIKE	   8 /* the disk is filled from another image first */
#define DISK_BYTES (1 * MIB)
#define RAM_BYTES  (1 * MIB)
#define ALIKE_MS   100

static struct loop *loop;
static struct queue events;
static struct receive_shared shared;
static struct host_block block = {.name = "pc.ram", .max_bytes = RAM_BYTES};
static struct ram_place *place;
static uint8_t *mapping; /* mapping of the block, where it is mapped */
static bool lost;
static struct alike_image alike_image;

/* Two dirty bitmaps that come along with the first disk. */
static struct arriving_disk bitmapped = {.object = 1, .source.name = "d", .path = "d", .virtual_size = DISK_BYTES};
static struct disks disks = {.list = &bitmapped, .count = 1};

static void plan_bitmaps(void)
{
	json_t *two = json_pack("[{s:s,s:i},{s:s,s:i,s:b}]", "name", "daily", "granularity", 512, "name", "weekly", "granularity", 1 << 20,
				"recording", 1);
	struct err e;

	require(!bitmaps_plan(&bitmapped, two, &e));
	json_decref(two);
}

static void forget_bitmaps(void)
{
	bitmaps_fini(&bitmapped);
	bitmapped.bitmaps.list = NULL;
	bitmapped.bitmaps.count = 0;
}

static void on_events(struct queue *q)
{
	struct qnode *n;

	while ((n = queue_take(q))) {
		struct receive_event *ev = container_of(n, struct receive_event, node);

		/* the disk of the move has no digest that a fuzzer would find */
		require(ev->kind != RECEIVE_COMPLETE);
		if (ev->kind == RECEIVE_LOST) {
			require(ev->err.code > 0 && ev->err.msg[0]);
			lost = true;
		}
		if (ev->kind == RECEIVE_BITMAP || ev->kind == RECEIVE_DELTA) {
			struct err e;

			require(!bitmaps_take(&disks, ev, &e) || e.code == EPROTO);
		}
		free(ev);
	}
}

/* A child to write into. */
static void start_child(void)
{
	void *ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	require(ram != MAP_FAILED);
	block.host = (uint64_t)(uintptr_t)ram;
	place = xcalloc(1, sizeof(*place));
	pthread_mutex_init(&place->lock, NULL);
	place->blocks = &block;
	place->block_count = 1;
	place->pid = fork();
	require(place->pid >= 0);
	if (!place->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	place->pagemap_fd = -1;
	block.fd = memfd_create("ram", MFD_CLOEXEC);
	require(block.fd >= 0 && !ftruncate(block.fd, RAM_BYTES));
	mapping = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, block.fd, 0);
	require(mapping != MAP_FAILED);
}

/* Clears targets that the previous input announced. */
static void forget_targets(void)
{
	size_t i;

	for (i = 0; i < place->target_count; i++) {
		free(place->targets[i]->held);
		free(place->targets[i]->table.hash);
		free(place->targets[i]);
	}
	shared.ram_begun = shared.main_connected = false;
	place->target_count = 0;
	place->held_bytes = 0;
}

/* ---- QEMU, in opaque mode ---- */

static char incoming[64];
static int listen_fd, qemu_fd = -1;
static bool qemu_left;

static void forget_socket(void)
{
	unlink(incoming);
}

static void listen_for_streams(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	snprintf(incoming, sizeof(incoming), "/dev/shm/vmferry-fuzz-%d", (int)getpid());
	strcpy(sa.sun_path, incoming);
	unlink(incoming);
	listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	require(listen_fd >= 0 && !bind(listen_fd, (struct sockaddr *)&sa, sizeof(sa)) && !listen(listen_fd, 16));
	atexit(forget_socket);
}

/* Takes what has come; says this as soon as there is a connection. */
static void play_qemu(const uint8_t *p, size_t n)
{
	static uint8_t sink[65536];
	ssize_t k = -1;

	if (qemu_fd < 0) {
		qemu_fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (qemu_fd >= 0)
			send(qemu_fd, p, n, MSG_NOSIGNAL);
	}
	while (qemu_fd >= 0 && (k = recv(qemu_fd, sink, sizeof(sink), MSG_DONTWAIT)) > 0)
		;
	qemu_left = qemu_left || k == 0;
}

/* True if the receiver's counters are sane. Only QEMU, by QMP, can tell more. */
static bool stands(const struct receiver *r)
{
	return qemu_left || __atomic_load_n(&r->held.bytes, __ATOMIC_RELAXED);
}

static void end_qemu(void)
{
	int fd;

	if (qemu_fd >= 0)
		close(qemu_fd);
	qemu_fd = -1;
	qemu_left = false;
	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		close(fd);
}

/* ---- seeds ---- */

static void record(struct writer *w, uint16_t type, const struct writer *m)
{
	size_t k;

	for (k = 0; k < ARRAY_LEN(script_types) && script_types[k] != type; k++)
		;
	write_u8(w, (uint8_t)k);
	write_u16(w, (uint16_t)writer_len(m));
	write_bytes(w, m->start, writer_len(m));
	require(!w->bad && !m->bad);
}

static void data_record(struct writer *w, uint32_t object, uint8_t codec, unsigned shift, uint32_t units)
{
	static uint8_t buf[32768], body[16384];
	struct writer m = writer_of(buf, sizeof(buf)), b = writer_of(body, sizeof(body));
	uint32_t raw = codec == CODEC_RAW ? (2 * units) << shift : 0;
	struct msg_data d = {.object = object, .codec = codec, .extents = 2, .raw_bytes = raw};

	write_u64(&b, 0);
	write_u32(&b, units);
	write_u64(&b, (uint64_t)units << shift);
	write_u32(&b, units);
	d.body = (struct slice){body, writer_len(&b) + raw};
	msg_data_encode(&m, &d);
	record(w, MSG_DATA, &m);
}

/* A disk's block that is in memory, too. */
static void also_record(struct writer *w, uint8_t codec, uint16_t unit, uint32_t page)
{
	static uint8_t buf[16384], body[16384];
	struct writer m = writer_of(buf, sizeof(buf)), b = writer_of(body, sizeof(body)), d;
	struct msg_data data = {.object = 1, .codec = codec, .extents = 1, .raw_bytes = 8192};
	static uint8_t content[12 + 8192];
	struct digest_key key;

	write_u16(&b, unit);
	write_u16(&b, 2);
	write_u32(&b, OBJECT_RAM_BASE);
	write_u32(&b, page);
	d = writer_of(content, sizeof(content));
	write_u64(&d, 0);
	write_u32(&d, 16);
	data.body = (struct slice){content, sizeof(content)};
	if (codec == CODEC_KEPT) { /* the old copy is of zeros */
		memset(key.secret, KEY_BYTE, sizeof(key.secret));
		hash_bytes(hash_content(&key, content + 12, 8192), content + 12);
		data.body.n = 12 + 16;
	}
	msg_data_encode(&b, &data);
	msg_data_also_encode(&m, &(struct msg_data_also){.seeds = 1, .rest = {body, writer_len(&b)}});
	record(w, MSG_DATA_ALSO, &m);
}

/* Claims that an authenticated peer may make: objects of impossible sizes, numbers, units and names, and contents that go with them. */
static void write_lies(void)
{
	static const struct msg_object lies[] = {
		{.id = 1, .kind = OBJECT_DISK, .unit_shift = DISK_SHIFT, .size = 1ULL << 60},
		{.id = 2, .kind = OBJECT_DISK, .unit_shift = 0, .size = DISK_BYTES},
		{.id = 255, .kind = OBJECT_DISK, .unit_shift = DISK_SHIFT, .size = DISK_BYTES},
		{.id = OBJECT_RAM_BASE, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = 1ULL << 60},
		{.id = OBJECT_RAM_BASE, .kind = OBJECT_RAM, .unit_shift = 63, .size = RAM_BYTES},
		{.id = OBJECT_RAM_BASE, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = 20 * MIB},
		{.id = OBJECT_RAM_BASE + 7, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = PAGE_BYTES},
		{.id = OBJECT_RAM_BASE, .kind = OBJECT_DISK, .unit_shift = PAGE_SHIFT, .size = UINT64_MAX},
		{.id = OBJECT_STREAM_BASE + 255, .kind = OBJECT_STREAM, .size = UINT64_MAX},
	};
	static const char *const names[] = {"../..", "", "pc.ram", "/rom@x"};
	static uint8_t script[65536], one[256];
	size_t i;

	for (i = 0; i < ARRAY_LEN(lies); i++) {
		AUTO_FREE char *name = xasprintf("lie-%zu", i);
		struct writer w = writer_of(script, sizeof(script)), m = writer_of(one, sizeof(one));
		struct msg_object o = lies[i];

		write_u8(&w, 0); /* without the right objects */
		o.name = slice_of(names[i % ARRAY_LEN(names)]);
		msg_object_encode(&m, &o);
		record(&w, MSG_OBJECT, &m);
		m = writer_of(one, sizeof(one));
		msg_round_end_encode(&m, &(struct msg_round_end){.group = o.id, .number = UINT32_MAX, .units = 1000000000});
		record(&w, MSG_ROUND_END, &m);
		data_record(&w, o.id, CODEC_ZERO, PAGE_SHIFT, 1000000000);
		seed_write(name, script, writer_len(&w));
	}
}

/* Some bytes of a stream, its end, and what QEMU answers: PONG and SHUT. */
static void write_opaque(void)
{
	static uint8_t script[16384], one[4096], body[12 + 512];
	struct writer w = writer_of(script, sizeof(script)), m = writer_of(one, sizeof(one)), b = writer_of(body, sizeof(body));
	struct msg_data d = {.object = OBJECT_STREAM_BASE,
			     .codec = CODEC_RAW,
			     .extents = 1,
			     .raw_bytes = 512,
			     .body = {body, sizeof(body)}};

	write_u64(&b, 0);
	write_u32(&b, 512 >> STREAM_SHIFT);
	write_u8(&w, OBJECTS | OPAQUE);
	msg_data_encode(&m, &d);
	record(&w, MSG_DATA, &m);
	m = writer_of(one, sizeof(one));
	msg_end_encode(&m, &(struct msg_end){.object = OBJECT_STREAM_BASE, .units = 512});
	record(&w, MSG_END, &m);
	write_bytes(&w, "\0\2\0\4\0\0\0\1\0\1\0\4\0\0\0", 16);
	seed_write("opaque", script, writer_len(&w));
}

/* All of a bitmap, and what is written anew. */
static void write_bitmap(void)
{
	static const uint8_t runs[] = {0, 8, 200, 8};
	static uint8_t script[4096], one[256];
	struct writer w = writer_of(script, sizeof(script)), m = writer_of(one, sizeof(one));
	uint32_t round;

	write_u8(&w, OBJECTS);
	msg_bitmap_encode(&m, &(struct msg_bitmap){1, 0, BITMAP_LAST, {runs, sizeof(runs)}});
	record(&w, MSG_BITMAP, &m);
	for (round = 0; round < 2; round++) {
		m = writer_of(one, sizeof(one));
		msg_round_begin_encode(&m, &(struct msg_round_begin){.group = 1, .number = round});
		record(&w, MSG_ROUND_BEGIN, &m);
		m = writer_of(one, sizeof(one));
		msg_delta_encode(&m, &(struct msg_delta){1, round, 1, {runs, 2}});
		record(&w, MSG_DELTA, &m);
		data_record(&w, 1, CODEC_HOLE, DISK_SHIFT, 8);
		m = writer_of(one, sizeof(one));
		msg_round_end_encode(&m, &(struct msg_round_end){1, round, 8});
		record(&w, MSG_ROUND_END, &m);
	}
	seed_write("bitmap", script, writer_len(&w));
}

/* Blocks that are wanted, in order; contents come before the disk is filled, and are refused. */
static void write_want(void)
{
	static const uint8_t hashes[64];
	static uint8_t script[4096], one[256];
	struct writer w = writer_of(script, sizeof(script)), m = writer_of(one, sizeof(one));

	write_u8(&w, OBJECTS | ALIKE);
	msg_want_encode(&m, &(struct msg_want){.object = 1, .block = 1, .hashes = {hashes, sizeof(hashes)}});
	record(&w, MSG_WANT, &m);
	m = writer_of(one, sizeof(one));
	msg_want_encode(&m, &(struct msg_want){.object = 1, .block = DISK_BYTES >> 12, .last = 1, .hashes = {hashes, 16}});
	record(&w, MSG_WANT, &m);
	m = writer_of(one, sizeof(one));
	msg_round_begin_encode(&m, &(struct msg_round_begin){.group = 1});
	record(&w, MSG_ROUND_BEGIN, &m);
	seed_write("want", script, writer_len(&w));
}

static void write_seeds(void)
{
	static const struct {
		const char *name;
		uint32_t object;
		uint8_t codec, shift;
	} seeds[] = {
		{"disk", 1, CODEC_RAW, DISK_SHIFT},
		{"disk-hole", 1, CODEC_HOLE, DISK_SHIFT},
		{"ram", OBJECT_RAM_BASE, CODEC_RAW, PAGE_SHIFT},
		{"ram-zero", OBJECT_RAM_BASE, CODEC_ZERO, PAGE_SHIFT},
		{"held", OBJECT_RAM_BASE + 1, CODEC_RAW, PAGE_SHIFT},
		{"held-zero", OBJECT_RAM_BASE + 1, CODEC_ZERO, PAGE_SHIFT},
		{"stream", OBJECT_STREAM_BASE, CODEC_RAW, STREAM_SHIFT},
	};
	static const uint8_t runs[] = {0, 2}, mapped[] = {CODEC_RAW, CODEC_ZERO};
	static uint8_t script[65536], one[256];
	size_t i;

	static const struct {
		const char *name;
		uint8_t codec;
		uint16_t unit;
		uint32_t page; /* the last two are outside */
	} also[] = {{"also", CODEC_RAW, 0, 1},
		    {"kept", CODEC_KEPT, 0, 1},
		    {"also-page", CODEC_RAW, 0, 255},
		    {"also-unit", CODEC_RAW, 1, 1}};

	write_lies();
	write_opaque();
	write_bitmap();
	write_want();
	for (i = 0; i < ARRAY_LEN(mapped); i++) {
		struct writer w = writer_of(script, sizeof(script));

		write_u8(&w, OBJECTS | MAPPED);
		data_record(&w, OBJECT_RAM_BASE, mapped[i], PAGE_SHIFT, 1);
		seed_write(i ? "mapped-zero" : "mapped", script, writer_len(&w));
	}
	for (i = 0; i < ARRAY_LEN(also); i++) {
		struct writer w = writer_of(script, sizeof(script));

		write_u8(&w, 1);
		also_record(&w, also[i].codec, also[i].unit, also[i].page);
		seed_write(also[i].name, script, writer_len(&w));
	}
	for (i = 0; i < ARRAY_LEN(seeds); i++) {
		struct writer w = writer_of(script, sizeof(script)), m;
		uint32_t group = seeds[i].object == 1 ? 1 : GROUP_RAM;

		write_u8(&w, 1); /* with the objects */
		m = writer_of(one, sizeof(one));
		msg_round_begin_encode(&m, &(struct msg_round_begin){.group = group});
		record(&w, MSG_ROUND_BEGIN, &m);
		data_record(&w, seeds[i].object, seeds[i].codec, seeds[i].shift, 1);
		m = writer_of(one, sizeof(one));
		msg_delta_encode(&m, &(struct msg_delta){seeds[i].object, 0, 1, {runs, sizeof(runs)}});
		record(&w, MSG_DELTA, &m);
		m = writer_of(one, sizeof(one));
		msg_round_end_encode(&m, &(struct msg_round_end){group, 0, 2});
		record(&w, MSG_ROUND_END, &m);
		m = writer_of(one, sizeof(one));
		msg_end_encode(&m, &(struct msg_end){.object = seeds[i].object, .units = 2});
		record(&w, MSG_END, &m);
		seed_write(seeds[i].name, script, writer_len(&w));
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char path[] = "/tmp/fuzz-data-receive-XXXXXX";
	static char by_fd[64], old_by_fd[64];
	struct err e;
	struct stat st;
	int fd, old;

	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	fd = mkstemp(path);
	require(fd >= 0 && !ftruncate(fd, DISK_BYTES));
	unlink(path);
	snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", fd);
	old = memfd_create("old", MFD_CLOEXEC);
	require(old >= 0 && !ftruncate(old, DISK_BYTES / 2));
	snprintf(old_by_fd, sizeof(old_by_fd), "/proc/self/fd/%d", old);
	require(!fstat(old, &st));
	alike_image = (struct alike_image){.path = old_by_fd, .device = st.st_dev, .inode = st.st_ino, .bytes = (uint64_t)st.st_size};
	require(!loop_new(&loop, 64, &e));
	queue_init(&events, loop, on_events);
	start_child();
	listen_for_streams();
	shared.channels = CHANNELS_MAX;
	shared.ram = place;
	shared.events = &events;
	memset(shared.key.secret, KEY_BYTE, sizeof(shared.key.secret));
	shared.disk[1] = (struct disk_target){.bytes = DISK_BYTES,
					      .at = {.path = by_fd, .writable = true},
					      .name = "vda",
					      .bitmaps = 2,
					      .old = {.path = old_by_fd},
					      .old_name = "old"};
	shared.disk[2] =
		(struct disk_target){.bytes = DISK_BYTES, .at = {.path = by_fd, .writable = true}, .name = "never announced by a seed"};
	return 0;
}

/* The objects first, as every move begins, so that an input need not find them. */
static size_t preamble(uint8_t *out, bool opaque)
{
	struct writer w = writer_of(out, 4096);
	const struct msg_object objects[] = {
		{.id = 1, .kind = OBJECT_DISK, .unit_shift = DISK_SHIFT, .size = DISK_BYTES, .name = slice_of("d")},
		{.id = OBJECT_RAM_BASE, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = RAM_BYTES, .name = slice_of("pc.ram")},
		{.id = OBJECT_RAM_BASE + 1, .kind = OBJECT_RAM, .unit_shift = PAGE_SHIFT, .size = 65536, .name = slice_of("/rom@x")},
		{.id = OBJECT_STREAM_BASE, .kind = OBJECT_STREAM, .name = slice_of("main")},
	};
	size_t i;

	for (i = opaque ? ARRAY_LEN(objects) - 1 : 0; i < ARRAY_LEN(objects); i++) {
		uint8_t b[128];
		struct writer o = writer_of(b, sizeof(b));

		msg_object_encode(&o, &objects[i]);
		record(&w, MSG_OBJECT, &o);
	}
	return writer_len(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static uint8_t script[4096 + 65536], bytes[SCRIPT_BYTES_MAX];
	uint64_t until = now_ns() + 20000000000ULL;
	struct receiver *r;
	struct err e;
	size_t len, at = 0;
	unsigned good;
	bool opaque, alike = n && p[0] & ALIKE;
	int fd[2];

	shared.alike = alike ? alike_fill_new(&shared, &alike_image, 1, ALIKE_MS) : NULL;
	shared.disk[1].alike = alike;
	opaque = n && p[0] & OPAQUE;
	place->mapped = n && p[0] & MAPPED;
	block.map = place->mapped ? mapping : NULL;
	shared.incoming = opaque ? incoming : NULL;
	shared.streams = opaque;
	len = n && p[0] & OBJECTS ? preamble(script, opaque) : 0;
	n = MIN(n, 65536);
	memcpy(script + len, p + (n ? 1 : 0), n ? n - 1 : 0);
	len = script_play(script, len + (n ? n - 1 : 0), 1, bytes, &good);
	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	lost = false;
	plan_bitmaps();
	require(!receiver_start(&r, (struct link){.fd = fd[1]}, 1, &shared, &e));
	while (at < len && !lost && !(opaque && stands(r))) {
		ssize_t k = send(fd[0], bytes + at, len - at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (k > 0)
			at += (size_t)k;
		else
			require(!loop_step(loop, 1, &e));
		if (opaque)
			play_qemu(p + n - MIN(n, 16), MIN(n, 16));
		require(now_ns() < until);
	}
	shutdown(fd[0], SHUT_WR);
	while (!lost && !(opaque && stands(r))) {
		require(!loop_step(loop, opaque ? 1 : 100, &e));
		if (opaque)
			play_qemu(p + n - MIN(n, 16), MIN(n, 16));
		require(now_ns() < until);
	}
	receiver_stop(r);
	alike_fill_end(shared.alike);
	alike_fill_free(shared.alike);
	shared.alike = NULL;
	on_events(&events);
	forget_bitmaps();
	end_qemu();
	close(fd[0]);
	forget_targets();
	return 0;
}
