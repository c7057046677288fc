/*
 * bench.h: shared by the files of vmferry-bench. A bench moves a guest back and forth between two sides, by one tool after the other, and
 * records what it sees (docs/bench.md).
 *
 * cmd-bench     options
 * cmd-bench     options
 * bench-plan    what is measured, in which order (pure)
 * bench-room    whether it fits into a host (pure)
 * bench-lab     two hosts made of namespaces
 * bench-side    actions on this machine as a host; clean-up when we end
 * bench-ssh     actions on another host
 * bench-run     cells, rounds, verdicts
 * bench-guest   the guest: its QEMU, its disks, its witness's answers
 * bench-content contents of its disks
 * bench-native  a move by QEMU's own migration, with its mirror for disks
 * bench-libvirt the guest as one of libvirt's, and its move by virsh
 * bench-tls     keys; the one for QEMU's own TLS, at both sides
 * bench-ferry   a move by vmferry
 * bench-watch   samples taken during a move
 * bench-result  the result of a move
 * bench-file    the file of results
 * bench-runs    sums over the moves of a cell and tool (pure)
 * bench-table   the table in the terminal
 * html-bench*   the page, for `vmferry report`
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
#define BENCH_DISKS_MAX	   8 /* the witness's limit */
#define BENCH_DELAY_MAX_MS 10000
#define BENCH_CACHED_MAX   95 /* percent: the witness has memory of its own */
#define BENCH_WINDOWS_MIB  64 /* part of each disk that the witness writes to */
#define BENCH_GUEST_IP	   "10.78.0.50"
#define BENCH_COLLECTOR_IP "10.78.0.254"

/* ---- bench-plan ---- */

struct workload {
	const char *name, *text;
	const char *witness; /* options of the witness */
	const char *rate;    /* the witness's option that sets its rate per second; NULL: fixed */
	bool disk;	     /* needs a disk */
	bool database;	     /* the database is on a separate disk */
	/* page cache of the first disk: in a living guest, the plan's share of memory; always half of memory; all that the disk holds,
	 * even if it does not fit; none */
	enum { CACHE_LIVING, CACHE_HALF, CACHE_ALL, CACHE_NONE } cache;
};

/* Contents of the guest's disks and memory. */
enum bench_content { CONTENT_LIVING, CONTENT_NOISE, CONTENT_ZEROS };

enum tool_kind { TOOL_SINGLE, TOOL_MULTIFD, TOOL_ZSTD, TOOL_XBZRLE, TOOL_VIRSH, TOOL_VMFERRY };

struct tool {
	char *text; /* words as given; they name it in results */
	enum tool_kind kind;
	unsigned channels; /* 0: the tool's own default */
	const char *codec; /* vmferry; NULL: auto */
	bool no_recheck;   /* vmferry: trust QEMU, as is done with KVM */
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
	double delay_ms, loss_percent; /* delay and loss of the lab's link, each way */
};

/* Parsers of comma-separated lists. -EINVAL: the error lists the valid words. */
int plan_links(struct bench_plan *p, const char *list, struct err *e);
/* Sets the network between two hosts, as it is, in place of links. */
void plan_network(struct bench_plan *p);
int plan_mems(struct bench_plan *p, const char *list, struct err *e);
int plan_workloads(struct bench_plan *p, const char *list, struct err *e);
int plan_tools(struct bench_plan *p, const char *list, struct err *e);
/* Parsers of one number with decimals: milliseconds; percent. */
int plan_delay(struct bench_plan *p, const char *word, struct err *e);
int plan_loss(struct bench_plan *p, const char *word, struct err *e);
/* Parser of one word. */
int plan_content(struct bench_plan *p, const char *word, struct err *e);
void plan_fini(struct bench_plan *p);
/* The first tool of the plan whose guest is libvirt's; NULL: there is none. */
const struct tool *plan_libvirt(const struct bench_plan *p);
/* The index-th of all workloads, for --help. */
const struct workload *plan_workload(unsigned index);
/* Bytes per second that a link carries, as its interface counts them; 0: not shaped, or not known. whole: each packet is counted with
 * its headers; otherwise large ones are counted before they are segmented: 1448 of each 1514 bytes. */
double link_bytes_per_s(const char *link, bool whole);
/* Effective contents: nothing can be "living" if no disk holds anything. */
enum bench_content plan_really(const struct bench_plan *p);
json_t *plan_json(const struct bench_plan *p);
/* Reads what plan_json() wrote, for a run that goes on. */
int plan_from_json(struct bench_plan *p, const json_t *plan, struct err *e);
/* Sets the order of the tools in one round of a cell. */
void plan_order(const struct bench_plan *p, unsigned cell, unsigned round, unsigned order[BENCH_LIST_MAX]);

