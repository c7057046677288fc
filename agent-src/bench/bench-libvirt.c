/*
 * bench-libvirt.c: a guest of libvirt's in the lab, and its move by `virsh migrate --copy-storage-all`.
 *
 * Theory of operation. Each side has a libvirtd of its own (scripts/lab libvirtd), which sees the guest's folder as GUEST_DIR, so that
 * one description of the guest is true at both. A guest that libvirt moves was started by it: its devices lie where libvirt puts
 * them, and no QEMU that was started otherwise could take its state. It is a defined one, as such guests mostly are, and as
 * vmferry wants it.
 */
#include "bench.h"
#include "process.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define GUEST_DIR "/run/libvirt/bench"
#define NAME	  LIBVIRT_NAME
#define WORDS_MAX 64 /* no command has more */
#define START_MS  20000
#define VIRSH_MS  60000
#define END_MS	  20000
#define SHOW_MS	  20000

/* ---- virsh ---- */

static char *uri_of(const struct side *s)
{
	return xasprintf("qemu:///system?socket=%s/libvirt-sock", s->libvirt);
}

/* The libvirt that scripts/lab has found. */
static char *virsh_of(const struct side *s)
{
	return xasprintf("%s/virsh", s->libvirt);
}

/* Runs one command at that side; its words are NULL-terminated. */
static int virsh(const struct side *s, const char *const *words, struct process_output *out, struct err *e)
{
	AUTO_FREE char *uri = uri_of(s);
	AUTO_FREE char *program = virsh_of(s);
	char *argv[8] = {program, "-q", "-c", uri};
	size_t n = 4;
	int r;

	while (*words && n + 1 < ARRAY_LEN(argv))
		argv[n++] = (char *)*words++;
	r = process_run(argv, VIRSH_MS, out, e);
	if (r)
		return err_prefix(e, "running virsh (package libvirt-clients)");
	return out->status ? err_set(e, EIO, "virsh %s: %s", argv[4], out->text) : 0;
}

json_t *libvirt_version(const struct bench *b)
{
	AUTO_FREE char *program = virsh_of(&b->sides[0]);
	char *argv[] = {program, "--version", NULL};
	struct process_output out;
	struct err e;

	if (process_run(argv, VIRSH_MS, &out, &e) || out.status)
		return json_string("unknown");
	return json_stringn(out.text, strcspn(out.text, "\n"));
}

/* ---- its daemons ---- */

static int daemon_start(struct bench *b, struct side *s, struct err *e)
{
	AUTO_FREE char *log = xasprintf("%s/log", s->libvirt), *sock = xasprintf("%s/libvirt-sock", s->libvirt);
	char *argv[] = {(char *)b->opt.lab_script, "libvirtd", s->libvirt, NULL};
	uint64_t until_ns = now_ns() + START_MS * 1000000ULL;
	int fd, r = s->ops->spawn(s, argv, -1, log, &s->libvirtd, e);

	while (!r && (r = s->ops->reach(s, sock, &fd, e)) == -ENOENT) {
		if (waitpid(s->libvirtd, NULL, WNOHANG) == s->libvirtd) {
			err_set(e, ENOTSUP,
				"the tool %s needs libvirtd and virsh (packages libvirt-daemon-system, libvirt-clients), and does not get them",
				plan_libvirt(&b->plan)->text);
			return bench_said_last(s, log, e);
		}
		r = bench_step(b, until_ns, 20, e);
	}
	if (r)
		return err_prefix(e, "starting libvirtd");
	close(fd);
	return 0;
}

int libvirt_prepare(struct bench *b, struct err *e)
{
	static const char *const ask[] = {"uri", NULL};
	struct process_output out;
	int r = 0;

	if (!plan_libvirt(&b->plan))
		return 0;
	for (unsigned i = 0; i < ARRAY_LEN(b->sides) && !r; i++) {
		b->sides[i].libvirt = bench_folder(b, i, e);
		r = b->sides[i].libvirt ? daemon_start(b, &b->sides[i], e) : -e->code;
		r = r ?: virsh(&b->sides[i], ask, &out, e);
	}
	return r;
}

