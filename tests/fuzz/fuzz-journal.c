/*
 * fuzz-journal.c: libFuzzer on a journal of any bytes: it is refused, or all that read it find the same in it; and it can be written on.
 *
 * The first byte has settings. Then come records of u8 what (low three bits: the kind; TWICE: a state and its twin, as they are written;
 * DAMAGED; LONGER: says that it is; RAW: bytes as they stand), u16 length and so many bytes.
 */
#include "journal.h"
#include "journal-record.h"
#include "cursor.h"
#include "seed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define FILE_BYTES (256 * KIB)

enum { RAW = 0x80, DAMAGED = 0x40, TWICE = 0x20, LONGER = 0x10, KIND = 7 }; /* kinds and flags of an operation */
enum { GROW = 1 };							    /* settings: it is written anew */

static char dir[] = "/dev/shm/vmferry-fuzz-XXXXXX"; /* /dev/shm: the journal makes many fsync calls */
static char *path;

static size_t put_record(uint8_t *out, uint8_t what, struct slice s)
{
	enum record_kind kind = what & KIND;
	size_t one = record_bytes(s.n);

	if (what & RAW) {
		memcpy(out, s.p, s.n);
		return s.n;
	}
	record_encode(out, what & TWICE ? K_STATE : kind, s.n ? (const char *)s.p : "", s.n);
	if (what & TWICE)
		record_encode(out + one, K_TWIN, s.n ? (const char *)s.p : "", s.n);
	out[8] ^= !!(what & DAMAGED);
	out[1] ^= what & LONGER; /* by 4 KiB */
	return what & TWICE ? 2 * one : one;
}

static void write_journal(const uint8_t *p, size_t n)
{
	static uint8_t bytes[FILE_BYTES];
	struct reader r = reader_of(p, n);
	size_t at = 0;
	int fd;

	memset(bytes, 0, sizeof(bytes));
	while (reader_left(&r) >= 3 && at + 2 * record_bytes(65535) < sizeof(bytes)) {
		uint8_t what = read_u8(&r);
		size_t len = read_u16(&r);

		at += put_record(bytes + at, what, read_bytes(&r, MIN(len, reader_left(&r))));
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	require(fd >= 0 && write(fd, bytes, at) == (ssize_t)at && !close(fd));
}

static void expect_same(const struct journal *a, const struct journal *b)
{
	json_t *x, *y;

	require(journal_last_state(a) == journal_last_state(b) && !memcmp(journal_attempt_id(a), journal_attempt_id(b), ATTEMPT_ID_LEN));
	require(json_equal(journal_begin(a), journal_begin(b)));
	require(!journal_owned(a, &x) && !journal_owned(b, &y) && json_equal(x, y));
	json_decref(x);
	json_decref(y);
}

static bool dump(void)
{
	char *text, *clean;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	struct err e;
	int r = journal_dump(path, f, &e);

	fclose(f);
	clean = xstrdup(text);
	text_make_printable(clean, true);
	require(strlen(text) == n && !strcmp(clean, text));
	free(clean);
	free(text);
	return !r;
}

/* Goes on with a journal as an agent does that finds it. */
static void write_on(struct journal *j, bool grow)
{
	json_t *detail = json_pack("{s:s}", "path", "/a"), *large;
	char *text = xcalloc(1, 30001);
	struct err e;
	unsigned i;

	require(!journal_own(j, "file", detail, &e) && !journal_state(j, journal_last_state(j), &e));
	memset(text, 'a', 30000);
	for (i = 0; grow && i < 12; i++) {
		text[0] = (char)('a' + i);
		large = json_string(text);
		require(!journal_note(j, "large", large, &e));
		json_decref(large);
	}
	require(!journal_disown(j, "file", detail, &e) && !journal_own(j, "file", detail, &e));
	free(text);
	json_decref(detail);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct journal *looked = NULL, *open = NULL, *again;
	char attempt[2 * ATTEMPT_ID_LEN + 1], id[2 * ATTEMPT_ID_LEN + 1];
	json_t *begin = NULL;
	struct err e, f;
	bool peeked;
	int r;

	if (!n)
		return 0;
	write_journal(p + 1, n - 1);
	peeked = !journal_peek(path, attempt, &begin, &e);
	r = journal_look(&looked, path, &e);
	require(!r || (r == -EBADMSG && e.msg[0]));
	require(dump() == !r && journal_open(&open, path, &f) == r);
	if (!r) {
		require(peeked && json_is_object(begin) && json_equal(begin, journal_begin(open)));
		require(!strcmp(attempt_id_format(journal_attempt_id(open), id), attempt));
		expect_same(looked, open);
		write_on(open, p[0] & GROW);
		require(!journal_look(&again, path, &e));
		expect_same(open, again);
		journal_close(again);
		journal_close(open);
		journal_close(looked);
	}
	json_decref(begin);
	return 0;
}

/* ---- seeds ---- */

static void record(struct writer *w, uint8_t what, const char *text)
{
	write_u8(w, what);
	write_u16(w, (uint16_t)strlen(text));
	write_bytes(w, text, strlen(text));
	require(!w->bad);
}

static void write_one(const char *name, const char *role, const char *state, uint8_t settings)
{
	AUTO_FREE char *begin =
		xasprintf("{\"attempt_id\":\"deadbeef0102030405060708090a0b0c\",\"role\":\"%s\",\"begin\":{\"guest\":\"a\"}}", role);
	AUTO_FREE char *at = xasprintf("{\"state\":\"%s\",\"time\":1.5}", state);
	uint8_t buf[1024];
	struct writer w = writer_of(buf, sizeof(buf));

	write_u8(&w, settings);
	record(&w, K_BEGIN, begin);
	record(&w, K_OWN, "{\"kind\":\"file\",\"detail\":{\"path\":\"/b\"},\"time\":2}");
	record(&w, TWICE, at);
	record(&w, K_NOTE, "{\"kind\":\"qemu\",\"detail\":null}");
	record(&w, K_DISOWN, "{\"kind\":\"file\",\"detail\":{\"path\":\"/b\"}}");
	record(&w, DAMAGED | TWICE, at);
	record(&w, LONGER | K_NOTE, "{\"kind\":\"qemu\",\"detail\":null}");
	seed_write(name, buf, writer_len(&w));
}

static void write_bad(void)
{
	uint8_t buf[256];
	struct writer w = writer_of(buf, sizeof(buf));

	write_u8(&w, 0);
	record(&w, K_BEGIN, "{\"attempt_id\":\"deadbeef0102030405060708090a0b0c\",\"role\":\"source\",\"begin\":\"a\"}");
	seed_write("bad", buf, writer_len(&w));
}

static void write_seeds(void)
{
	write_one("source", "source", "SRC_COMMITTED", 0);
	write_bad();
	write_one("destination", "destination", "DST_PREPARED", GROW);
}

static void remove_dir(void)
{
	unlink(path);
	rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	require(mkdtemp(dir));
	path = xasprintf("%s/deadbeef0102030405060708090a0b0c-src.journal", dir);
	atexit(remove_dir);
	return 0;
}
