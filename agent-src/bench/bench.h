/*
 * bench.h: what the files of vmferry-bench share. A bench moves one guest to and fro between two sides, by one tool after the
 * other, and writes down what it saw (docs/bench.md).
 *
 * cmd-bench     options
 * bench-plan    what is to be measured, in which order (pure)
 * bench-room    whether it fits into a host (pure)
 * bench-lab     two hosts out of namespaces
 * bench-side    what is done on a host that is this machine; what ends with us
 * bench-ssh     what is done on another one
 * bench-run     cells, rounds, verdicts
 * bench-guest   the guest: its QEMU, its disks, what its witness says
 * bench-content what its disks are filled with
 * bench-native  a move by QEMU's own migration, with its mirror for disks
 * bench-libvirt the guest as one of libvirt's, and its move by virsh
 * bench-tls     keys; the one for QEMU's own TLS, at both sides
 * bench-ferry   a move by vmferry
 * bench-watch   what is sampled while a move runs
 * bench-result  what becomes of it
 * bench-file    the file of results
 * bench-runs    what the moves of a cell and tool add up to (pure)
 * bench-table   the table in the terminal
 * html-bench*   the page, of which `vmferry report` is asked
 *
 * All times of a move are CLOCK_REALTIME, which QEMU's events and the kernel's receive timestamps have, too.
 */
#ifndef VMFERRY_BENCH_H
#define VMFERRY_BENCH_H

#include "bench-collect.h"
#include "dest-connect.h"
#include "err.h"
#include "loop.h"
#include "qmp.h"

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_LIST_MAX	   16 /* links, sizes, workloads, tools */
#define BENCH_REPEAT_MAX   1000
#define WORKLOAD_RATE_MAX  1000000
#define BENCH_DISKS_MAX	   8 /* that the witness takes */
#define BENCH_DELAY_MAX_MS 10000
#define BENCH_CACHED_MAX   95 /* percent: the witness has memory of its own */
#define BENCH_WINDOWS_MIB  64 /* of each disk, that it writes to */
#define BENCH_GUEST_IP	   "10.78.0.50"
#define BENCH_COLLECTOR_IP "10.78.0.254"

/* ---- bench-plan ---- */

struct workload {
	const char *name, *text;
	const char *witness; /* options of the witness */
	const char *rate;    /* the option of these that is its rate a second; NULL: none that could be changed */
	bool disk;	     /* it needs one */
	bool database;	     /* on a disk of its own */
	/* page cache of the first disk: the plan's part of the memory, in a living guest; half of it, always; of all that the disk
	 * holds, whether it fits or not; none */
	enum { CACHE_LIVING, CACHE_HALF, CACHE_ALL, CACHE_NONE } cache;
};

/* What the guest's disks and memory hold. */
enum bench_content { CONTENT_LIVING, CONTENT_NOISE, CONTENT_ZEROS };

enum tool_kind { TOOL_SINGLE, TOOL_MULTIFD, TOOL_ZSTD, TOOL_XBZRLE, TOOL_VIRSH, TOOL_VMFERRY };

struct tool {
	char *text; /* as given: its name in results */
	enum tool_kind kind;
	unsigned channels; /* 0: the tool's own default */
	const char *codec; /* vmferry; NULL: auto */
	bool no_recheck;   /* vmferry: QEMU is believed, as with KVM it is */
	bool tls, libvirt; /* libvirt: the guest is libvirt's */
	char *from;	   /* vmferry: another build's directory; NULL: this one */
};

struct bench_plan {
	char *links[BENCH_LIST_MAX + 1];
	unsigned mem_mib[BENCH_LIST_MAX + 1];
	struct workload workloads[BENCH_LIST_MAX + 1];
	struct tool tools[BENCH_LIST_MAX + 1];
	unsigned link_count, mem_count, workload_count, tool_count;
	char *own[3 * BENCH_LIST_MAX]; /* strings of workloads at other rates */
	unsigned own_count;
	unsigned repeat, seed, disks, disk_mib, disk_data_mib, cached_percent;
	enum bench_content content;
	double max_downtime_ms;
	double delay_ms, loss_percent; /* of the lab's link, each way */
};