/* ---- bench-room ---- */

struct room;
/* Checks that so many guests at once, with their images, leave enough of the host to others. -ENOMEM, -ENOSPC. */
int plan_fits(const struct bench_plan *p, unsigned guests, const struct room *has, const char *where, struct err *e);

/* ---- the two sides ---- */

struct side;

/* Actions of a bench on a host. Paths are that host's, below its `work`. */
struct side_ops {
	/* Starts a process in a session of its own, which ends with us. log: gets its stderr, and with out_fd -1 its stdout, too. */
	int (*spawn)(struct side *s, char *const *argv, int out_fd, const char *log, pid_t *pid, struct err *e);
	int (*folder)(struct side *s, const char *path, struct err *e);
	/* Makes a new file that only we may read. */
	int (*file)(struct side *s, const char *path, const char *text, struct err *e);
	/* Makes an empty disk. *direct: its file system supports O_DIRECT. */
	int (*image)(struct side *s, const char *path, uint64_t bytes, bool *direct, struct err *e);
	uint64_t (*allocated)(struct side *s, const char *path);
	/* Reads the end of a file, made printable; "": it cannot be read. */
	void (*tail)(struct side *s, const char *path, char *text, size_t room);
	/* Connects to a unix socket. -ENOENT: it is not there yet. */
	int (*reach)(struct side *s, const char *path, int *fd, struct err *e);
	/* Finds a TCP port to listen on; usual: the one to use if free; 0: any. */
	int (*port)(struct side *s, unsigned usual, unsigned *port, struct err *e);
	/* Ends that QEMU (0: none), and removes its folder, which may be NULL. */
	void (*remove)(struct side *s, pid_t pid, const char *folder);
};

struct side {
	const struct side_ops *ops;
	const char *namespace;	      /* network namespace; NULL: our own */
	const char *address;	      /* address on the migration's link, for connections from the other side */
	const char *listen;	      /* the same address, as the side's own host knows it */
	const char *interface;	      /* interface of that link */
	const char *work;	      /* directory of everything there */
	const char *qemu, *guest_dir; /* program; kernel and initrd */
	char *libvirt;		      /* directory of its libvirtd, ours to free; NULL: not needed */
	pid_t libvirtd;
	char *keys;	     /* directory of the key for QEMU's own TLS, ours to free; NULL: not needed */
	struct there *there; /* NULL: pids and clocks are this machine's */
};

/* The side on this machine. */
extern const struct side_ops side_here;

struct bench_options {
	const char *qemu, *accel, *guest_dir, *dir, *out, *lab_script;
	const char *collector; /* our address, as the other host sees it */
	unsigned timeout_s;    /* limit of one move */
};

struct bench {
	struct bench_options opt;
	struct bench_plan plan;
	struct loop *loop;
	const char *host;	 /* the other host, as given; NULL: all in the lab */
	struct dest_config dest; /* options for vmferry and us to reach it */
	struct there *there;
	struct side sides[2]; /* guests are booted on the first */
	struct collector *collector;
	char *work;			/* our directory: everything lies in it, and it is removed when we end */
	char *vmferry, *agent, *helper; /* programs; helper: for the other host */
	unsigned folders, orders;	/* numbers used so far */
	json_t *run;			/* the file of results */
};

/* Set by a signal: the bench is to end. */
extern volatile sig_atomic_t bench_stop;
/* Runs one step of the loop; -EINTR: we are to end; -ETIMEDOUT: after until_ns (CLOCK_MONOTONIC). */
int bench_step(struct bench *b, uint64_t until_ns, unsigned max_wait_ms, struct err *e);

/* Has the directory removed once this process, and all that inherited from it, have ended in whatever way. */
int remove_when_we_end(const char *dir, struct err *e);

/* ---- bench-lab ---- */

/* Goes on in a process of its own, the first in new namespaces, with the lab around it. 1: the caller is the process outside, and
 * *status is set to the result; 0: inside. Fails also if the kernel cannot shape the link as the plan asks. */
int lab_enter(const struct bench *b, int *status, struct err *e);
int lab_shape(const struct bench *b, const char *link, struct err *e);
/* TCP congestion control of both hosts; malloc'ed. */
char *lab_congestion(const struct bench *b);

/* ---- bench-ssh ---- */

/* Logs in at b->host and makes both sides; the collector must exist. there_close() also after an error. */
int there_open(struct bench *b, struct err *e);
/* Keeps the connection alive: to be called every few seconds, or the host takes us for dead. -EPIPE: connection lost. */
int there_beat(struct there *t, struct err *e);
/* Output of QEMU's --version on that host. */
const char *there_qemu_version(const struct there *t);
/* Waits until everything of ours is removed there. */
void there_close(struct bench *b);

