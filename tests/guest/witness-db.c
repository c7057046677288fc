/* A database as guests have them: SQLite on an ext4 file system, which the host has made on one
 * disk. Each transaction inserts a row, rewrites an older one, and now and then deletes one; it is
 * on the disk when it has been committed (journal_mode=WAL, synchronous=FULL).
 *
 * A row can be told right from wrong by itself: its payload follows from its number and its
 * generation, and its checksum covers them and a chain over the numbers of all rows inserted so
 * far. How many rows there are and what their checksums add up to is kept here, in memory, so that
 * a row that is gone, or is an older generation, is seen too.
 *
 * A database that is there at the start is one that an earlier run of the guest left, however that
 * ended: it is checked and used. */
#include "witness.h"

#include <errno.h>
#include <string.h>

#ifdef WITNESS_DB

#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOUNT_POINT "/db"
#define DB_FILE	    MOUNT_POINT "/db.sqlite"
#define MARK	    "vmferry-row" /* each payload begins with it: tests/lib/rows.py finds them in an image */

enum {
	ROWS_MAX = 20000,  /* from then on one is deleted for each that is inserted */
	DELETE_EVERY = 8,  /* before that */
	PAYLOAD_MIN = 100, /* bytes */
	PAYLOAD_MAX = 1900,
	TICK_NS = 10000000,
	BREATH_NS = 50000, /* between two transactions at full speed: others want the lock, too */
};

enum statement { BEGIN, COMMIT, ROLLBACK, INSERT, PICK, UPDATE, DELETE, STATEMENTS };

static const char *const texts[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[INSERT] = "INSERT INTO rows (id, chain, generation, sum, payload) VALUES (?1, ?2, ?3, ?4, ?5)",
	[PICK] = "SELECT id, chain, generation, sum, payload FROM rows WHERE id >= ?1 ORDER BY id LIMIT 1",
	[UPDATE] = "UPDATE rows SET chain = ?2, generation = ?3, sum = ?4, payload = ?5 WHERE id = ?1",
	[DELETE] = "DELETE FROM rows WHERE id = ?1",
};

struct row {
	uint64_t id, chain, generation, sum;
	char payload[PAYLOAD_MAX];
	size_t bytes;
};

/* The committed contents of the database. */
struct ledger {
	uint64_t rows, sum;
	uint64_t last_id, last_chain;
};

static struct {
	pthread_mutex_t lock;
	bool used;
	enum content content;
	sqlite3 *handle;
	sqlite3_stmt *statements[STATEMENTS];
	uint64_t run; /* number of the database: the chain begins with it */
	struct ledger ledger;
	uint64_t random;
	char integrity[TEXT_BYTES]; /* last message about it, so that it is counted once */
} db = {.lock = PTHREAD_MUTEX_INITIALIZER, .random = 0x9e3779b97f4a7c15U};

/* --- rows --- */

static uint64_t mix(uint64_t x, uint64_t more)
{
	x = (x ^ more) * UINT64_C(0x9e3779b97f4a7c15);
	return x ^ x >> 29;
}

static uint64_t payload_sum(uint64_t sum, const char *payload, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		sum = (sum ^ (unsigned char)payload[i]) * UINT64_C(0x100000001b3);
	return sum;
}

/* The row with this number as it must be in this generation. */
static void row_make(struct row *row, uint64_t id, uint64_t chain, uint64_t generation)
{
	uint64_t noise = mix(mix(db.run, id), generation) | 1;
	size_t compressible;

	memset(row, 0, sizeof *row);
	row->id = id;
	row->chain = chain;
	row->generation = generation;
	row->bytes = PAYLOAD_MIN + random_next(&noise) % (PAYLOAD_MAX - PAYLOAD_MIN);
	compressible = content_fill(db.content, id % 8 != 0) != FILL_NOISE ? row->bytes / 2 : row->bytes;
	for (size_t i = 0; i < row->bytes; i++)
		row->payload[i] = i < compressible ? (char)random_next(&noise) : (char)id;
	snprintf(row->payload, PAYLOAD_MIN, MARK " %" PRIu64 ".%" PRIu64, id, generation);
	row->sum = payload_sum(mix(mix(chain, id), generation), row->payload, row->bytes);
}