/* Each takes a list with commas. -EINVAL says what there is. */
int plan_links(struct bench_plan *p, const char *list, struct err *e);
/* Instead: whatever there is between two hosts. */
void plan_network(struct bench_plan *p);
int plan_mems(struct bench_plan *p, const char *list, struct err *e);
int plan_workloads(struct bench_plan *p, const char *list, struct err *e);
int plan_tools(struct bench_plan *p, const char *list, struct err *e);
/* One number: milliseconds, percent; with decimals. */
int plan_delay(struct bench_plan *p, const char *word, struct err *e);
int plan_loss(struct bench_plan *p, const char *word, struct err *e);
/* One word. */
int plan_content(struct bench_plan *p, const char *word, struct err *e);
void plan_fini(struct bench_plan *p);
/* The tool of which a guest is libvirt's that is first in the plan; NULL: there is none. */
const struct tool *plan_libvirt(const struct bench_plan *p);
/* All workloads there are, for --help. */
const struct workload *plan_workload(unsigned index);
/* Bytes per second, as its interface counts them, that a link carries; 0: not shaped, or not known. Whole: each packet is counted with its headers;
 * otherwise large ones are counted before they are cut up: 1448 of each 1514 bytes. */
double link_bytes_per_s(const char *link, bool whole);
/* What it really is: nothing lives where no disk holds anything. */
enum bench_content plan_really(const struct bench_plan *p);
json_t *plan_json(const struct bench_plan *p);
/* The other way, for a run that goes on. */
int plan_from_json(struct bench_plan *p, const json_t *plan, struct err *e);
/* The tools of one round of a cell in their order there. */
void plan_order(const struct bench_plan *p, unsigned cell, unsigned round, unsigned order[BENCH_LIST_MAX]);

/* ---- bench-room ---- */

struct room;
/* Whether so many guests at once, with their images, leave enough of what that host has to others. -ENOMEM, -ENOSPC. */
int plan_fits(const struct bench_plan *p, unsigned guests, const struct room *has, const char *where, struct err *e);

/* ---- the two sides ---- */

struct side;

/* What a bench does on a host. Paths are that host's, and within its `work`. */
struct side_ops {
	/* A process in a session of its own, which ends with us. log: what it says on stderr is added there, and with out_fd -1 what
	 * it says on stdout. */
	int (*spawn)(struct side *s, char *const *argv, int out_fd, const char *log, pid_t *pid, struct err *e);
	int (*folder)(struct side *s, const char *path, struct err *e);
	/* A new file that nobody else may read. */
	int (*file)(struct side *s, const char *path, const char *text, struct err *e);
	/* An empty disk. *direct: its file system takes O_DIRECT. */
	int (*image)(struct side *s, const char *path, uint64_t bytes, bool *direct, struct err *e);
	uint64_t (*allocated)(struct side *s, const char *path);
	/* The end of a file, printable; "": it cannot be read. */
	void (*tail)(struct side *s, const char *path, char *text, size_t room);
	/* Connects to a unix socket. -ENOENT: it is not there yet. */
	int (*reach)(struct side *s, const char *path, int *fd, struct err *e);
	/* A TCP port that can be listened on; usual: which one where nobody else is; it may be 0, for any. */
	int (*port)(struct side *s, unsigned usual, unsigned *port, struct err *e);
	/* Ends that QEMU (0: there is none), and removes its folder, which may be NULL. */
	void (*remove)(struct side *s, pid_t pid, const char *folder);
};

struct side {
	const struct side_ops *ops;
	const char *namespace;	      /* of the network; NULL: our own */
	const char *address;	      /* of the migration's link, for connections from the other side */
	const char *listen;	      /* the same address, as that host has it */
	const char *interface;	      /* of that link */
	const char *work;	      /* the directory of all there */
	const char *qemu, *guest_dir; /* program; kernel and initrd */
	char *libvirt;		      /* directory of its libvirtd, ours to free; NULL: no tool needs one */
	pid_t libvirtd;
	char *keys;	     /* directory of the key for QEMU's own TLS, ours to free; NULL: no tool needs one */
	struct there *there; /* NULL: pids and clocks are those of this machine */
};

