/*
 * fuzz-from-destination.c: libFuzzer on what a destination says once a move is under way (agent-src): rounds that it has, old copies, its
 * return path, and what becomes of the guest. It has authenticated, and lies. See frames.h.
 *
 * What is told in the end is text that may be shown, and nothing that the destination says undoes what was promised.
 */
#include "../../agent-src/moves/transfer.h"
#include "frames.h"
#include "json-message.h"
#include "log.h"

#include <stdio.h>

#define DISK_BYTES (40 * MIB)

static const uint16_t types[] = {MSG_HANDOFF,	   MSG_APPLIED,	   MSG_DURABLE, MSG_HAVE,	MSG_RETURN_PATH,
				 MSG_DISKS_CLOSED, MSG_COPY_READY, MSG_ASK,	MSG_STREAM_MARK};

static char *shown;
static size_t shown_bytes;

static void expect_printable(void)
{
	char *clean = xstrdup(shown);

	text_make_printable(clean, true);
	require(strlen(shown) == shown_bytes && !strcmp(clean, shown));
	free(clean);
}

static void add_disk(struct transfer *t)
{
	static struct guest_disk disk = {.node = "d0", .real_path = "/srv/a.raw", .format = "raw"};

	struct disk *d = disk_add(&t->disks, &disk);

	d->progress.round = 3;
	d->progress.in_flight = d->progress.final = true;
	d->have = have_new(DISK_BYTES, HAVE_SHIFT);
}

static int take(struct transfer *t, const struct played *f, struct err *e)
{
	struct event *ev;
	json_t *ready;
	int r;

	if (f->type == MSG_COPY_READY) { /* connections are left out */
		r = json_message_take(f->type, f->bytes, f->n, t->a.id, NULL, &ready, e);
		if (!r) {
			free(t->ram.mode_why);
			t->ram.mode_why = NULL;
			r = parts_ready(&t->parts, ready, e);
			json_decref(ready);
		}
		return r;
	}
	ev = event_new(EVENT_FRAME, f->type, f->bytes, f->n);
	r = common_event(t, ev, e);
	free(ev);
	return r;
}

/* Only what follows from it. */
static void expect_state(enum handoff_state was, const struct transfer *t)
{
	enum handoff_state is = t->a.handoff.state;

	require(is == was || (was == HO_SRC_BEGUN && (is == HO_SRC_COMMITTED || is == HO_SRC_ABORTED)) ||
		(was == HO_SRC_COMMITTED && (is == HO_SRC_RELEASED || is == HO_SRC_ABORTED)));
	require(!t->a.journal || journal_last_state(t->a.journal) == is);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct move_options opt = {.vm = "vm1", .dest.where = "host-b", .stop.max_downtime_ms = 300, .carry.channels = 1};
	static struct played f;
	struct reader r = reader_of(p, n);
	FILE *out = stdout, *err_out = stderr, *terminal;
	enum handoff_state was;
	struct transfer *t;
	struct err e;
	int k = 0;

	require(!transfer_new(&t, &opt, entry_for(&opt), &e));
	t->src.guest.name = xstrdup("vm1");
	add_disk(t);
	begin_attempt(&t->a, HO_SOURCE);
	t->a.con.stage = ST_COPY;
	t->life.report.json = read_u8(&r) & 1;
	terminal = open_memstream(&shown, &shown_bytes);
	stdout = stderr = terminal;
	while (!k && !t->a.con.finished && t->a.journal && next_frame(&r, types, ARRAY_LEN(types), t->a.id, &f)) {
		if (f.stage & 1 && t->a.handoff.state == HO_SRC_BEGUN) /* as when QEMU has migrated */
			attempt_step(&t->a, EV_QEMU_COMPLETED, HO_NONE, &e);
		was = t->a.handoff.state;
		k = take(t, &f, &e);
		require(!k || (k == -e.code && e.msg[0]));
		expect_state(was, t);
	}
	if (k)
		t->end.why = e;
	tell_result(t);
	stdout = out;
	stderr = err_out;
	fclose(terminal);
	expect_printable();
	free(shown);
	free(t->src.guest.name);
	t->src.guest.name = NULL;
	transfer_free(t);
	empty_dir();
	return 0;
}

/* ---- seeds ---- */

static void handoff(struct writer *w, uint8_t stage, enum handoff_state s, const char *json)
{
	char buf[1024];

	frame_record(w, 0, stage, buf, (size_t)snprintf(buf, sizeof(buf), "%c%s", (char)s, json));
}

static void write_seeds(void)
{
	uint8_t buf[4096], b[256];
	struct writer w = writer_of(buf, sizeof(buf)), m = writer_of(b, sizeof(b));

	write_u8(&w, 0);
	msg_applied_encode(&m, &(struct msg_applied){.group = 1, .number = 3});
	frame_record(&w, 0x81, 0, b, writer_len(&m));
	m = writer_of(b, sizeof(b));
	msg_have_encode(&m, &(struct msg_have){.object = 1, .block = 2, .last = 0, .hashes = {(const uint8_t *)"0123456789abcdef", 16}});
	frame_record(&w, 0x83, 0, b, writer_len(&m));
	m = writer_of(b, sizeof(b));
	msg_have_encode(&m, &(struct msg_have){.object = 1, .block = 600, .last = 1, .hashes = {(const uint8_t *)"0123456789abcdef", 16}});
	frame_record(&w, 0x83, 0, b, writer_len(&m));
	m = writer_of(b, sizeof(b));
	msg_durable_encode(&m, &(struct msg_durable){.group = 1, .number = 3});
	frame_record(&w, 0x82, 0, b, writer_len(&m));
	frame_record(&w, 6, 0, "{\"ram_mode\":\"opaque\",\"why\":\"w\",\"seeds\":true}", 44);
	seed_write("rounds", buf, writer_len(&w));

	w = writer_of(buf, sizeof(buf));
	write_u8(&w, 0);
	m = writer_of(b, sizeof(b));
	msg_have_encode(&m, &(struct msg_have){.object = 2, .last = 1});
	frame_record(&w, 0x83, 0, b, writer_len(&m));
	seed_write("another-disk", buf, writer_len(&w));

	w = writer_of(buf, sizeof(buf));
	write_u8(&w, 1);
	handoff(&w, 1, HO_DST_PREPARED, "{\"load_ms\":1.5,\"rss_anon\":5,\"cpu_s\":{\"receive\":1}}");
	handoff(&w, 0, HO_DST_STARTED, "{\"start_ms\":2,\"start_script\":\"/a.sh\\u001b\",\"unit\":\"u\",\"after_reboot\":\"x\"}");
	handoff(&w, 0, HO_DST_DONE, "{}");
	seed_write("handed-over", buf, writer_len(&w));

	w = writer_of(buf, sizeof(buf));
	write_u8(&w, 0);
	handoff(&w, 1, HO_DST_NOVM, "{\"error\":\"no\\u0007\",\"leftovers\":[\"/x\\n\",1],\"undecided\":true}");
	seed_write("given-up", buf, writer_len(&w));
	w = writer_of(buf, sizeof(buf));
	write_u8(&w, 0);
	handoff(&w, 0, HO_DST_ABORTED, "{\"error\":\"no\",\"leftovers\":[\"/x\"],\"after_error\":\"y\"}");
	seed_write("aborted", buf, writer_len(&w));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	make_state_dir();
	log_init("fuzz", LOG_LEVEL_ERROR, open("/dev/null", O_WRONLY | O_CLOEXEC));
	return 0;
}
