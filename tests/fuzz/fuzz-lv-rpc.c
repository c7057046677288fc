/*
 * fuzz-lv-rpc.c: libFuzzer on the client of libvirt's RPC (common/libvirt): what a libvirtd says.
 *
 * The first byte chooses the call, the second whether the connection's beginning is the fuzzer's, too (OWN_START), and whether it is served
 * by a loop, with events and a command to QEMU under way before the call (ON_LOOP). Then come records of u8 kind, u16 length and so many
 * bytes: a reply to the call that is due (REPLY, REFUSAL), a ping, an event, or what stands there (RAW). libvirtd says all of it and hangs
 * up. The call ends well or with an error, and a connection that broke is dead; the command is answered once.
 */
#include "seed.h"

#include <errno.h>
#include <sys/socket.h>

#include "../lib/played-libvirtd.h"

#define SAID_MAX (96 * 1024)
enum { OWN_START = 1, ON_LOOP = 2 };
enum { RAW, REPLY, REFUSAL, PING, EVENT, KINDS };

static uint8_t said[SAID_MAX];

struct script {
	size_t n;
	uint32_t serial;       /* serial of the call that is due */
	int32_t procedures[8]; /* the last one is 0 */
	unsigned at;	       /* index into procedures */
};

static void put(struct script *s, const void *p, size_t n)
{
	if (n && n <= SAID_MAX - s->n) {
		memcpy(said + s->n, p, n);
		s->n += n;
	}
}

static void put_message(struct script *s, uint32_t program, int32_t procedure, uint32_t type, uint32_t serial, uint32_t status,
			const void *p, size_t n)
{
	uint8_t head[LV_HEAD_BYTES];

	played_head(head, (uint32_t)(LV_HEAD_BYTES + n), program, procedure, type, serial, status);
	put(s, head, sizeof(head));
	put(s, p, n);
}

/* Adds a reply. If a call takes several procedures, the last one's reply may be repeated. */
static void put_reply(struct script *s, uint32_t status, const void *p, size_t n)
{
	int32_t procedure = s->procedures[s->at];

	put_message(s, played_program(procedure), played_number(procedure), LV_REPLY, s->serial++, status, p, n);
	if (s->procedures[s->at + 1])
		s->at++;
}

static void put_start(struct script *s)
{
	static const int32_t start[] = {LV_AUTH_LIST, LV_CONNECT_OPEN, LV_GET_LIB_VERSION};
	size_t i;

	for (i = 0; i < ARRAY_LEN(start); i++) {
		struct lv_writer w = {0};

		played_reply(&w, start[i]);
		put_message(s, LV_PROGRAM, start[i], LV_REPLY, s->serial++, LV_OK, w.data, w.n);
		lv_writer_fini(&w);
	}
}

static void put_record(struct script *s, uint8_t kind, const uint8_t *p, size_t n)
{
	switch (kind % KINDS) {
	case REPLY:
		put_reply(s, LV_OK, p, n);
		break;
	case REFUSAL:
		put_reply(s, LV_ERROR, p, n);
		break;
	case PING:
		put_message(s, LV_KEEPALIVE, LV_PING, LV_MESSAGE, 0, LV_OK, NULL, 0);
		break;
	case EVENT:
		put_message(s, LV_QEMU_PROGRAM, LV_MONITOR_EVENT, LV_MESSAGE, 0, LV_OK, p, n);
		break;
	default:
		put(s, p, n);
	}
}

static size_t play(const struct played_call *c, unsigned settings, const uint8_t *p, const uint8_t *end)
{
	struct script s = {.serial = 1};
	unsigned n = 0;

	if (settings & ON_LOOP) {
		s.procedures[n++] = PLAYED_QEMU + LV_MONITOR_EVENT_REGISTER;
		s.procedures[n++] = PLAYED_QEMU + LV_MONITOR_COMMAND;
	}
	memcpy(s.procedures + n, c->procedures, sizeof(c->procedures));
	if (settings & OWN_START)
		s.serial = 4;
	else
		put_start(&s);
	while (end - p >= 3) {
		uint8_t kind = p[0];
		size_t size = MIN((size_t)be16(p + 1), (size_t)(end - p - 3));

		put_record(&s, kind, p + 3, size);
		p += 3 + size;
	}
	return s.n;
}

static unsigned answers;

static void on_event(void *ctx, const char *name, const char *data, uint64_t realtime_ns)
{
	(void)ctx, (void)realtime_ns;
	require(strlen(name) <= LV_STRING_MAX && (!data || strlen(data) <= LV_STRING_MAX));
}

static void on_answer(void *arg, const char *reply, const struct err *e)
{
	(void)arg;
	require(!reply == !!e && (!e || (e->code && e->msg[0])));
	answers++;
}