void libvirt_fini(struct bench *b)
{
	for (unsigned i = 0; i < ARRAY_LEN(b->sides); i++) {
		if (b->sides[i].libvirtd)
			b->sides[i].ops->remove(&b->sides[i], b->sides[i].libvirtd, NULL);
		free(b->sides[i].libvirt);
	}
}

int libvirt_spawn(struct side *s, char *const *argv, int out_fd, const char *log, pid_t *pid, struct err *e)
{
	AUTO_FREE char *libvirtd = xasprintf("%d", (int)s->libvirtd), *path = xasprintf("/proc/%s/ns/pid_for_children", libvirtd);
	AUTO_CLOSE int there = open(path, O_RDONLY | O_CLOEXEC), here = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	char *words[WORDS_MAX] = {"nsenter", "-t", libvirtd, "-m", "-u", "--"};
	size_t n = 6;
	int r;

	while (*argv && n + 1 < ARRAY_LEN(words))
		words[n++] = *argv++;
	if (there < 0 || here < 0 || setns(there, CLONE_NEWPID))
		return err_sys(e, errno, "cannot start %s where libvirtd is", words[6]);
	r = s->ops->spawn(s, words, out_fd, log, pid, e);
	return setns(here, CLONE_NEWPID) ? err_sys(e, errno, "cannot start processes of our own again") : r;
}

/* Bind-mounts the folder; a link would be another path for whoever asks the kernel which file QEMU has open. */
int libvirt_show(const struct side *s, const struct bench_guest *g, struct err *e)
{
	static const char script[] = "umount -nl \"$2\" 2>/dev/null; mkdir -p \"$2\" && mount -n --bind \"$1\" \"$2\"";
	AUTO_FREE char *mounts = xasprintf("--mount=/proc/%d/ns/mnt", (int)s->libvirtd);
	/* /proc there shows the processes of this namespace */
	AUTO_FREE char *pids = xasprintf("--pid=/proc/%d/ns/pid_for_children", (int)s->libvirtd);
	char *argv[] = {"nsenter", mounts, pids, "--", "sh", "-c", (char *)script, "sh", g->folder, GUEST_DIR, NULL};
	struct process_output out;
	int r = process_run(argv, SHOW_MS, &out, e);

	return r	    ? err_prefix(e, "running nsenter")
	       : out.status ? err_set(e, EIO, "cannot show the guest's folder to libvirt: %s", out.text)
			    : 0;
}

/* ---- the guest ---- */

static void put_escaped(FILE *f, const char *text)
{
	for (; *text; text++)
		if (strchr("&<>'\"", *text))
			fprintf(f, "&#%d;", *text);
		else
			fputc(*text, f);
}

static void put(FILE *f, const char *before, const char *text, const char *after)
{
	fputs(before, f);
	put_escaped(f, text);
	fputs(after, f);
}

static void put_disks(FILE *f, const struct bench_guest *g)
{
	for (unsigned i = 0; i < g->disk_count; i++)
		fprintf(f,
			"<disk type='file' device='disk'><driver name='qemu' type='raw' cache='%s' discard='unmap' detect_zeroes='unmap'/>"
			"<source file='" GUEST_DIR "/disk%u.raw'/><target dev='vd%c' bus='virtio'/></disk>\n",
			g->direct ? "none" : "writeback", i, 'a' + (int)i);
}