/* ---- bench-tls ---- */

/* Checks that both sides' QEMUs support TLS if a native tool of the plan uses it, and gives both a new key, which is removed with their
 * directories. -ENOTSUP: one of them does not. */
int tls_prepare(struct bench *b, struct err *e);
void tls_fini(struct bench *b);
#define KEY_TEXT_MAX 96
/* Makes a line "USER:KEY" with a new key, as QEMU and vmferry read it from a file. */
int key_make(const char *user, char text[KEY_TEXT_MAX], struct err *e);

/* ---- bench-libvirt ---- */

struct bench_guest;

/* Starts a libvirtd at each side if a tool of the plan needs it. -ENOTSUP: there is none. */
int libvirt_prepare(struct bench *b, struct err *e);
void libvirt_fini(struct bench *b);
/* libvirt's version: a string. */
json_t *libvirt_version(const struct bench *b);
/* Like side_ops.spawn(), but in the namespaces of that side's libvirtd: its socket, its guests' files and their pids. */
int libvirt_spawn(struct side *s, char *const *argv, int out_fd, const char *log, pid_t *pid, struct err *e);
/* Shows the guest's folder to libvirt at the place that its description names. */
int libvirt_show(const struct side *s, const struct bench_guest *g, struct err *e);
#define LIBVIRT_NAME "bench"
/* Starts the guest, whose disks exist. */
int libvirt_create(struct bench *b, struct bench_guest *g, const char *kernel_line, struct err *e);
/* Ends the guest, and removes what is left of it. */
void libvirt_destroy(struct bench *b, const struct bench_guest *g);

/* ---- bench-content ---- */

struct content;
/* Opens contents for disks. Living: the regular files below dir, in an order that mixes their kinds, each starting on a new page;
 * -ENOENT: there are none. Noise: three of four blocks, which do not compress. */
int content_open(struct content **out, enum bench_content kind, const char *dir, struct err *e);
/* Reads the next bytes, a multiple of 4096; starts anew when there are no more files. */
void content_read(struct content *c, uint8_t *to, size_t bytes);
void content_close(struct content *c);

/* ---- bench-guest ---- */

/* Adds the end of a program's log to the error. */
int bench_said_last(struct side *s, const char *log, struct err *e);

struct bench_guest {
	pid_t pid; /* 0: none */
	unsigned side, mem_mib, disk_count;
	bool direct;  /* disks without the page cache */
	bool libvirt; /* libvirt's from its start on */
	const struct workload *workload;
	char *folder;
};

/* Memory of the witness, MiB. */
unsigned bench_guest_load_mib(unsigned mem_mib);
/* Part of the first disk that it reads through the page cache, MiB. */
unsigned bench_guest_cache_mib(const struct bench_plan *p, const struct workload *w, unsigned mem_mib);
/* Other memory that it fills, MiB. */
unsigned bench_guest_heap_mib(const struct bench_plan *p, const struct workload *w, unsigned mem_mib);
/* Share of page cache in what it fills, percent: as in the plan, limited by what the first disk holds. */
unsigned bench_guest_cached_percent(const struct bench_plan *p, const struct workload *w, unsigned mem_mib);
char *bench_guest_path(const struct bench_guest *g, const char *what);
/* Makes a new folder on that side. */
char *bench_folder(struct bench *b, unsigned side, struct err *e);
/* Boots a guest, by libvirt or directly, and waits until its witness is ready. */
int bench_guest_boot(struct bench *b, struct bench_guest *g, const struct workload *w, unsigned mem_mib, bool libvirt, struct err *e);
/* Makes its disks, empty. */
int bench_guest_disks(struct bench *b, struct bench_guest *g, struct err *e);
/* Starts a QEMU on the other side that waits for g, with empty disks of the same sizes. */
int bench_guest_prepare_target(struct bench *b, const struct bench_guest *g, struct bench_guest *target, struct err *e);
/* Adds the last output of the guest's QEMU to the error. Returns -e->code. */
int bench_guest_why(struct bench *b, const struct bench_guest *g, struct err *e);
/* Has the witness check everything: `verified` of docs/bench.md; -EBADMSG: something is wrong; -EIO: no answer. */
int bench_guest_verify(struct bench *b, const struct bench_guest *g, json_t **verdict, struct err *e);
/* Checks after a failed move that the guest soon runs where it was, and that its witness finds nothing wrong. q: its monitor, or NULL. */
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
	int fd; /* monitor's socket until the greeting has come; -1 otherwise */
	bool is_target;
};