/* Whether a command is under way. */
static bool serve_on_loop(struct lv *v, const struct lv_domain *d)
{
	static const struct lv_handlers handlers = {.event = on_event};
	static struct loop *loop;
	struct err e;

	if (!loop)
		require(!loop_new(&loop, 64, &e));
	answers = 0;
	lv_attach(v, loop, &handlers, NULL);
	lv_watch(v, d, &e);
	return !lv_monitor(v, d, "{}", 1000, on_answer, NULL, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct lv_domain guest = {.name = (char *)"web", .id = -1};
	const struct played_call *c;
	struct err e = {0};
	bool asked = false;
	struct lv *v;
	size_t len;
	int pair[2], r;

	if (n < 2)
		return 0;
	c = &played_calls[p[0] % ARRAY_LEN(played_calls)];
	len = play(c, p[1], p + 2, p + n);
	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	require(!len || send(pair[1], said, len, MSG_DONTWAIT) == (ssize_t)len);
	shutdown(pair[1], SHUT_WR);
	r = lv_open_fd(&v, pair[0], "/fuzz", "qemu:///system", 1000, &e);
	require(!r || (e.code == -r && e.msg[0] && r != -ETIMEDOUT));
	if (!r) {
		lv_set_deadline(v, 1000);
		if (p[1] & ON_LOOP)
			asked = serve_on_loop(v, &guest);
		r = c->call(v, &guest, &e);
		require(!r || (e.code == -r && e.msg[0] && r != -ETIMEDOUT));
		require((r != -EPROTO && r != -ECONNRESET) || c->call(v, &guest, &e) == -EPIPE);
		lv_close(v);
		require(answers == asked);
	}
	answers = 0;
	close(pair[1]);
	return 0;
}

/* ---- seeds ---- */

static void add(struct lv_writer *w, const void *p, size_t n)
{
	w->data = xrealloc(w->data, w->n + n);
	if (n)
		memcpy(w->data + w->n, p, n);
	w->n += n;
}

static void add_record(struct lv_writer *w, uint8_t kind, const void *p, size_t n)
{
	const uint8_t head[3] = {kind, (uint8_t)(n >> 8), (uint8_t)n};

	add(w, head, sizeof(head));
	add(w, p, n);
}

/* A good reply to each procedure of a call, with a ping and an event before. */
static void seed_of(uint8_t which)
{
	const int32_t *procedures = played_calls[which].procedures;
	AUTO_FREE char *name = xasprintf("call-%u", which);
	struct lv_writer w = {0}, reply = {0};
	const uint8_t head[2] = {which, 0};
	size_t i;

	add(&w, head, sizeof(head));
	add_record(&w, PING, NULL, 0);
	add_record(&w, EVENT, "1234", 4);
	for (i = 0; i < 4 && procedures[i]; i++) {
		played_reply(&reply, procedures[i]);
		add_record(&w, REPLY, reply.data, reply.n);
		lv_writer_fini(&reply);
	}
	seed_write(name, w.data, w.n);
	lv_writer_fini(&w);
}

/* On a loop: an event, and QEMU's answer, before the call's own reply. */
static void seed_on_loop(void)
{
	const uint8_t head[2] = {1, ON_LOOP};
	struct lv_writer w = {0}, body = {0};

	add(&w, head, sizeof(head));
	lv_write_u32(&body, 7);
	add_record(&w, REPLY, body.data, body.n);
	played_domain(&body);
	lv_write_string(&body, "STOP");
	lv_write_u64(&body, 1700000000);
	lv_write_u32(&body, 5);
	lv_write_optional(&body, "{}");
	add_record(&w, EVENT, body.data, body.n);
	lv_writer_fini(&body);
	lv_write_string(&body, "{\"return\": {}}");
	add_record(&w, REPLY, body.data, body.n);
	lv_writer_fini(&body);
	played_reply(&body, LV_DOMAIN_LOOKUP_NAME);
	add_record(&w, REPLY, body.data, body.n);
	seed_write("on-loop", w.data, w.n);
	lv_writer_fini(&w);
	lv_writer_fini(&body);
}

static void seed_of_refusal(void)
{
	const uint8_t head[2] = {1, 0};
	struct lv_writer w = {0}, reply = {0};

	lv_write_u32(&reply, 42);
	lv_write_u32(&reply, 10);
	lv_write_optional(&reply, "Domain not found");
	add(&w, head, sizeof(head));
	add_record(&w, REFUSAL, reply.data, reply.n);
	seed_write("refusal", w.data, w.n);
	lv_writer_fini(&w);
	lv_writer_fini(&reply);
}

static void seed_of_start(void)
{
	const uint8_t head[2] = {1, OWN_START};
	struct lv_writer w = {0};
	struct script s = {.serial = 1};

	put_start(&s);
	add(&w, head, sizeof(head));
	add_record(&w, RAW, said, s.n);
	seed_write("start", w.data, w.n);
	lv_writer_fini(&w);
}

static void write_seeds(void)
{
	uint8_t i;

	for (i = 0; i < ARRAY_LEN(played_calls); i++)
		seed_of(i);
	seed_of_refusal();
	seed_on_loop();
	seed_of_start();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}
