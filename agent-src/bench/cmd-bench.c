/* cmd-bench.c: vmferry bench: its options, and what it needs from this machine. */
#include "cmd-bench.h"
#include "bench.h"
#include "dest-options.h"
#include "exit-code.h"
#include "option-table.h"
#include "process.h"
#include "program.h"
#include "room.h"
#include "util.h"
#include "version.h"

#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define KVM_TRIAL_MS 15000
#define DISK_MIN_MIB 64
#define WORK_MAX     54 /* /123/run-target must not be longer than 70 (agents), and their sockets not than 107 (unix(7)) */

static const char help_text[] =
	"usage: vmferry bench --lab [options]\n"
	"       vmferry bench [USER@]HOST [options]\n"
	"\n"
	"Measures moves, by vmferry and by QEMU's own migration, on the same guest and link, in turn, and how the guest's\n"
	"peers feel them: boots a small guest that keeps itself busy and knows what its memory and disk must hold, and\n"
	"moves it to and fro. A move after which anything is wrong is in no figure.\n"
	"\n"
	"  --lab                 between two hosts out of network namespaces on this machine; needs root, and changes\n"
	"                        nothing outside them\n"
	"  [USER@]HOST           from this host to that one, by SSH, over the network that they have. Needs QEMU with a user\n"
	"                        network (-netdev user) and sshd there, and root nowhere. After each move the guest is\n"
	"                        verified and ended there, and another is booted here for the next. All that was brought\n"
	"                        there is removed, also when the connection breaks. QEMU's own migration and NBD are in\n"
	"                        clear but with +tls, and anyone may reach their ports there meanwhile. docs/bench.md says\n"
	"                        what cannot be measured so\n"
	"\n"
	"What is measured; each takes a list with commas, and all combinations are:\n"
	"  --links LIST          unshaped, or rates as 100mbit, 1gbit (default), 10gbit. Not with HOST\n"
	"  --delay MS, --loss PERCENT   what the lab's links do to each packet, each way: a round trip takes twice the delay.\n"
	"                        One number for the whole run; needs the kernel's netem. Not with HOST\n"
	"  --mem LIST            the guest's memory (default 1G)\n"
	"  --workloads LIST      default: idle,writer,disk. writer=5000 is one at another rate a second. There are:\n"
	"%s"
	"  --tools LIST          default: multifd,multifd+zstd,vmferry. There are QEMU's single, multifd, multifd+zstd and\n"
	"                        xbzrle, their disks by blockdev-mirror over NBD; virsh (migrate --copy-storage-all, where\n"
	"                        libvirt is installed; with --lab); and vmferry. Options follow a +:\n"
	"                        multifd+channels=4, vmferry+codec=none+channels=4+tls. +tls goes with all but virsh;\n"
	"                        vmferry+recheck=off believes QEMU, as with KVM it does; vmferry+from=/DIR is another build\n"
	"  --repeat N            moves of each tool that count (default 5); one more before does not\n"
	"  --max-downtime MS     limit for every tool (default 100)\n"
	"  --disks N, --disk SIZE   how many the guest has, and of what size (default 1 of 1G)\n"
	"  --disk-data SIZE      how much of it is allocated (default 768M)\n"
	"  --content WORD        what disks and memory hold. living (default): the contents of this host's files in /usr, and\n"
	"                        most of the memory is page cache of them; noise: what hardly compresses, and is nowhere twice\n"
	"                        (as living is, too, where no disk holds data);\n"
	"                        zeros: nothing, but all of it was written\n"
	"  --cached PERCENT      how much of a living guest's memory is page cache of its first disk (default 80, as on a\n"
	"                        server with a database); less where that disk has less data\n"
	"  --seed N              of the random order of the tools (default: of the clock)\n"
	"\n"
	"  -o, --output FILE     results, as JSON (docs/bench.md), complete after every move (default bench-DATE.json);\n"
	"                        results that are there are not overwritten. vmferry report FILE makes a page of them\n"
	"  --resume FILE         go on with a run that was interrupted, as it was planned, on the same machine\n"
	"  --timeout S           for one move (default 300); longer is a failure\n"
	"  --dir DIR             for images and sockets (default /var/tmp); removed in any case. Guests and images must leave 1 GiB\n"
	"                        of memory, and of that file system, to others\n"
	"  --qemu PROGRAM, --accel kvm|tcg, --guest DIR   which QEMU; how (default: KVM where it works); kernel and\n"
	"                        initrd of the test guest\n"
	"\n"
	"With HOST:\n"
	"  --collector ADDRESS   IPv4 address of this host for the guest's heartbeat, by UDP (default: where SSH comes from, as\n"
	"                        that host sees it)\n"
	"  --identity, --port, --ssh, --ssh-accept-new, --via, --data-ports, --listen-address, --keep-agent\n"
	"                        as for vmferry migrate. Nobody is asked for a password: use a key, or an SSH agent\n"
	"\n"
	"exit code: 0 the run is complete   1 it is not: --resume   2 the command line is wrong\n"
	"\n"
	"examples:\n"
	"  vmferry bench --lab --workloads idle --repeat 3 -o quick.json\n"
	"  vmferry bench root@host-b --mem 2G --tools multifd,vmferry\n"
	"  vmferry bench --lab --links 1gbit,10gbit --mem 1G,4G --workloads writer,database --tools single,multifd,vmferry\n";