/* Writes in libvirt's words what bench-guest.c gives QEMU. The second monitor is ours. */
static void put_guest(FILE *f, const struct bench *b, const struct bench_guest *g, const char *line)
{
	bool kvm = !strcmp(b->opt.accel, "kvm");

	fprintf(f, "<domain type='%s' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n<name>" NAME "</name>\n",
		kvm ? "kvm" : "qemu");
	fprintf(f, "<memory unit='MiB'>%u</memory><vcpu>1</vcpu>\n", g->mem_mib);
	put(f, "<os><type arch='x86_64' machine='q35'>hvm</type><kernel>", b->opt.guest_dir, "/vmlinuz</kernel>");
	put(f, "<initrd>", b->opt.guest_dir, "/initrd.img</initrd>");
	put(f, "<cmdline>", line, "</cmdline></os>\n<features><acpi/></features>\n");
	fputs(kvm ? "<cpu mode='host-passthrough' migratable='on'/>\n" : "", f);
	put(f, "<devices><emulator>", b->opt.qemu, "</emulator>\n");
	put_disks(f, g);
	fputs("<interface type='ethernet'><mac address='52:54:00:78:00:32'/><target dev='tap0' managed='no'/><model type='virtio'/>"
	      "</interface>\n<serial type='file'><source path='" GUEST_DIR "/bench.console'/></serial>\n"
	      "<serial type='unix'><source mode='bind' path='" GUEST_DIR "/bench.orders'/></serial>\n<memballoon model='none'/></devices>\n"
	      "<qemu:commandline><qemu:arg value='-qmp'/><qemu:arg value='unix:" GUEST_DIR "/bench.mon,server=on,wait=off'/>"
	      "</qemu:commandline></domain>\n",
	      f);
}

int libvirt_create(struct bench *b, struct bench_guest *g, const char *kernel_line, struct err *e)
{
	AUTO_FREE char *path = bench_guest_path(g, "xml"), *monitor = bench_guest_path(g, "mon");
	AUTO_CLOSE int fd = -1;
	const char *const define[] = {"define", path, NULL}, *const start[] = {"start", NAME, NULL};
	struct side *s = &b->sides[g->side];
	struct process_output out;
	FILE *f = fopen(path, "wex");
	int r;

	if (!f)
		return err_sys(e, errno, "cannot make %s", path);
	put_guest(f, b, g, kernel_line);
	if (fclose(f))
		return err_sys(e, errno, "cannot write %s", path);
	r = libvirt_show(s, g, e) ?: virsh(s, define, &out, e) ?: virsh(s, start, &out, e) ?: s->ops->reach(s, monitor, &fd, e);
	if (r)
		return r;
	g->pid = peer_pid(fd);
	return 0;
}

void libvirt_destroy(struct bench *b, const struct bench_guest *g)
{
	static const char *const destroy[] = {"destroy", NAME, NULL}, *const undefine[] = {"undefine", NAME, NULL};
	struct process_output out;
	struct err e;

	virsh(&b->sides[g->side], destroy, &out, &e);
	virsh(&b->sides[g->side], undefine, &out, &e);
}

/* ---- the move ---- */

struct virsh_move {
	struct bench *b;
	const struct tool *tool;
	struct bench_guest *source, *target;
	struct watch *w;
	uint64_t until_ns;
	pid_t pid; /* virsh's; 0: it has ended */
};

static int target_make(struct virsh_move *m, struct err *e)
{
	struct bench_guest *g = m->target;
	int r;

	*g = *m->source;
	g->pid = 0;
	g->side = !m->source->side;
	g->folder = bench_folder(m->b, g->side, e);
	r = g->folder ? bench_guest_disks(m->b, g, e) : -e->code;
	return r ?: libvirt_show(&m->b->sides[g->side], g, e);
}

static int limit_downtime(const struct virsh_move *m, struct err *e)
{
	AUTO_FREE char *ms = xasprintf("%.0f", m->b->plan.max_downtime_ms);
	const char *const words[] = {"migrate-setmaxdowntime", NAME, ms, NULL};
	struct process_output out;

	return virsh(&m->b->sides[m->source->side], words, &out, e);
}