/* This machine. */
extern const struct side_ops side_here;

struct bench_options {
	const char *qemu, *accel, *guest_dir, *dir, *out, *lab_script;
	const char *collector; /* our address as the other host sees it */
	unsigned timeout_s;    /* of one move */
};

struct bench {
	struct bench_options opt;
	struct bench_plan plan;
	struct loop *loop;
	const char *host;	 /* the other one, as given; NULL: all is in the lab */
	struct dest_config dest; /* how vmferry and we reach it */
	struct there *there;
	struct side sides[2]; /* guests are booted on the first */
	struct collector *collector;
	char *work;			/* our directory: everything lies in it, and it ends with us */
	char *vmferry, *agent, *helper; /* programs; the helper is for the other host */
	unsigned folders, orders;	/* how many were used, given */
	json_t *run;			/* the file of results */
};

/* Someone wants us to end. */
extern volatile sig_atomic_t bench_stop;
/* One step of the loop; -EINTR when we are to end, -ETIMEDOUT after until_ns (CLOCK_MONOTONIC). */
int bench_step(struct bench *b, uint64_t until_ns, unsigned max_wait_ms, struct err *e);

/* Everything in that directory is removed when this process, and whoever inherited from it, has ended, however it does. */
int remove_when_we_end(const char *dir, struct err *e);

/* ---- bench-lab ---- */

/* Goes on in a process of its own, the first one in new namespaces, with the lab around it: ends there with *status set when
 * the caller is the one outside (returns 1). 0: inside. An error also if the kernel cannot do to the link what the plan wants. */
int lab_enter(const struct bench *b, int *status, struct err *e);
int lab_shape(const struct bench *b, const char *link, struct err *e);
/* TCP's, of both hosts; malloc'ed. */
char *lab_congestion(const struct bench *b);

/* ---- bench-ssh ---- */

/* Logs in at b->host and makes both sides. The collector is there already. there_close() also after an error. */
int there_open(struct bench *b, struct err *e);
/* To be called each few seconds: else that host takes us for dead. -EPIPE: the connection was lost. */
int there_beat(struct there *t, struct err *e);
/* What that host's QEMU says to --version. */
const char *there_qemu_version(const struct there *t);
/* Waits until nothing of ours is there any more. */
void there_close(struct bench *b);

/* ---- bench-tls ---- */

/* If a native tool of the plan is to use TLS: asks both sides' QEMUs whether they can, and gives both a new key, which goes with
 * their directories. -ENOTSUP: one cannot. */
int tls_prepare(struct bench *b, struct err *e);
void tls_fini(struct bench *b);
#define KEY_TEXT_MAX 96
/* A line "USER:KEY" with a new key, as QEMU and vmferry have it in a file. */
int key_make(const char *user, char text[KEY_TEXT_MAX], struct err *e);

/* ---- bench-libvirt ---- */

struct bench_guest;

/* If a tool of the plan needs it: a libvirtd at each side. -ENOTSUP: there is none. */
int libvirt_prepare(struct bench *b, struct err *e);
void libvirt_fini(struct bench *b);
/* A string. */
json_t *libvirt_version(const struct bench *b);
/* As side_ops has it, but among what that side's libvirtd sees: its socket, its guests' files and their pids. */
int libvirt_spawn(struct side *s, char *const *argv, int out_fd, const char *log, pid_t *pid, struct err *e);
/* The guest's folder is where its description says. */
int libvirt_show(const struct side *s, const struct bench_guest *g, struct err *e);
#define LIBVIRT_NAME "bench"
/* Starts the guest, whose disks are there. */
int libvirt_create(struct bench *b, struct bench_guest *g, const char *kernel_line, struct err *e);
/* Ends it, and what is left of it. */
void libvirt_destroy(struct bench *b, const struct bench_guest *g);

/* ---- bench-content ---- */

