/* cmd-bench.c: vmferry bench: its options, and what it needs from this machine. */
#include "cmd-bench.h"
#include "bench.h"
#include "command-options.h"
#include "dest-options.h"
#include "exit-code.h"
#include "process.h"
#include "program.h"
#include "room.h"
#include "util.h"
#include "version.h"

#include <errno.h>
#include <libgen.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KVM_TRIAL_MS 15000
#define DISK_MIN_MIB 64
#define WORK_MAX     54 /* /123/run-target must not be longer than 70 (agents), and their sockets not than 107 (unix(7)) */

static const char before[] =
	"usage: vmferry bench --lab [options]\n"
	"       vmferry bench [USER@]HOST [options]\n"
	"\n"
	"Measures moves, by vmferry and by QEMU's own migration, on the same guest and link, in turn, and how the guest's "
	"peers feel them: boots a small guest that keeps itself busy and knows what its memory and disk must hold, and "
	"moves it to and fro. A move after which anything is wrong is in no figure.\n"
	"\n"
	"With HOST it moves guests from this host to that one, by SSH, over the network that they have. That needs QEMU with a "
	"user network (-netdev user) and sshd there, and root nowhere. After each move the guest is verified and ended there, "
	"and another is booted here for the next. All that was brought there is removed, also when the connection breaks. "
	"QEMU's own migration and NBD are in clear but with +tls, and anyone may reach their ports there meanwhile. bench asks for "
	"no password: use a key, or an SSH agent. docs/bench.md says what cannot be measured so.\n"
	"\n";

static const char after[] =
	"exit code: 0 the run is complete   1 it is not: --resume   2 the command line is wrong\n"
	"\n"
	"examples:\n"
	"  vmferry bench --lab --workloads idle --repeat 3 -o quick.json\n"
	"  vmferry bench root@host-b --mem 2G --tools multifd,vmferry\n"
	"  vmferry bench --lab --links 1gbit,10gbit --mem 1G,4G --workloads writer,database --tools single,multifd,vmferry\n";

/* Options of the command line that the plan has in another form, or not at all. */
struct choice {
	bool lab;
	bool planned, cached, reaching; /* given: an option of the plan; --cached; an option on how to reach HOST */
	const char *links, *delay, *loss, *mems, *workloads, *tools, *content;
	unsigned max_downtime_ms;
	uint64_t disk_bytes, data_bytes;
	const char *resume;
	char *own_out; /* ours to free */
};

struct command {
	struct bench b;
	struct choice c;
};

#define OF(name)     offsetof(struct command, b.name)
#define CHOICE(name) offsetof(struct command, c.name)
#define PLANNED	     .also = CHOICE(planned)
#define DISK_MAX     (1024 * 1024 * GIB)

static const char *const link_words[] = {"unshaped", "100mbit", "1gbit", "10gbit", NULL};
static const char *const workload_words[] = {"idle",	     "writer",	       "hot",	   "disk", "cache", "churn",
					     "compressible", "incompressible", "database", NULL};
static const char *const tool_words[] = {"single", "multifd", "multifd+zstd", "xbzrle", "virsh", "vmferry", "vmferry+libvirt", NULL};
static const char *const content_words[] = {"living", "noise", "zeros", NULL};
static const char *const accel_words[] = {"kvm", "tcg", NULL};

