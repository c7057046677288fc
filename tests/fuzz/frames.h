/*
 * frames.h: control frames of a peer that has authenticated and lies, for the agents' stages: a script of records.
 *
 *   record: u8 what (low four bits: which type; 0x80: as it stands, without the attempt's id in front), u8 stage, u16 length, payload
 *
 * What the hand-off machine decides is noted in a journal, and not carried out.
 */
#ifndef VMFERRY_FUZZ_FRAMES_H
#define VMFERRY_FUZZ_FRAMES_H

#include "attempt.h"
#include "seed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define PAYLOAD_MAX (16 + 16384)

static char state_dir[] = "/dev/shm/vmferry-fuzz-XXXXXX"; /* /dev/shm: the input makes many fsync calls */

static inline void nothing(struct attempt *a)
{
	(void)a;
}

static void carried_out(struct attempt *a, bool entered)
{
	(void)a, (void)entered;
}

static const struct attempt_ops quiet = {.entered = nothing, .carried_out = carried_out};

struct played {
	uint16_t type;
	unsigned stage;
	size_t n;
	uint8_t bytes[PAYLOAD_MAX];
};

/* The next frame of the script; false: there is none. */
static bool next_frame(struct reader *r, const uint16_t *types, size_t count, const uint8_t *attempt, struct played *f)
{
	uint8_t what = read_u8(r);
	size_t lead = what & 0x80 ? 0 : 16, want;
	struct slice s;

	f->stage = read_u8(r);
	want = read_u16(r);
	s = read_bytes(r, MIN(MIN(want, reader_left(r)), PAYLOAD_MAX - 16));
	f->type = types[(what & 0x0f) % count];
	if (r->bad)
		return false;
	memcpy(f->bytes, attempt, lead);
	if (s.n)
		memcpy(f->bytes + lead, s.p, s.n);
	f->n = lead + s.n;
	return true;
}

static void begin_attempt(struct attempt *a, enum handoff_role role)
{
	json_t *begin = json_object();
	struct err e;

	memset(a->id, 0x5a, sizeof(a->id));
	a->ops = &quiet;
	require(!attempt_begin(a, state_dir, role, begin, &e));
	json_decref(begin);
}

static void empty_dir(void)
{
	DIR *d = opendir(state_dir);
	struct dirent *x;

	while (d && (x = readdir(d)))
		unlinkat(dirfd(d), x->d_name, 0);
	if (d)
		closedir(d);
}

static void remove_state_dir(void)
{
	empty_dir();
	rmdir(state_dir);
}

static void make_state_dir(void)
{
	require(mkdtemp(state_dir));
	atexit(remove_state_dir);
}

/* ---- seeds ---- */

static inline void frame_record(struct writer *w, uint8_t what, uint8_t stage, const void *p, size_t n)
{
	write_u8(w, what);
	write_u8(w, stage);
	write_u16(w, (uint16_t)n);
	write_bytes(w, p, n);
	require(!w->bad);
}

#endif