static bool row_is(const struct row *row, const struct row *expected)
{
	return row->chain == expected->chain && row->generation == expected->generation && row->sum == expected->sum &&
	       row->bytes == expected->bytes && memcmp(row->payload, expected->payload, row->bytes) == 0;
}

/* --- SQLite --- */

static bool db_failed(const char *what)
{
	tally_block("database: %s: %s", what, sqlite3_errmsg(db.handle));
	return false;
}

static bool run_text(const char *text)
{
	return sqlite3_exec(db.handle, text, NULL, NULL, NULL) == SQLITE_OK || db_failed(text);
}

static bool run_plain(enum statement which)
{
	sqlite3_stmt *s = db.statements[which];
	int result = sqlite3_step(s);

	sqlite3_reset(s);
	return result == SQLITE_DONE || db_failed(texts[which]);
}

static bool run_row(enum statement which, const struct row *row)
{
	sqlite3_stmt *s = db.statements[which];

	sqlite3_bind_int64(s, 1, (sqlite3_int64)row->id);
	if (which != DELETE) {
		sqlite3_bind_int64(s, 2, (sqlite3_int64)row->chain);
		sqlite3_bind_int64(s, 3, (sqlite3_int64)row->generation);
		sqlite3_bind_int64(s, 4, (sqlite3_int64)row->sum);
		sqlite3_bind_blob(s, 5, row->payload, (int)row->bytes, SQLITE_STATIC);
	}
	return run_plain(which);
}

static void row_read(sqlite3_stmt *s, struct row *row)
{
	int bytes = sqlite3_column_bytes(s, 4);

	memset(row, 0, sizeof *row);
	row->id = (uint64_t)sqlite3_column_int64(s, 0);
	row->chain = (uint64_t)sqlite3_column_int64(s, 1);
	row->generation = (uint64_t)sqlite3_column_int64(s, 2);
	row->sum = (uint64_t)sqlite3_column_int64(s, 3);
	row->bytes = bytes < PAYLOAD_MAX ? (size_t)bytes : PAYLOAD_MAX;
	if (row->bytes > 0)
		memcpy(row->payload, sqlite3_column_blob(s, 4), row->bytes);
}

/* The first row from this number on; its id is 0 when there is none. */
static bool row_pick(uint64_t from, struct row *row)
{
	sqlite3_stmt *s = db.statements[PICK];
	int result;

	row->id = 0;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)from);
	result = sqlite3_step(s);
	if (result == SQLITE_ROW)
		row_read(s, row);
	sqlite3_reset(s);
	return result == SQLITE_ROW || result == SQLITE_DONE || db_failed(texts[PICK]);
}

/* --- load --- */

/* Checks a row before it is overwritten or deleted, so that the load never hides a loss. Returns the checksum that it must have. */
static uint64_t row_check_old(const struct row *row)
{
	struct row expected;

	row_make(&expected, row->id, row->chain, row->generation);
	if (!row_is(row, &expected))
		tally_block("database: row %" PRIu64 " generation %" PRIu64 " is wrong", row->id, row->generation);
	return expected.sum;
}

static bool insert_one(struct ledger *next)
{
	struct row row;

	next->last_chain = mix(next->last_chain, ++next->last_id);
	row_make(&row, next->last_id, next->last_chain, 1);
	next->rows++;
	next->sum += row.sum;
	return run_row(INSERT, &row);
}

static bool change_one(struct ledger *next, bool remove)
{
	struct row old, new;

	if (!row_pick(1 + random_next(&db.random) % next->last_id, &old))
		return false;
	if (old.id == 0)
		return true;
	next->sum -= row_check_old(&old);
	if (remove) {
		next->rows--;
		return run_row(DELETE, &old);
	}
	row_make(&new, old.id, old.chain, old.generation + 1);
	next->sum += new.sum;
	return run_row(UPDATE, &new);
}