struct content;
/* Contents for disks. Living: the regular files below dir, in an order that mixes their kinds, each from a page of its own on;
 * -ENOENT: there are none. Noise: three of four blocks, which do not compress. */
int content_open(struct content **out, enum bench_content kind, const char *dir, struct err *e);
/* The next bytes, a multiple of 4096; begins anew when there are no more files. */
void content_read(struct content *c, uint8_t *to, size_t bytes);
void content_close(struct content *c);

/* ---- bench-guest ---- */

/* Adds the end of a program's log to the error. */
int bench_said_last(struct side *s, const char *log, struct err *e);

struct bench_guest {
	pid_t pid; /* 0: there is none */
	unsigned side, mem_mib, disk_count;
	bool direct;  /* disks without the page cache */
	bool libvirt; /* libvirt's, from its start */
	const struct workload *workload;
	char *folder;
};

/* How much of its memory the witness has. */
unsigned bench_guest_load_mib(unsigned mem_mib);
/* What of the first disk it reads through the page cache, MiB. */
unsigned bench_guest_cache_mib(const struct bench_plan *p, const struct workload *w, unsigned mem_mib);
/* What else of its memory it fills, MiB. */
unsigned bench_guest_heap_mib(const struct bench_plan *p, const struct workload *w, unsigned mem_mib);
/* How much of what it fills is page cache, percent: as the plan says, or as far as the first disk holds anything. */
unsigned bench_guest_cached_percent(const struct bench_plan *p, const struct workload *w, unsigned mem_mib);
char *bench_guest_path(const struct bench_guest *g, const char *what);
/* A new folder on that side. */
char *bench_folder(struct bench *b, unsigned side, struct err *e);
/* Boots one, by libvirt or as it is, and waits until its witness is ready. */
int bench_guest_boot(struct bench *b, struct bench_guest *g, const struct workload *w, unsigned mem_mib, bool libvirt, struct err *e);
/* Its disks, empty. */
int bench_guest_disks(struct bench *b, struct bench_guest *g, struct err *e);
/* A QEMU for g on the other side, waiting for it, with disks of the same sizes, empty. */
int bench_guest_prepare_target(struct bench *b, const struct bench_guest *g, struct bench_guest *target, struct err *e);
/* Adds to an error what the guest's QEMU said last. Returns -e->code. */
int bench_guest_why(struct bench *b, const struct bench_guest *g, struct err *e);
/* The witness checks everything: the `verified` of docs/bench.md; -EBADMSG: something is wrong, -EIO: it did not answer. */
int bench_guest_verify(struct bench *b, const struct bench_guest *g, json_t **verdict, struct err *e);
/* After a move that failed: the guest runs where it was, soon, and its witness finds nothing wrong. q: its monitor, or NULL. */
int bench_guest_unharmed(struct bench *b, struct bench_guest *g, struct qmp *q, struct err *e);
/* Ends its QEMU, and removes its folder. */
void bench_guest_end(struct bench *b, struct bench_guest *g);
uint64_t bench_guest_disk_allocated(struct bench *b, const struct bench_guest *g);

/* ---- bench-watch ---- */

enum role { ROLE_SOURCE_QEMU, ROLE_TARGET_QEMU, ROLE_VMFERRY, ROLE_AGENT, ROLES };

struct watch_sample {
	uint64_t at_ns, wire_bytes;
	int64_t ram_left, disk_left, round, dirty_bytes_per_s; /* -1: not known */
	const char *codec;
};

struct watch_event {
	uint64_t at_ns;
	char *what;
};

struct watch;

struct watch_end {
	struct watch *watch;
	struct qmp *qmp;
	int fd; /* of its monitor, before it greets; -1: not reached, or met */
	bool is_target;
};

/* One of those who take part. */
struct watch_process {
	pid_t pid; /* 0: not there */
	double cpu_s, cpu_base_s;
	uint64_t rss_anon;
};

/* When each was first seen, CLOCK_REALTIME; 0: not yet. */
struct watch_times {
	uint64_t migrate_ns, pre_switchover_ns, stop_ns, resume_ns, completed_ns;
};