static const struct command_option rows[] = {
	{"lab", NULL, "between two hosts out of network namespaces on this machine; needs root, and changes nothing outside them", OPT_FLAG,
	 .offset = CHOICE(lab)},

	{"links", "LIST", "unshaped, or rates as 100mbit, 1gbit (default), 10gbit. Not with HOST", OPT_TEXT, .offset = CHOICE(links),
	 PLANNED, .words = link_words, .heading = "What is measured; each LIST has commas, and all combinations are:"},
	{"delay", "MS",
	 "what the lab's links add to each packet, each way: a round trip takes twice the delay. One number for the whole run; needs the "
	 "kernel's netem. Not with HOST",
	 OPT_TEXT, .offset = CHOICE(delay), PLANNED},
	{"loss", "PERCENT", "how many packets the lab's links lose, each way; likewise", OPT_TEXT, .offset = CHOICE(loss), PLANNED},
	{"mem", "LIST", "the guest's memory (default 1G)", OPT_TEXT, .offset = CHOICE(mems), PLANNED},
	{"workloads", "LIST", "default: idle,writer,disk. writer=5000 is one at another rate a second. They are listed below", OPT_TEXT,
	 .offset = CHOICE(workloads), PLANNED, .words = workload_words},
	{"tools", "LIST",
	 "default: multifd,multifd+zstd,vmferry. There are QEMU's single, multifd, multifd+zstd and xbzrle, their disks by blockdev-mirror "
	 "over NBD; virsh (migrate --copy-storage-all; with --lab); and vmferry. Options follow a +: "
	 "vmferry+libvirt (moves the guest that virsh moves), multifd+channels=4, vmferry+codec=none+channels=4+tls. +tls goes with all but virsh; vmferry+recheck=off believes QEMU, as with "
	 "KVM it does; vmferry+from=/DIR is another build",
	 OPT_TEXT, .offset = CHOICE(tools), PLANNED, .words = tool_words},
	{"repeat", "N", "moves of each tool that count (default 5); one more before does not", OPT_NUMBER, .offset = OF(plan.repeat),
	 PLANNED, .min = 1, .max = BENCH_REPEAT_MAX},
	{"max-downtime", "MS", "limit for every tool (default 100)", OPT_NUMBER, .offset = CHOICE(max_downtime_ms), PLANNED, .min = 1,
	 .max = 60000, .unit = "milliseconds"},
	{"disks", "N", "how many disks the guest has (default 1)", OPT_NUMBER, .offset = OF(plan.disks), PLANNED,
	 .max = BENCH_DISKS_MAX - 1},
	{"disk", "SIZE", "size of each disk (default 1G)", OPT_SIZE, .offset = CHOICE(disk_bytes), PLANNED, .max = DISK_MAX},
	{"disk-data", "SIZE", "how much of it is allocated (default 768M)", OPT_SIZE, .offset = CHOICE(data_bytes), PLANNED,
	 .max = DISK_MAX},
	{"content", "WORD",
	 "what disks and memory hold. living (default): the contents of this host's files in /usr, and most of the memory is page cache of "
	 "them; noise: what hardly compresses, and is nowhere twice (as living is, too, where no disk holds data); zeros: nothing, but all "
	 "of it was written",
	 OPT_TEXT, .offset = CHOICE(content), PLANNED, .words = content_words},
	{"cached", "PERCENT",
	 "how much of a living guest's memory is page cache of its first disk (default 80, as on a server with a database); less where "
	 "that disk has less data",
	 OPT_NUMBER, .offset = OF(plan.cached_percent), .also = CHOICE(cached), .max = BENCH_CACHED_MAX},
	{"seed", "N", "seed of the random order of the tools (default: the clock)", OPT_NUMBER, .offset = OF(plan.seed), PLANNED,
	 .max = INT32_MAX},

	{"output", "FILE",
	 "results, as JSON (docs/bench.md), complete after every move (default bench-DATE.json); results that are there are not "
	 "overwritten. vmferry report FILE makes a page of them",
	 OPT_TEXT, .offset = OF(opt.out), .letter = 'o', .heading = "The run:"},
	{"resume", "FILE", "go on with a run that was interrupted, as it was planned, on the same machine", OPT_TEXT,
	 .offset = CHOICE(resume)},
	{"timeout", "S", "for one move (default 300); longer is a failure", OPT_NUMBER, .offset = OF(opt.timeout_s), .min = 10,
	 .max = 86400, .unit = "seconds"},
	{"dir", "DIR",
	 "for images and sockets (default /var/tmp); removed in any case. Guests and images must leave 1 GiB of memory, and of that file "
	 "system, to others",
	 OPT_TEXT, .offset = OF(opt.dir)},
	{"qemu", "FILE", "which QEMU", OPT_TEXT, .offset = OF(opt.qemu)},
	{"accel", "kvm|tcg", "(default: KVM where it works)", OPT_TEXT, .offset = OF(opt.accel), .words = accel_words},
	{"guest", "DIR", "kernel and initrd of the test guest", OPT_TEXT, .offset = OF(opt.guest_dir)},

	{"collector", "ADDRESS",
	 "with HOST: IPv4 address of this host for the guest's heartbeat, by UDP (default: where SSH comes from, as that host sees it)",
	 OPT_TEXT, .offset = OF(opt.collector), .also = CHOICE(reaching)},
	{.name = NULL},
};

static const struct option_table reach[] = {{dest_login_rows, 0}, {dest_ssh_rows, 0}, {NULL, 0}},
				 tables[] = {{rows, 0}, {dest_login_rows, OF(dest)}, {dest_ssh_rows, OF(dest)}, {NULL, 0}};

static void note_reaching(void *into, const struct command_option *o, const char *arg)
{
	(void)arg;
	((struct command *)into)->c.reaching |= option_find(reach, o->name) == o;
}