enum {
	OPT_LAB = 256,
	OPT_LINKS,
	OPT_DELAY,
	OPT_LOSS,
	OPT_MEM,
	OPT_WORKLOADS,
	OPT_TOOLS,
	OPT_REPEAT,
	OPT_DOWNTIME,
	OPT_DISKS,
	OPT_DISK,
	OPT_DISK_DATA,
	OPT_CONTENT,
	OPT_CACHED,
	OPT_SEED,
	OPT_RESUME,
	OPT_TIMEOUT,
	OPT_DIR,
	OPT_QEMU,
	OPT_ACCEL,
	OPT_GUEST,
	OPT_COLLECTOR,
	OPT_HELP
};

static const struct option options[] = {
	{"lab", no_argument, NULL, OPT_LAB},
	{"links", required_argument, NULL, OPT_LINKS},
	{"delay", required_argument, NULL, OPT_DELAY},
	{"loss", required_argument, NULL, OPT_LOSS},
	{"mem", required_argument, NULL, OPT_MEM},
	{"workloads", required_argument, NULL, OPT_WORKLOADS},
	{"tools", required_argument, NULL, OPT_TOOLS},
	{"repeat", required_argument, NULL, OPT_REPEAT},
	{"max-downtime", required_argument, NULL, OPT_DOWNTIME},
	{"disks", required_argument, NULL, OPT_DISKS},
	{"disk", required_argument, NULL, OPT_DISK},
	{"disk-data", required_argument, NULL, OPT_DISK_DATA},
	{"content", required_argument, NULL, OPT_CONTENT},
	{"cached", required_argument, NULL, OPT_CACHED},
	{"seed", required_argument, NULL, OPT_SEED},
	{"output", required_argument, NULL, 'o'},
	{"resume", required_argument, NULL, OPT_RESUME},
	{"timeout", required_argument, NULL, OPT_TIMEOUT},
	{"dir", required_argument, NULL, OPT_DIR},
	{"qemu", required_argument, NULL, OPT_QEMU},
	{"accel", required_argument, NULL, OPT_ACCEL},
	{"guest", required_argument, NULL, OPT_GUEST},
	{"collector", required_argument, NULL, OPT_COLLECTOR},
	{"help", no_argument, NULL, OPT_HELP},
	DEST_OPTIONS,
	{NULL, 0, NULL, 0},
};

struct choice {
	bool lab, links, cached, reaching; /* links: what the lab's are to be like; reaching: an option that says how to reach HOST */
	const char *resume;
	char *own_out, *base; /* ours to free; base: where what belongs to us lies */
};

static void print_help(void)
{
	AUTO_FREE char *list = xstrdup("");
	const struct workload *w;
	unsigned i;
	char *longer;

	for (i = 0; (w = plan_workload(i)); i++) {
		longer = xasprintf("%s      %-16s  %s\n", list, w->name, w->text);
		free(list);
		list = longer;
	}
	printf(help_text, list);
}

/* ---- options ---- */

static int number(const char *option, const char *text, unsigned min, unsigned max, unsigned *out)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || n < min || n > max) {
		fprintf(stderr, "vmferry bench: %s: '%s' is not a number from %u to %u\n", option, text, min, max);
		return EXIT_USAGE;
	}
	*out = (unsigned)n;
	return 0;
}

static int size_mib(const char *option, const char *text, unsigned *out)
{
	uint64_t bytes;

	if (parse_bytes(text, &bytes) || bytes > 1024 * 1024 * GIB || bytes / MIB > INT32_MAX) {
		fprintf(stderr, "vmferry bench: %s: '%s' is not a size such as 1G\n", option, text);
		return EXIT_USAGE;
	}
	*out = (unsigned)(bytes / MIB);
	return 0;
}

static int list(int (*take)(struct bench_plan *p, const char *list, struct err *e), struct bench *b)
{
	struct err e;

	if (!take(&b->plan, optarg, &e))
		return 0;
	fprintf(stderr, "vmferry bench: %s\n", e.msg);
	return EXIT_USAGE;
}

