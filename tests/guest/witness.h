/*
 * The witness: the one program of the test guest. It owns a region of RAM and windows of
 * the guest's disks, changes them at a set pace with contents that say what they are, and
 * can tell at any time whether each page and each block is the one that it last wrote.
 *
 * witness.c         options, heartbeat on the console, start
 * witness-tag.c     contents that say what they are
 * witness-ram.c     load and verification of RAM
 * witness-disk.c    load and verification of disks
 * witness-still.c   disk content that no load writes, on the disks and in the page cache, and its verification
 * witness-db.c      load and verification of a database
 * witness-pair.c    two disks that are written in turn
 * witness-agent.c   what freezes and thaws them, as a guest agent does
 * witness-button.c  the power button
 * witness-tpm.c     the TPM
 * witness-net.c     the network card, UDP heartbeat
 * witness-probe.c   TCP probe
 * witness-orders.c  orders over the second serial port
 * witness-saved.c   before all that, in a guest whose state is saved
 */
#ifndef WITNESS_H
#define WITNESS_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAGE_BYTES = 4096, PAGE_WORDS = PAGE_BYTES / 8, MAX_DISKS = 8, MAX_DETAILS = 8, TEXT_BYTES = 160 };

enum pattern { PATTERN_RANDOM, PATTERN_SEQ, PATTERN_HOT };

/* The contents that are written. Compressible: half noise, half one word. Incompressible: noise. Mixed: mostly
 * compressible pages, some noise, some zeros, and blocks that are discarded. Living: data from the first disk, somewhat
 * changed. Zeros: pages, until they are first overwritten; all else is as with compressible. */
enum content { CONTENT_MIXED, CONTENT_COMPRESSIBLE, CONTENT_INCOMPRESSIBLE, CONTENT_LIVING, CONTENT_ZEROS };
/* The contents of a page. */
enum fill { FILL_NOISE, FILL_HALF, FILL_LIVING };

/*
 * Of the kernel's command line, each as witness.KEY=VALUE:
 *   ram_mb, pattern=random|seq|hot, hot_mb, rate (pages/s), check (before overwriting), bg_check (pages/s)
 *   disks=vda,vdb, disk_mb (that the load uses of each, in four windows; 0: all), disk_rate (operations/s), discard
 *   content=mixed|compressible|incompressible|living|zeros   of pages, blocks and rows
 *   cache_mb      of the first disk to be kept in the page cache; what no load writes, so disk_mb must leave as much
 *   cache_rate    of its pages to be read anew, in pages/s at random
 *   still_mb      of each disk, of what no load writes, that is to be verified, too
 *   db, db_rate   disk with an ext4 file system for a database (not one of `disks`); transactions/s, 0: as fast as they go
 *   pair=vda,vdb, pair_rate   two disks (none of `disks`) that are written in turn; times/s, 0: as fast as they go
 *   agent         1: the guest's end of a port org.qemu.guest_agent.0, the only one of its bus
 *   button        1: the power button turns it off
 *   hb_ms         of the heartbeat on the console; 0: none
 *   net=ADDRESS/PREFIX, gw=ADDRESS   of eth0; a gateway to all other networks
 *   hb_udp=ADDRESS:PORT, tcp=ADDRESS:PORT   where the heartbeat and the probe go
 */
struct options {
	uint64_t ram_mb, hot_mb, disk_mb, cache_mb, cache_rate_s, still_mb, hb_ms;
	uint64_t rate_pages_s, disk_rate_s, db_rate_s, pair_rate_s, bg_check_pages_s;
	uint64_t discard, check, agent, button;
	enum pattern pattern;
	enum content content;
	char disks[TEXT_BYTES], hb_udp[TEXT_BYTES], net[TEXT_BYTES], gw[TEXT_BYTES], tcp[TEXT_BYTES], db[TEXT_BYTES], pair[TEXT_BYTES];
};

/* The load's present task; set by orders, read by the load threads. */
struct load {
	atomic_bool running;
	_Atomic uint64_t rate_pages_s, disk_rate_s;
	_Atomic uint64_t db_rate_s; /* transactions; 0: as fast as they go */
	_Atomic(enum pattern) pattern;
};

/* The load's operations since the start, counted where they are done, and read by the heartbeat, which waits for no lock. */
struct done {
	_Atomic uint64_t ram_ops, disk_ops;
};

/* Everything that was ever found wrong, and the first few findings in words. */
struct tally {
	pthread_mutex_t lock;
	uint64_t pages_wrong, blocks_wrong;
	char detail[MAX_DETAILS][TEXT_BYTES];
	unsigned details;
};

extern struct load load;
extern struct done done;
extern struct tally tally;