/* Text after the options in --help, malloc'ed: workloads, one per line. */
static char *text_after(void)
{
	char *text = xstrdup("\nWorkloads:\n"), *longer;
	const struct workload *w;

	for (unsigned i = 0; (w = plan_workload(i)); i++) {
		longer = xasprintf("%s  %-16s  %s\n", text, w->name, w->text);
		free(text);
		text = longer;
	}
	longer = xasprintf("%s\n%s", text, after);
	free(text);
	return longer;
}

/* Parses the lists, one after the other. */
static int take_lists(struct bench_plan *p, const struct choice *c, struct err *e)
{
	const struct {
		const char *said;
		int (*take)(struct bench_plan *p, const char *said, struct err *e);
	} lists[] = {{c->links, plan_links},	     {c->delay, plan_delay}, {c->loss, plan_loss},	{c->mems, plan_mems},
		     {c->workloads, plan_workloads}, {c->tools, plan_tools}, {c->content, plan_content}};
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(lists) && !r; i++)
		r = lists[i].said ? lists[i].take(p, lists[i].said, e) : 0;
	return r;
}

static void defaults(struct bench *b, struct choice *c)
{
	struct err e;

	b->plan.repeat = 5;
	b->plan.disks = 1;
	b->plan.cached_percent = 80;
	b->plan.seed = (unsigned)(realtime_ns() / 1000000000 % 1000000);
	b->opt.timeout_s = 300;
	b->opt.dir = "/var/tmp";
	c->max_downtime_ms = 100;
	c->disk_bytes = GIB;
	c->data_bytes = 768 * MIB;
	plan_links(&b->plan, "1gbit", &e);
	plan_mems(&b->plan, "1G", &e);
	plan_workloads(&b->plan, "idle,writer,disk", &e);
	plan_tools(&b->plan, "multifd,multifd+zstd,vmferry", &e);
}

static int check_plan(const struct bench_plan *p, struct err *e)
{
	unsigned i, most = 0, cached = 0;

	for (i = 0; i < p->mem_count; i++)
		most = MAX(most, p->mem_mib[i]);
	if (p->disk_data_mib > p->disk_mib || p->disk_mib < DISK_MIN_MIB)
		return err_set(e, EINVAL, "a disk has %d MiB at least, and no more data than its size", DISK_MIN_MIB);
	for (i = 0; i < p->workload_count; i++) {
		if (p->workloads[i].disk && !p->disks)
			return err_set(e, EINVAL, "the workload %s needs a disk", p->workloads[i].name);
		if (p->workloads[i].cache == CACHE_HALF)
			cached = bench_guest_cache_mib(p, &p->workloads[i], most);
	}
	if (cached > p->disk_mib - BENCH_WINDOWS_MIB)
		return err_set(e, EINVAL,
			       "the workload cache reads %u MiB of a disk into memory of %u MiB: --disk %uM at least, and --disk-data, so "
			       "that these are no holes",
			       cached, most, cached + BENCH_WINDOWS_MIB);
	return 0;
}

static int wrong(const char *why)
{
	fprintf(stderr, "vmferry bench: %s\n", why);
	return EXIT_USAGE;
}

/* Checks the place of the benchmark. 0, or the exit code. */
static int check_place(struct bench *b, const struct choice *c)
{
	if (c->lab && b->host)
		return wrong("--lab or a HOST, not both");
	if (c->lab)
		return c->reaching ? wrong("how to reach a host does not go with --lab, which has its own") : 0;
	if (!b->host)
		return wrong("say where: --lab, or [USER@]HOST. vmferry bench --help tells more");
	if (dest_kind(b->host) != DEST_SSH)
		return wrong("that host must be one that SSH reaches: [USER@]HOST");
	if (c->links || c->delay || c->loss)
		return wrong(
			"--links, --delay and --loss make links of their own, with --lab only: between two hosts there is the network that they "
			"have");
	if (plan_libvirt(&b->plan)) {
		AUTO_FREE char *text = xasprintf("the tool %s is measured with --lab only, where each side has a libvirtd of its own",
						 plan_libvirt(&b->plan)->text);

		return wrong(text);
	}
	plan_network(&b->plan);
	return dest_options_check(&b->dest);
}

