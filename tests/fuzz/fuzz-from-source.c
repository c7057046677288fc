/*
 * fuzz-from-source.c: libFuzzer on what a source says on the control channel, in any stage and in any order (agent-dst). It has
 * authenticated, and lies. See frames.h; DESCRIBE, PREPARE and files have targets of their own, and are only out of place here.
 *
 * The first byte says whether the move has begun: without, HANDOFF asks for the journal of an earlier life, of which there is none.
 */
#include "../../agent-dst/moves/arriving-transfer.h"
#include "frames.h"
#include "log.h"
#include "process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

static const uint16_t types[] = {MSG_HANDOFF,	  MSG_DISKS_DONE, MSG_PREPARE, MSG_FILE_DATA, MSG_FILE_END,
				 MSG_RETURN_PATH, MSG_ASK,	  MSG_HAVE,    MSG_DATA,      MSG_STREAM_MARK};
static const enum stage_number stage_of[] = {ST_CONNECT, ST_COPY, ST_SWITCHOVER, ST_COMMIT, ST_RELEASE};

static pid_t stand_in; /* for the QEMU: a process that does nothing */

static void expect_state(enum handoff_state was, const struct transfer *t)
{
	enum handoff_state is = t->a.handoff.state;

	/* only the destination's own work makes it PREPARED, never a message of the source */
	require(is == was || is == HO_NONE || (was == HO_DST_BEGUN && is == HO_DST_ABORTED) ||
		(was == HO_DST_PREPARED && (is == HO_DST_START || is == HO_DST_ABORTED || is == HO_DST_NOVM)) ||
		(was == HO_DST_START && (is == HO_DST_STARTED || is == HO_DST_ABORTED)) ||
		(was == HO_DST_STARTED && (is == HO_DST_DONE || (is == HO_DST_NOVM && target_is_revertible(&t->target)))) ||
		(was == HO_DST_NOVM && is == HO_DST_ABORTED));
	require(!t->a.journal || journal_last_state(t->a.journal) == is);
}

static int take(struct transfer *t, const struct played *f, struct err *e)
{
	const struct stage *stage = &t->a.con.stages[t->a.con.stage];
	struct event *ev = event_new(EVENT_FRAME, f->type, f->bytes, f->n);
	int r = stage->event(t, ev, e);

	free(ev);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct move_config cfg = {.state_dir = state_dir, .runtime_dir = state_dir, .listen_fd = -1};
	static struct played f;
	struct reader r = reader_of(p, n);
	enum handoff_state was;
	struct transfer *t;
	struct err e;
	bool begun = read_u8(&r) & 1;
	int k = 0, fd[2];

	require(!transfer_new(&t, &cfg, &e));
	t->a.ops = &quiet;
	memset(t->a.id, 0x5a, sizeof(t->a.id));
	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	attempt_connect(&t->a, (struct link){.fd = fd[0]}, NULL);
	if (begun) {
		t->target.description = json_pack("{s:b}", "paused", 0);
		begin_attempt(&t->a, HO_DESTINATION);
		t->target.qemu.pid = stand_in;
		require(!process_start_time(stand_in, &t->target.qemu.start_time));
	}
	while (!k && !t->a.con.finished && next_frame(&r, types, ARRAY_LEN(types), t->a.id, &f)) {
		t->a.con.stage = begun ? stage_of[f.stage % ARRAY_LEN(stage_of)] : ST_CONNECT;
		if (f.stage & 0x80 && t->a.handoff.state == HO_DST_BEGUN && begun) /* as when all contents have arrived */
			attempt_step(&t->a, EV_PREPARED_OK, HO_NONE, &e);
		was = t->a.handoff.state;
		k = take(t, &f, &e);
		require(!k || (k == -e.code && e.msg[0]));
		expect_state(was, t);
	}
	close(fd[1]);
	transfer_free(t);
	empty_dir();
	return 0;
}

/* ---- seeds ---- */

static void handoff(struct writer *w, uint8_t stage, enum handoff_state s, const char *json)
{
	char buf[256];

	frame_record(w, 0, stage, buf, (size_t)snprintf(buf, sizeof(buf), "%c%s", (char)s, json));
}

static void write_seeds(void)
{
	uint8_t buf[1024];
	struct writer w = writer_of(buf, sizeof(buf));

	write_u8(&w, 1);
	handoff(&w, 1, HO_SRC_BEGUN, "{\"paused\":true}");
	frame_record(&w, 1, 1, "", 0);
	handoff(&w, 0x83, HO_SRC_COMMITTED, "{\"paused\":false}");
	handoff(&w, 3, HO_SRC_RELEASED, "{}");
	seed_write("committed", buf, writer_len(&w));
	w = writer_of(buf, sizeof(buf));
	write_u8(&w, 1);
	handoff(&w, 0x81, HO_SRC_ABORTED, "{}");
	seed_write("aborted", buf, writer_len(&w));
	w = writer_of(buf, sizeof(buf));
	write_u8(&w, 0);
	handoff(&w, 0, HO_SRC_COMMITTED, "{}");
	seed_write("unknown", buf, writer_len(&w));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	make_state_dir();
	stand_in = fork();
	require(stand_in >= 0);
	if (!stand_in) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	log_init("fuzz", LOG_LEVEL_ERROR, open("/dev/null", O_WRONLY | O_CLOEXEC));
	return 0;
}