static void transact(void)
{
	struct ledger next = db.ledger;
	bool remove = next.rows >= ROWS_MAX || random_next(&db.random) % DELETE_EVERY == 0;

	if (run_plain(BEGIN) && insert_one(&next) && change_one(&next, false) && (!remove || change_one(&next, true)) &&
	    run_plain(COMMIT)) {
		db.ledger = next;
		done.disk_ops++;
	} else if (!sqlite3_get_autocommit(db.handle)) {
		run_plain(ROLLBACK);
	}
}

static void transact_if_running(void)
{
	pthread_mutex_lock(&db.lock);
	if (load.running)
		transact();
	pthread_mutex_unlock(&db.lock);
}

static void *db_run(void *unused)
{
	uint64_t last_ns = monotonic_ns();

	for (;;) {
		uint64_t due = pace_due(load.db_rate_s, monotonic_ns(), &last_ns);

		if (load.db_rate_s == 0 && load.running) {
			transact_if_running();
			sleep_until_ns(monotonic_ns() + BREATH_NS);
			continue;
		}
		while (due-- > 0)
			transact_if_running();
		sleep_until_ns(monotonic_ns() + TICK_NS);
	}
	return unused;
}

/* --- opening and closing --- */

static bool db_connect(void)
{
	if (sqlite3_open(DB_FILE, &db.handle) != SQLITE_OK)
		return db_failed("open");
	if (!run_text(
		    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA temp_store=MEMORY;"
		    "CREATE TABLE IF NOT EXISTS run (number INTEGER);"
		    "CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, chain INTEGER, generation INTEGER, sum INTEGER, payload BLOB)"))
		return false;
	for (int i = 0; i < STATEMENTS; i++)
		if (sqlite3_prepare_v3(db.handle, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &db.statements[i], NULL) != SQLITE_OK)
			return db_failed(texts[i]);
	return true;
}

/* Everything goes from the journal into the database when the last connection is closed. */
static void db_disconnect(void)
{
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(db.statements[i]);
	memset(db.statements, 0, sizeof db.statements);
	if (sqlite3_close(db.handle) != SQLITE_OK)
		db_failed("close");
	db.handle = NULL;
}

/* Drops the file from the page cache, so that it is read from the disk. Closing a file drops SQLite's
 * locks on it: no connection may be open. */