/* -1: --help was all; or the exit code. */
static int read_options(struct command *all, int argc, char **argv)
{
	AUTO_FREE char *text = text_after();
	const struct command_usage usage =
		{"vmferry bench",	before, text, tables, .words = "it takes one HOST, and no further words", .most = 1,
		 .taken = note_reaching};
	struct bench *b = &all->b;
	struct choice *c = &all->c;
	int first, r = command_take(&usage, argc, argv, all, &first);
	struct err e;

	if (r)
		return r;
	b->host = b->dest.where = argv[first];
	b->plan.max_downtime_ms = c->max_downtime_ms;
	b->plan.disk_mib = (unsigned)(c->disk_bytes / MIB);
	b->plan.disk_data_mib = (unsigned)(c->data_bytes / MIB);
	if (take_lists(&b->plan, c, &e))
		return wrong(e.msg);
	if ((c->planned || c->cached) && c->resume)
		return wrong("--resume goes on as the run was planned: no other plan can be given");
	if (c->resume && b->opt.out)
		return wrong("--resume adds to the file that it names: there is no other output");
	if (c->cached && plan_really(&b->plan) != CONTENT_LIVING)
		return wrong("--cached is of a living guest with data on a disk, and of no other --content");
	r = check_place(b, c);
	return r || !check_plan(&b->plan, &e) ? r : wrong(e.msg);
}

/* ---- what it needs ---- */

/* The first of these that is there, beside the program or where `make install` puts it; malloc'ed, or NULL. */
static char *find(const char *base, const char *const *places)
{
	for (; *places; places++) {
		AUTO_FREE char *path = xasprintf("%s/%s", base, *places);
		char *real = realpath(path, NULL);

		if (real)
			return real;
	}
	return NULL;
}

/* A guest with KVM starts and powers itself off: that there is /dev/kvm says little where this machine is a virtual one itself, nor does
 * a QEMU that starts. */
static bool kvm_works(const char *qemu, const char *guest_dir)
{
	AUTO_FREE char *kernel = xasprintf("%s/vmlinuz", guest_dir), *initrd = xasprintf("%s/initrd.img", guest_dir);
	char *argv[] = {(char *)qemu,
			"-accel",
			"kvm",
			"-cpu",
			"host,migratable=on",
			"-machine",
			"q35",
			"-m",
			"256",
			"-display",
			"none",
			"-nodefaults",
			"-no-reboot",
			"-kernel",
			kernel,
			"-initrd",
			initrd,
			"-append",
			"quiet rdinit=/bin/busybox -- poweroff -f",
			NULL};
	struct process_output out;
	struct err e;

	if (access("/dev/kvm", R_OK | W_OK))
		return false;
	fputs("trying whether KVM works here\n", stderr);
	if (!process_run(argv, KVM_TRIAL_MS, &out, &e) && !out.status)
		return true;
	fputs("it does not, though /dev/kvm is there: guests are emulated (TCG)\n", stderr);
	return false;
}

static int need(const char **to, char *found, const char *what, struct err *e)
{
	if (!*to)
		*to = found;
	return *to ? 0 : err_set(e, ENOENT, "cannot find %s", what);
}

static int find_all(struct bench *b, struct err *e)
{
	static const char *const qemus[] = {"../qemu/bin/qemu-system-x86_64", "../../../usr/bin/qemu-system-x86_64", NULL};
	static const char *const guests[] = {"../guest", "../share/vmferry/guest", NULL};
	static const char *const scripts[] = {"../../scripts/lab", "../share/vmferry/lab", NULL};
	AUTO_FREE char *base = program_beside("vmferry");
	int r;

	b->vmferry = xstrdup(base);
	*strrchr(base, '/') = '\0';
	b->agent = program_beside("vmferry-dst");
	b->helper = program_beside("vmferry-bench-dst");
	if (!b->opt.qemu)
		b->opt.qemu = getenv("QEMU");
	r = b->host ? 0 : need(&b->opt.lab_script, find(base, scripts), "the script that makes the lab (scripts/lab)", e);
	r = r ?: need(&b->opt.guest_dir, find(base, guests), "the test guest: build it (tests/guest/build-guest) or say --guest DIR", e);
	if (!r && !b->opt.qemu)
		b->opt.qemu = find(base, qemus);
	if (!b->opt.qemu)
		b->opt.qemu = "qemu-system-x86_64";
	if (!r && !b->opt.accel)
		b->opt.accel = kvm_works(b->opt.qemu, b->opt.guest_dir) ? "kvm" : "tcg";
	return r;
}

/* The lab has a /run of its own, and what is written there ends with it. */
static int check_not_in_run(const char *option, const char *path, bool is_dir, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(path), *real = realpath(is_dir ? path : dirname(copy), NULL);
	size_t n = strlen("/run");

	if (!real || strncmp(real, "/run", n) || (real[n] && real[n] != '/'))
		return 0;
	return err_set(e, EINVAL, "%s %s: what is below /run is not seen in the lab, which has another one: choose another place", option,
		       path);
}