struct watch {
	struct bench *b;
	uint64_t began_ns; /* CLOCK_REALTIME */
	uint64_t quiet_ns; /* until then nobody disturbed the guest */
	struct watch_end source, target;
	unsigned source_side;
	struct watch_process process[ROLES];
	double busy_base_s, others_cpu_s;
	uint64_t wire_base;
	struct watch_sample *samples, now; /* now: the newest of what is known */
	size_t sample_count;
	struct watch_event *events;
	size_t event_count;
	bool asking;
	uint64_t asked_ns, pass_told_ns;
	struct watch_times seen;
	bool clocks_differ; /* the target's QEMU has another clock: its events count from when we hear of them */
	bool failed;
	int jobs_ready, jobs_completed;
};

extern const char *const role_names[ROLES];

void watch_begin(struct watch *w, struct bench *b, const struct bench_guest *g);
/* Opens the second monitor of a QEMU of ours. */
int watch_open(struct watch_end *end, const struct bench_guest *g, struct err *e);
/* The QEMU that the tool starts for the guest: once its monitor shows at that path and greets, it is watched. */
void watch_meet(struct watch *w, struct bench_guest *target, const char *path);
/* Whose socket that is; 0: nobody's here. */
pid_t peer_pid(int fd);
/* Takes a sample now. */
void watch_sample(struct watch *w);
/* Steps the loop and samples. */
int watch_step(struct watch *w, uint64_t until_ns, struct err *e);
void watch_event(struct watch *w, uint64_t at_ns, const char *what);
/* The guest goes on there, and the source's QEMU has said all that it says of the move, or is gone. */
bool watch_heard_all(const struct watch *w);
/* What everything else on the machine took until now. */
void watch_others(struct watch *w);
void watch_close(struct watch *w);
void watch_fini(struct watch *w);
/* The value of the first line "KEY<separator>value", without quotes; "unknown": there is none. */
void file_value(const char *path, const char *key, char *out, size_t room);

/* ---- the tools ---- */

/* What a tool says of its move, and where the guest is then. */
struct outcome {
	struct bench_guest target; /* the guest, if it moved */
	uint64_t done_ns;
	double qmp_ms, own_ms, predicted_ms; /* 0: not known */
	uint64_t carried_bytes;
	json_t *breakdown, *stages; /* may be NULL */
};

/* The guest is g's before and o->target's after. An error: the tool says that it did not move. Both are to be ended. */
int move_native(struct bench *b, const struct tool *t, struct bench_guest *g, struct watch *w, struct outcome *o, struct err *e);
int move_virsh(struct bench *b, const struct tool *t, struct bench_guest *g, struct watch *w, struct outcome *o, struct err *e);
int move_vmferry(struct bench *b, const struct tool *t, struct bench_guest *g, struct watch *w, struct outcome *o, struct err *e);

/* What of memory and disks arrived by a move with this result, pages that travelled as a disk's contents included. 0: in opaque mode
 * nobody counts pages. */
uint64_t ferry_carried(const json_t *result);

/* ---- bench-result ---- */

/* Adds what was seen to the JSON of a move. -EBADMSG: the guest's connection broke. */
int result_fill(json_t *move, struct watch *w, const struct outcome *o, double capacity_bytes_per_s, struct err *e);
json_t *bench_environment(const struct bench *b);

/* ---- bench-file ---- */

/* "bench-DATE-TIME.json"; malloc'ed. */
char *bench_default_output(void);
/* -EEXIST: there are results in it. */
int bench_check_output(const char *path, struct err *e);
/* Takes up the run that is in this file: b->run, its plan, and its accelerator if none was chosen. */
int bench_load(struct bench *b, const char *path, struct err *e);
/* -EINVAL: it was begun with other programs or on another machine, whose results do not belong into one file. */
int bench_check_same(const struct bench *b, const json_t *environment, struct err *e);
/* Writes b->run to its file. */
int bench_save(const struct bench *b, struct err *e);

/* ---- bench-run, bench-table ---- */

/* Goes on where b->run ends. */
int bench_run(struct bench *b, struct err *e);
void bench_table(const json_t *run);

#endif