static int take_plan(struct bench *b, int option)
{
	unsigned ms;
	int r = 0;

	switch (option) {
	case OPT_LINKS:
		return list(plan_links, b);
	case OPT_DELAY:
		return list(plan_delay, b);
	case OPT_LOSS:
		return list(plan_loss, b);
	case OPT_MEM:
		return list(plan_mems, b);
	case OPT_WORKLOADS:
		return list(plan_workloads, b);
	case OPT_TOOLS:
		return list(plan_tools, b);
	case OPT_REPEAT:
		return number("--repeat", optarg, 1, BENCH_REPEAT_MAX, &b->plan.repeat);
	case OPT_DOWNTIME:
		r = number("--max-downtime", optarg, 1, 60000, &ms);
		if (!r)
			b->plan.max_downtime_ms = ms;
		return r;
	case OPT_DISKS:
		return number("--disks", optarg, 0, BENCH_DISKS_MAX - 1, &b->plan.disks);
	case OPT_DISK:
		return size_mib("--disk", optarg, &b->plan.disk_mib);
	case OPT_DISK_DATA:
		return size_mib("--disk-data", optarg, &b->plan.disk_data_mib);
	case OPT_CONTENT:
		return list(plan_content, b);
	case OPT_CACHED:
		return number("--cached", optarg, 0, BENCH_CACHED_MAX, &b->plan.cached_percent);
	case OPT_SEED:
		return number("--seed", optarg, 0, INT32_MAX, &b->plan.seed);
	default:
		return -1;
	}
}

static const struct option_row rows[] = {
	{'o', OPTION_TEXT, offsetof(struct bench, opt.out)},	     {OPT_COLLECTOR, OPTION_TEXT, offsetof(struct bench, opt.collector)},
	{OPT_DIR, OPTION_TEXT, offsetof(struct bench, opt.dir)},     {OPT_QEMU, OPTION_TEXT, offsetof(struct bench, opt.qemu)},
	{OPT_ACCEL, OPTION_TEXT, offsetof(struct bench, opt.accel)}, {OPT_GUEST, OPTION_TEXT, offsetof(struct bench, opt.guest_dir)},
};

static const struct option_row choice_rows[] = {
	{OPT_LAB, OPTION_FLAG, offsetof(struct choice, lab)},
	{OPT_RESUME, OPTION_TEXT, offsetof(struct choice, resume)},
};

static int take_other(struct bench *b, struct choice *c, int option)
{
	if (option == OPT_TIMEOUT)
		return number("--timeout", optarg, 10, 86400, &b->opt.timeout_s);
	c->reaching |= option == OPT_COLLECTOR || dest_is_option(option);
	if (dest_is_option(option))
		return dest_option(&b->dest, option, optarg);
	return option_take(rows, ARRAY_LEN(rows), b, option, optarg) || option_take(choice_rows, ARRAY_LEN(choice_rows), c, option, optarg)
		       ? 0
		       : EXIT_USAGE;
}

static void defaults(struct bench *b)
{
	struct err e;

	b->plan.repeat = 5;
	b->plan.max_downtime_ms = 100;
	b->plan.disks = 1;
	b->plan.disk_mib = 1024;
	b->plan.disk_data_mib = 768;
	b->plan.cached_percent = 80;
	b->plan.seed = (unsigned)(realtime_ns() / 1000000000 % 1000000);
	b->opt.timeout_s = 300;
	b->opt.dir = "/var/tmp";
	plan_links(&b->plan, "1gbit", &e);
	plan_mems(&b->plan, "1G", &e);
	plan_workloads(&b->plan, "idle,writer,disk", &e);
	plan_tools(&b->plan, "multifd,multifd+zstd,vmferry", &e);
}

static int check_plan(const struct bench *b)
{
	unsigned i, most = 0, cached = 0;

	for (i = 0; i < b->plan.mem_count; i++)
		most = MAX(most, b->plan.mem_mib[i]);
	if (b->plan.disk_data_mib > b->plan.disk_mib || b->plan.disk_mib < DISK_MIN_MIB) {
		fprintf(stderr, "vmferry bench: a disk has %d MiB at least, and no more data than its size\n", DISK_MIN_MIB);
		return EXIT_USAGE;
	}
	for (i = 0; i < b->plan.workload_count; i++) {
		if (b->plan.workloads[i].disk && !b->plan.disks) {
			fprintf(stderr, "vmferry bench: the workload %s needs a disk\n", b->plan.workloads[i].name);
			return EXIT_USAGE;
		}
		if (b->plan.workloads[i].cache == CACHE_HALF)
			cached = bench_guest_cache_mib(&b->plan, &b->plan.workloads[i], most);
	}
	if (cached > b->plan.disk_mib - BENCH_WINDOWS_MIB) {
		fprintf(stderr,
			"vmferry bench: the workload cache reads %u MiB of a disk into memory of %u MiB: --disk %uM at least, and "
			"--disk-data, so that these are no holes\n",
			cached, most, cached + BENCH_WINDOWS_MIB);
		return EXIT_USAGE;
	}
	return 0;
}