static int make_work(struct bench *b, struct err *e)
{
	b->work = xasprintf("%s/vmferry-bench.XXXXXX", b->opt.dir);
	if (strlen(b->work) > WORK_MAX)
		return err_set(e, ENAMETOOLONG,
			       "--dir %s: its name is too long for the sockets that will be in it; choose one with %zu bytes at "
			       "most",
			       b->opt.dir, (size_t)WORK_MAX - strlen("/vmferry-bench.XXXXXX"));
	if (!mkdtemp(b->work))
		return err_sys(e, errno, "cannot make a directory under %s", b->opt.dir);
	return remove_when_we_end(b->work, e);
}

static int check_room(const struct bench *b, struct err *e)
{
	struct room here;
	int r = room_get(b->opt.dir, &here);

	return r ? err_sys(e, -r, "cannot use %s", b->opt.dir) : plan_fits(&b->plan, b->host ? 1 : 2, &here, "this host", e);
}

/* ---- the run ---- */

static int prepare(struct bench *b, struct choice *c, struct err *e)
{
	int r;

	if (!c->resume && !b->opt.out)
		b->opt.out = c->own_out = bench_default_output();
	r = c->resume ? bench_load(b, c->resume, e) : bench_check_output(b->opt.out, e);
	if (!r && check_plan(&b->plan, e))
		r = err_prefix(e, "the plan of %s cannot be carried out", b->opt.out);
	if (!r && !b->host)
		r = check_not_in_run("--dir", b->opt.dir, true, e);
	if (!r && !b->host)
		r = check_not_in_run(c->resume ? "--resume" : "--output", b->opt.out, false, e);
	return r ?: check_room(b, e) ?: find_all(b, e) ?: make_work(b, e);
}

static void on_signal(int number)
{
	bench_stop = number;
}

static struct side lab_side(const struct bench *b, const char *namespace, const char *address)
{
	return (struct side){.ops = &side_here,
			     .namespace = namespace,
			     .address = address,
			     .listen = address,
			     .interface = "mig0",
			     .work = b->work,
			     .qemu = b->opt.qemu,
			     .guest_dir = b->opt.guest_dir};
}

static int make_sides(struct bench *b, struct err *e)
{
	if (b->host)
		return there_open(b, e);
	b->sides[0] = lab_side(b, "src", "10.77.0.1");
	b->sides[1] = lab_side(b, "dst", "10.77.0.2");
	return 0;
}

static int inside(struct bench *b, struct err *e)
{
	const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction on = {.sa_handler = on_signal};
	json_t *environment = NULL;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		sigaction(numbers[i], &on, NULL);
	r = loop_new(&b->loop, 64, e) ?: collector_new(&b->collector, NULL, 0, e) ?: make_sides(b, e) ?: tls_prepare(b, e);
	r = r ?: libvirt_prepare(b, e);
	if (!r)
		environment = bench_environment(b);
	if (!r && b->run)
		r = bench_check_same(b, environment, e);
	else if (!r)
		b->run = json_pack("{s:i,s:s,s:f,s:O,s:o,s:[]}", "schema", 1, "software", VMFERRY_VERSION, "began_at",
				   (double)realtime_ns() / 1e9, "environment", environment, "plan", plan_json(&b->plan), "moves");
	json_decref(environment);
	r = r ?: bench_run(b, e);
	libvirt_fini(b);
	tls_fini(b);
	there_close(b);
	collector_free(b->collector);
	if (b->loop)
		loop_free(b->loop);
	return r;
}

static int ending(const struct bench *b, int r, const struct err *e)
{
	if (b->run && json_array_size(json_object_get(b->run, "moves")))
		bench_table(b->run);
	if (!r)
		return 0;
	fprintf(stderr, "vmferry bench: %s\n", e->msg);
	if (b->run && json_array_size(json_object_get(b->run, "moves")))
		fprintf(stderr,
			"to go on: vmferry bench %s --resume %s, and --qemu, --guest, --timeout, --dir and how to reach a host, if they were "
			"given\n",
			b->host ? b->host : "--lab", b->opt.out);
	return 1;
}

int bench_command(int argc, char **argv)
{
	struct command all = {.c = {.lab = false}};
	struct bench *b = &all.b;
	struct err e;
	int r, status = 0;

	defaults(b, &all.c);
	r = read_options(&all, argc, argv);
	if (r)
		return MAX(r, 0);
	r = prepare(b, &all.c, &e);
	if (!r && all.c.lab)
		r = lab_enter(b, &status, &e);
	if (r <= 0)
		status = ending(b, r ? r : inside(b, &e), &e);
	json_decref(b->run);
	plan_fini(&b->plan);
	FREE_ALL(all.c.own_out, b->work, b->vmferry, b->agent, b->helper);
	return status;
}