static int begin(struct virsh_move *m, struct err *e)
{
	struct side *from = &m->b->sides[m->source->side], *to = &m->b->sides[m->target->side];
	AUTO_FREE char *uri = uri_of(from), *there = uri_of(to), *via = xasprintf("tcp://%s", to->address);
	AUTO_FREE char *log = xasprintf("%s/virsh.log", m->source->folder), *channels = xasprintf("%u", m->tool->channels);
	AUTO_FREE char *program = virsh_of(from);
	char *argv[24] = {program, "-q",  "-c",		  uri, "migrate", "--live", "--persistent", "--undefinesource",
			  NAME,	   there, "--migrateuri", via};
	size_t n = 12;

	if (m->source->disk_count)
		argv[n++] = "--copy-storage-all";
	if (m->tool->channels)
		argv[n++] = "--parallel", argv[n++] = "--parallel-connections", argv[n++] = channels;
	return from->ops->spawn(from, argv, -1, log, &m->pid, e);
}

static int follow(struct virsh_move *m, struct err *e)
{
	AUTO_FREE char *log = xasprintf("%s/virsh.log", m->source->folder), *monitor = bench_guest_path(m->target, "mon");
	int status, r;

	while (waitpid(m->pid, &status, WNOHANG) == 0) {
		r = watch_step(m->w, m->until_ns, e);
		if (r)
			return r == -ETIMEDOUT ? err_set(e, ETIMEDOUT, "it did not end within %u s", m->b->opt.timeout_s) : r;
		watch_meet(m->w, m->target, monitor);
	}
	m->pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		err_set(e, EIO, "virsh says that the guest did not move");
		return bench_said_last(&m->b->sides[m->source->side], log, e);
	}
	return 0;
}

/* A line "KEY VALUE UNIT" of what virsh says. */
static double value_of_line(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtod(at + strlen(key), NULL) : 0;
}

static int settle(struct virsh_move *m, struct outcome *o, struct err *e)
{
	static const char *const words[] = {"domjobinfo", "--completed", NAME, NULL};
	AUTO_FREE char *monitor = bench_guest_path(m->target, "mon");
	uint64_t until_ns = now_ns() + END_MS * 1000000ULL;
	struct process_output out;
	int r = 0;

	o->done_ns = realtime_ns();
	watch_event(m->w, o->done_ns, "done");
	m->source->pid = 0;
	while (!r && !watch_heard_all(m->w)) {
		r = watch_step(m->w, until_ns, e);
		watch_meet(m->w, m->target, monitor);
	}
	if (r)
		return err_prefix(e, "waiting for word of the guest's QEMU");
	r = virsh(&m->b->sides[m->target->side], words, &out, e);
	if (r)
		return r;
	o->qmp_ms = value_of_line(out.text, "Total downtime:");
	o->carried_bytes = (uint64_t)value_of_line(out.text, "Normal pages:") * 4096 + bench_guest_disk_allocated(m->b, m->target);
	return 0;
}

/* virsh itself would leave the job to libvirtd. */
static void give_up(struct virsh_move *m)
{
	static const char *const words[] = {"domjobabort", NAME, NULL};
	struct process_output out;
	struct err e;

	if (!m->pid)
		return;
	virsh(&m->b->sides[m->source->side], words, &out, &e);
	m->b->sides[0].ops->remove(&m->b->sides[0], m->pid, NULL);
}

int move_virsh(struct bench *b, const struct tool *t, struct bench_guest *g, struct watch *w, struct outcome *o, struct err *e)
{
	struct virsh_move m = {b, t, g, &o->target, w, now_ns() + b->opt.timeout_s * 1000000000ULL, 0};
	int r = target_make(&m, e);

	r = r ?: watch_open(&w->source, g, e) ?: limit_downtime(&m, e) ?: begin(&m, e) ?: follow(&m, e) ?: settle(&m, o, e);
	give_up(&m);
	return r;
}