static int usage(const char *why)
{
	fprintf(stderr, "vmferry bench: %s\n", why);
	return EXIT_USAGE;
}

static int check_lab(const struct bench *b, const struct choice *c)
{
	if (b->host)
		return usage("--lab or a HOST, not both");
	return c->reaching ? usage("how to reach a host does not go with --lab, which has its own") : 0;
}

static int check_host(struct bench *b, const struct choice *c)
{
	if (!b->host)
		return usage("say where: --lab, or [USER@]HOST. vmferry bench --help tells more");
	if (dest_kind(b->host) != DEST_SSH)
		return usage("that host must be one that SSH reaches: [USER@]HOST");
	if (c->links)
		return usage(
			"--links, --delay and --loss make links of their own, with --lab only: between two hosts there is the network that they "
			"have");
	if (plan_has(&b->plan, TOOL_VIRSH))
		return usage("the tool virsh is measured with --lab only");
	plan_network(&b->plan);
	return dest_options_check(&b->dest);
}

static int read_options(struct bench *b, struct choice *c, int argc, char **argv)
{
	bool planned = false;
	int option, r;

	while ((option = option_next(argc, argv, "o:" DEST_OPTIONS_SHORT, options)) != -1) {
		if (option == OPT_HELP) {
			print_help();
			return -1;
		}
		if (option == '?')
			return EXIT_USAGE;
		r = take_plan(b, option);
		planned |= r >= 0;
		c->cached |= option == OPT_CACHED;
		c->links |= option == OPT_LINKS || option == OPT_DELAY || option == OPT_LOSS;
		if (r < 0)
			r = take_other(b, c, option);
		if (r)
			return r;
	}
	if (optind < argc)
		b->host = b->dest.where = argv[optind++];
	if (optind < argc)
		return usage("it takes one HOST, and no further words");
	if (planned && c->resume)
		return usage("--resume goes on as the run was planned: no other plan can be given");
	if (c->resume && b->opt.out)
		return usage("--resume adds to the file that it names: there is no other output");
	if (c->cached && plan_really(&b->plan) != CONTENT_LIVING)
		return usage("--cached is of a living guest with data on a disk, and of no other --content");
	r = c->lab ? check_lab(b, c) : check_host(b, c);
	return r ? r : check_plan(b);
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
	r = r ? r : need(&b->opt.guest_dir, find(base, guests), "the test guest: build it (tests/guest/build-guest) or say --guest DIR", e);
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
	if (!r && check_plan(b))
		r = err_set(e, EINVAL, "the plan of %s cannot be carried out", b->opt.out);
	if (!r && !b->host)
		r = check_not_in_run("--dir", b->opt.dir, true, e);
	if (!r && !b->host)
		r = check_not_in_run(c->resume ? "--resume" : "--output", b->opt.out, false, e);
	r = r ? r : check_room(b, e);
	r = r ? r : find_all(b, e);
	return r ? r : make_work(b, e);
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
	size_t i;
	int r;

	for (i = 0; i < ARRAY_LEN(numbers); i++)
		sigaction(numbers[i], &on, NULL);
	r = loop_new(&b->loop, 64, e);
	r = r ? r : collector_new(&b->collector, NULL, 0, e);
	r = r ? r : make_sides(b, e);
	r = r ? r : tls_prepare(b, e);
	r = r ? r : libvirt_prepare(b, e);
	if (!r)
		environment = bench_environment(b);
	if (!r && b->run)
		r = bench_check_same(b, environment, e);
	else if (!r)
		b->run = json_pack("{s:i,s:s,s:f,s:O,s:o,s:[]}", "schema", 1, "software", VMFERRY_VERSION, "began_at",
				   (double)realtime_ns() / 1e9, "environment", environment, "plan", plan_json(&b->plan), "moves");
	json_decref(environment);
	r = r ? r : bench_run(b, e);
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
	struct bench b = {0};
	struct choice c = {0};
	struct err e;
	int r, status = 0;

	defaults(&b);
	r = read_options(&b, &c, argc, argv);
	if (r)
		return r < 0 ? 0 : r;
	r = prepare(&b, &c, &e);
	if (!r && c.lab)
		r = lab_enter(&b, &status, &e);
	if (r <= 0)
		status = ending(&b, r ? r : inside(&b, &e), &e);
	json_decref(b.run);
	plan_fini(&b.plan);
	free(c.own_out);
	free(b.work);
	free(b.vmferry);
	free(b.agent);
	free(b.helper);
	return status;
}