void tally_page(const char *format, ...) __attribute__((format(printf, 1, 2)));
void tally_block(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t monotonic_ns(void);
void sleep_until_ns(uint64_t ns);
/* How many operations are due at this rate since *last_ns, at most a tenth of a second's. */
uint64_t pace_due(uint64_t rate_s, uint64_t now_ns, uint64_t *last_ns);
uint64_t random_next(uint64_t *state);
bool parse_number(const char *text, uint64_t *to);
bool parse_pattern(const char *text, enum pattern *to);
void start_thread(void *(*run)(void *), void *argument);
/* Writes a line to the console, or drops it if the last one has not gone out yet. */
void console_line(const char *line);

/* --- witness-tag.c: a domain is RAM (0) or a disk (1...) --- */

void tag_start(void);
/* A number drawn at each start. */
uint64_t tag_run(void);
/* compressible: whether it is so in mixed content. */
enum fill content_fill(enum content content, bool compressible);
void tag_fill(uint64_t *page, unsigned domain, uint32_t index, uint32_t generation, enum fill fill);
/* For FILL_LIVING, before the first: pages of real files. Taken over. */
void tag_take_pool(uint64_t *pages, uint64_t count);
bool tag_is_zero(const uint64_t *page);
uint64_t tag_hash(const uint64_t *page);
/* Says in words what is on a page that should have equalled `expected`. */
void tag_describe(const uint64_t *page, const uint64_t *expected, char text[static TEXT_BYTES]);

/* --- witness-ram.c --- */

void ram_open(const struct options *options);
void ram_start(void);
/* Checks every page; returns how many. What is wrong goes to the tally. */
uint64_t ram_verify(void);
void ram_corrupt(void);
/* Returns when the load, told to pause, has come to rest. */
void ram_settle(void);
void ram_stats(uint64_t *ops, uint64_t *generation_sum);

/* --- witness-disk.c --- */

void disks_open(const struct options *options);
/* Waits for the device; gives up when it does not come. */
int disk_open_when_there(const char *path, int flags);
void disks_start(void);
uint64_t disks_verify(void);
/* 0, or -errno (-ENODEV: there is no disk). */
int disks_corrupt(void);
/* Settles as ram_settle() does; then everything written is on stable storage. */
int disks_sync(void);
void disks_stats(uint64_t *ops, uint64_t *generation_sum);
unsigned disks_count(void);
/* A disk's blocks outside of the windows: how many, and where the n-th one lies. */
uint64_t disk_unused_blocks(unsigned disk);
uint64_t disk_unused_block(unsigned disk, uint64_t n);
int disk_reopen(unsigned disk, int flags);

/* --- witness-tpm.c: 0 or -errno --- */

int tpm_extend(unsigned pcr, const char *text);
/* The register as 64 hexadecimal digits. */
int tpm_pcr(unsigned pcr, char text[static TEXT_BYTES]);
int tpm_store(const char *text);
int tpm_load(char text[static TEXT_BYTES]);

/* --- witness-still.c --- */

/* Opens the pool that living contents are made from. */
void pool_open(const struct options *options);
void stills_open(const struct options *options);
void stills_start(void);
/* Returns how many blocks and pages of the cache were checked. */
uint64_t stills_verify(void);
/* How many pages are to be in the page cache, and how many of them the kernel has there. */
void cache_stats(uint64_t *pages, uint64_t *present);

/* --- witness-db.c: all of it does nothing, or says -ENODEV, without a database --- */

void db_open(const struct options *options);
void db_start(void);
/* Returns how many rows were checked. */
uint64_t db_verify(void);
int db_corrupt(void);
/* Settles as disks_sync() does; nothing is left in its journal. */
int db_sync(void);
/* For good: the file system is unmounted. */
void db_close(void);

/* --- witness-pair.c --- */

void pair_open(const struct options *options);
void pair_start(void);
/* Returns when no pair is half written; none is begun until it is thawed. */
void pair_freeze(bool yes);
bool pair_is_frozen(void);
/* The numbers of both disks: those found at the start (0: none, UINT64_MAX: a torn block), and those written last. False: there is no
 * pair. */
bool pair_numbers(uint64_t found[2], uint64_t written[2]);

/* --- witness-agent.c --- */

void agent_start(const struct options *options);

/* --- witness-button.c --- */

void button_start(const struct options *options);

/* --- witness-net.c --- */

enum { TOKEN_WORDS = 2 };
/* The bytes at the end of each heartbeat and probe, in this order. */
extern _Atomic uint64_t net_token[TOKEN_WORDS];

/* "ADDRESS:PORT" of an option; gives up when it is none. */
struct sockaddr_in net_target(const char *option, const char *text);
void net_start(const struct options *options);

/* --- witness-probe.c --- */

void probe_start(const struct options *options);

/* --- witness-saved.c: `witness saved` --- */

/* Prints the command line of a QEMU that has another one than this one has; waits until it is in such a one. */
int saved_wait(void);

/* --- witness-orders.c --- */

/* Everything is on the disks then. */
void power_off(void);
void orders_open(void);
void orders_start(void);

#endif