/* A process that takes part in the move. */
struct watch_process {
	pid_t pid; /* 0: not there */
	double cpu_s, cpu_base_s;
	uint64_t rss_anon;
};

/* Times when each was first seen, CLOCK_REALTIME; 0: not yet. */
struct watch_times {
	uint64_t migrate_ns, pre_switchover_ns, stop_ns, resume_ns, completed_ns;
};

struct watch {
	struct bench *b;
	uint64_t began_ns; /* CLOCK_REALTIME */
	uint64_t quiet_ns; /* time until which the guest was not disturbed */
	struct watch_end source, target;
	unsigned source_side;
	struct watch_process process[ROLES];
	double busy_base_s, others_cpu_s;
	uint64_t wire_base;
	struct watch_sample *samples, now; /* now: the newest values */
	size_t sample_count;
	struct watch_event *events;
	size_t event_count;
	bool asking;
	uint64_t asked_ns, pass_told_ns;
	struct watch_times seen;
	bool clocks_differ; /* the target's QEMU has another clock: its events count from when we receive them */
	bool failed;
	int jobs_ready, jobs_completed;
};

extern const char *const role_names[ROLES];

void watch_begin(struct watch *w, struct bench *b, const struct bench_guest *g);
/* Opens the second monitor of a QEMU of ours. */
int watch_open(struct watch_end *end, const struct bench_guest *g, struct err *e);
/* Watches the QEMU that the tool starts for the guest, once its monitor appears at that path and greets. */
void watch_meet(struct watch *w, struct bench_guest *target, const char *path);
/* Pid of the socket's peer; 0: not on this machine. */
pid_t peer_pid(int fd);
/* Takes a sample now. */
void watch_sample(struct watch *w);
/* Steps the loop and samples. */
int watch_step(struct watch *w, uint64_t until_ns, struct err *e);
void watch_event(struct watch *w, uint64_t at_ns, const char *what);
/* True once the guest goes on at the target and the source's QEMU has reported everything, or is gone. */
bool watch_heard_all(const struct watch *w);
/* Counts the CPU time of everything else on the machine until now. */
void watch_others(struct watch *w);
void watch_close(struct watch *w);
void watch_fini(struct watch *w);
/* Value of the first line "KEY<separator>value", without quotes; "unknown": none. */
void file_value(const char *path, const char *key, char *out, size_t room);

/* ---- the tools ---- */

/* Result that a tool reports, and the guest's place after it. */
struct outcome {
	struct bench_guest target; /* the guest, if it moved */
	uint64_t done_ns;
	double qmp_ms, own_ms, predicted_ms; /* 0: not known */
	uint64_t carried_bytes;
	json_t *breakdown, *stages; /* may be NULL */
};

/* Move the guest from g to o->target. An error: the tool reports that it did not move. The caller ends both. */
int move_native(struct bench *b, const struct tool *t, struct bench_guest *g, struct watch *w, struct outcome *o, struct err *e);
int move_virsh(struct bench *b, const struct tool *t, struct bench_guest *g, struct watch *w, struct outcome *o, struct err *e);
int move_vmferry(struct bench *b, const struct tool *t, struct bench_guest *g, struct watch *w, struct outcome *o, struct err *e);

/* Bytes of memory and disks that arrived by a move with this result, including pages that travelled as a disk's contents. 0: opaque
 * mode, in which pages are not counted. */
uint64_t ferry_carried(const json_t *result);

/* ---- bench-result ---- */

/* Adds the observations to the JSON of a move. -EBADMSG: the guest's connection broke. */
int result_fill(json_t *move, struct watch *w, const struct outcome *o, double capacity_bytes_per_s, struct err *e);
json_t *bench_environment(const struct bench *b);

/* ---- bench-file ---- */

/* "bench-DATE-TIME.json"; malloc'ed. */
char *bench_default_output(void);
/* -EEXIST: the file has results in it. */
int bench_check_output(const char *path, struct err *e);
/* Takes up the run in this file: b->run, its plan, and its accelerator if none was chosen. */
int bench_load(struct bench *b, const char *path, struct err *e);
/* -EINVAL: the run was begun with other programs or on another machine, so its results do not belong in the same file. */
int bench_check_same(const struct bench *b, const json_t *environment, struct err *e);
/* Writes b->run to its file. */
int bench_save(const struct bench *b, struct err *e);

/* ---- bench-run, bench-table ---- */

/* Continues where b->run ends. */
int bench_run(struct bench *b, struct err *e);
void bench_table(const json_t *run);

#endif