static void file_forget(void)
{
	int fd = open(DB_FILE, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) != 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
		tally_block("database: " DB_FILE ": %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* --- verification --- */

/* Structure: one finding each time when it is another than before. */
static void integrity_check(void)
{
	char said[TEXT_BYTES] = "no answer";
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(db.handle, "PRAGMA integrity_check(1)", -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
		snprintf(said, sizeof said, "%s", (const char *)sqlite3_column_text(s, 0));
	else
		snprintf(said, sizeof said, "%s", sqlite3_errmsg(db.handle));
	sqlite3_finalize(s);
	for (char *end = said; (end = strchr(end, '\n')) != NULL;)
		*end = ' ';
	if (strcmp(said, "ok") != 0 && strcmp(said, db.integrity) != 0)
		tally_block("database: integrity_check: %s", said);
	memcpy(db.integrity, said, sizeof said);
}

/* The chain up to the number of this row, deleted ones included. */
static void chain_to(struct ledger *found, uint64_t id)
{
	while (found->last_id < id)
		found->last_chain = mix(found->last_chain, ++found->last_id);
}

/* A wrong row is written anew, so that it is counted once. */
static void row_check(const struct row *row, struct ledger *found)
{
	struct row expected;

	chain_to(found, row->id);
	row_make(&expected, row->id, found->last_chain, row->generation);
	found->rows++;
	found->sum += expected.sum;
	if (row_is(row, &expected))
		return;
	tally_block("database: row %" PRIu64 " generation %" PRIu64 " is wrong", row->id, row->generation);
	run_row(UPDATE, &expected);
}

/* Checks every row; returns how many there are. */
static uint64_t rows_check(struct ledger *found)
{
	struct row row;

	*found = (struct ledger){.last_chain = db.run};
	while (row_pick(found->last_id + 1, &row) && row.id != 0) {
		if (row.id > db.ledger.last_id) {
			tally_block("database: row %" PRIu64 " was never inserted", row.id);
			break;
		}
		row_check(&row, found);
	}
	chain_to(found, db.ledger.last_id);
	return found->rows;
}

/* The found contents become the expected ones. */
static uint64_t db_check(const char *where)
{
	struct ledger found;
	uint64_t rows = rows_check(&found);

	integrity_check();
	if (found.rows != db.ledger.rows || found.sum != db.ledger.sum)
		tally_block("database %s: %" PRIu64 " rows with the sum %" PRIx64 ", not %" PRIu64 " with %" PRIx64, where, found.rows,
			    found.sum, db.ledger.rows, db.ledger.sum);
	db.ledger = found;
	return rows;
}

/* Twice: what the guest has in its memory, and what is on the disk. */
uint64_t db_verify(void)
{
	uint64_t rows = 0;

	if (!db.used)
		return 0;
	pthread_mutex_lock(&db.lock);
	rows += db_check("in memory");
	db_disconnect();
	file_forget();
	if (db_connect())
		rows += db_check("on the disk");
	pthread_mutex_unlock(&db.lock);
	return rows;
}

/* --- start and orders --- */

static uint64_t number_of(const char *query)
{
	sqlite3_stmt *s = NULL;
	uint64_t number = 0;

	if (sqlite3_prepare_v2(db.handle, query, -1, &s, NULL) != SQLITE_OK)
		give_up("database: %s", sqlite3_errmsg(db.handle));
	if (sqlite3_step(s) == SQLITE_ROW)
		number = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return number;
}

static void db_begin(void)
{
	char text[TEXT_BYTES];
	struct ledger found;

	db.run = number_of("SELECT number FROM run");
	if (db.run == 0) {
		db.run = mix(tag_run(), 1) >> 1;
		snprintf(text, sizeof text, "INSERT INTO run (number) VALUES (%" PRIu64 ")", db.run);
		if (!run_text(text))
			give_up("database: %s", sqlite3_errmsg(db.handle));
	}
	db.ledger.last_id = number_of("SELECT max(id) FROM rows");
	rows_check(&found);
	db.ledger = found;
}

void db_open(const struct options *options)
{
	char path[TEXT_BYTES + 8];

	if (!options->db[0])
		return;
	snprintf(path, sizeof path, "/dev/%s", options->db);
	close(disk_open_when_there(path, O_RDWR));
	mkdir(MOUNT_POINT, 0700);
	if (mount(path, MOUNT_POINT, "ext4", MS_NOATIME, "") != 0)
		give_up("%s is to be mounted as ext4: %s", path, strerror(errno));
	db.content = options->content;
	if (!db_connect())
		give_up("no database on %s", path);
	db_begin();
	db.used = true;
}

void db_start(void)
{
	if (db.used)
		start_thread(db_run, NULL);
}

int db_corrupt(void)
{
	struct row row;
	int result = -EIO;

	if (!db.used)
		return -ENODEV;
	pthread_mutex_lock(&db.lock);
	if (row_pick(1 + random_next(&db.random) % (db.ledger.last_id + 1) / 2, &row) && row.id != 0) {
		row.payload[row.bytes - 1] ^= 0x10;
		result = run_row(UPDATE, &row) ? 0 : -EIO;
	}
	pthread_mutex_unlock(&db.lock);
	return result;
}

int db_sync(void)
{
	int fd, result = 0;

	if (!db.used)
		return 0;
	pthread_mutex_lock(&db.lock);
	if (!run_text("PRAGMA wal_checkpoint(TRUNCATE)"))
		result = -EIO;
	fd = open(MOUNT_POINT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) != 0)
		result = -errno;
	if (fd >= 0)
		close(fd);
	pthread_mutex_unlock(&db.lock);
	return result;
}

void db_close(void)
{
	if (!db.used)
		return;
	pthread_mutex_lock(&db.lock);
	db_disconnect();
	umount(MOUNT_POINT);
}

#else

void db_open(const struct options *options)
{
	if (options->db[0])
		give_up("db=%s: built without SQLite (libsqlite3-dev)", options->db);
}

void db_start(void)
{
}

uint64_t db_verify(void)
{
	return 0;
}

int db_corrupt(void)
{
	return -ENODEV;
}

int db_sync(void)
{
	return 0;
}

void db_close(void)
{
}

#endif
