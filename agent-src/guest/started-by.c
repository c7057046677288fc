/* started-by.c: see started-by.h. */
#include "started-by.h"
#include "process-status.h"
#include "process.h"
#include "start-marks.h"
#include "util.h"
#include "words.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/major.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define WORDS_MAX  32768
#define SHOWN	   60
#define DEPTH_MAX  16
#define GROUPS_MAX 64

static size_t read_of(pid_t pid, const char *what, char out[WORDS_MAX])
{
	char path[48];
	AUTO_CLOSE int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, out, WORDS_MAX - 1);
	out[MAX(n, 0)] = '\0';
	return (size_t)MAX(n, 0);
}

/* Programs of this list end with the one that they run, and do not start it again. */
static bool only_passes_on(const char *comm)
{
	static const char *const names[] = {"sudo",    "doas",	  "su",	  "runuser", "timeout", "setpriv", "unshare",
					    "nsenter", "numactl", "make", "script",  "strace",	NULL};

	return word_index(names, comm) >= 0;
}

static bool starts_nothing_again(const char *comm)
{
	static const char *const names[] = {"systemd", "init",	  "tmux: server", "tmux: client",   "screen",	     "systemd-run", "sshd",
					    "login",   "vmferry", "vmferry-dst",  "vmferry-launch", "vmferry-bench", NULL};

	return word_index(names, comm) >= 0;
}

/* words: argv, each with a zero behind it. */
static bool is_shell(const char *words, size_t n)
{
	static const char *const shells[] = {"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", NULL};
	const char *base = strrchr(words, '/');

	return n && word_index(shells, base ? base + 1 : *words == '-' ? words + 1 : words) >= 0;
}

/*
 * A shell at a terminal ignores SIGTERM, or catches it. What it forks to run a loop in the background has its words and its
 * terminal, and does neither. A shell that reads its script may have /dev/null there while it runs a command.
 */
static bool is_interactive(pid_t pid)
{
	char path[48], ignored[32], caught[32];
	struct stat in;

	snprintf(path, sizeof(path), "/proc/%d/fd/0", (int)pid);
	if (stat(path, &in) || !S_ISCHR(in.st_mode) || major(in.st_rdev) == MEM_MAJOR ||
	    process_status(pid, "SigIgn", ignored, sizeof(ignored)) || process_status(pid, "SigCgt", caught, sizeof(caught)))
		return false;
	return (strtoull(ignored, NULL, 16) | strtoull(caught, NULL, 16)) >> (SIGTERM - 1) & 1;
}

/* True for a shell that has neither a script, on its line or at its input, nor a command (-c). */
static bool is_typed_into(pid_t pid, const char *words, size_t n)
{
	const char *p;

	if (!is_shell(words, n) || !is_interactive(pid))
		return false;
	for (p = words + strlen(words) + 1; p < words + n; p += strlen(p) + 1)
		if (*p != '-' || (p[1] != '-' && strchr(p, 'c')))
			return false;
	return true;
}

/* A command line, for people; malloc'ed. */
static char *shown(char text[WORDS_MAX], size_t n)
{
	char *out;

	for (size_t i = 0; i + 1 < n; i++)
		text[i] = text[i] ? text[i] : ' ';
	text_make_printable(text, false);
	out = strlen(text) > SHOWN ? xasprintf("%.*s…", SHOWN, text) : xstrdup(text);
	text_make_utf8(out);
	return out;
}

/* A script that has started the guest, and now runs vmferry to move it, does not wait for the guest's end. */
static bool is_above_us(pid_t pid)
{
	pid_t p = getpid();

	for (unsigned depth = 0; p > 1 && p != pid && depth < DEPTH_MAX; depth++)
		p = process_parent(p);
	return p == pid;
}

/* True of what is there for the sake of one program, with which it ends, and the container with it. */
static bool is_small_init(const char *comm)
{
	static const char *const names[] = {"tini", "docker-init", "dumb-init", "catatonit", "podman-init", NULL};

	return word_index(names, comm) >= 0;
}

/*
 * A process has no parent but process 1. Where that is no init, this is a container, or the like: its first process may start the guest again, or ends with it,
 * and then whoever runs the container may. What has gone to the background has a session of its own.
 */
static pid_t started_by_container(pid_t child, pid_t parent, char **words)
{
	char text[WORDS_MAX];
	uint64_t start_time;
	size_t n;

	if (!parent)
		return process_start_time(child, &start_time) ? 0 : STARTED_FROM_OUTSIDE;
	read_of(1, "comm", text);
	text[strcspn(text, "\n")] = '\0';
	if (parent != 1 || starts_nothing_again(text) || (getsid(child) != getsid(1) && !is_small_init(text)))
		return 0;
	n = read_of(1, "cmdline", text);
	if (!n || (is_shell(text, n) && is_above_us(1)))
		return 0;
	*words = shown(text, n);
	return 1;
}

pid_t started_by(pid_t qemu, char **words)
{
	pid_t child = qemu, pid = process_parent(qemu);
	char text[WORDS_MAX];
	size_t n;

	*words = NULL;
	for (unsigned depth = 0; pid > 1 && depth < DEPTH_MAX; depth++) {
		read_of(pid, "comm", text);
		text[strcspn(text, "\n")] = '\0';
		if (starts_nothing_again(text))
			return 0;
		if (!only_passes_on(text))
			break;
		child = pid;
		pid = process_parent(pid);
	}
	if (pid <= 1)
		return started_by_container(child, pid, words);
	n = read_of(pid, "cmdline", text);
	if (!n || is_typed_into(pid, text, n) || (is_shell(text, n) && is_above_us(pid)))
		return 0;
	*words = shown(text, n);
	return pid;
}

/* ---- who watches ---- */

/* A program that reads another from a file that its command line names, or runs one again and again. */
static bool runs_scripts(const char *words, size_t n)
{
	static const char *const begins[] = {"python", "perl",	 "ruby",    "node",  "lua",    "php",
					     "tclsh",  "expect", "busybox", "watch", "daemon", NULL};
	const char *base = path_base(words);
	size_t i;

	for (i = 0; begins[i] && !text_starts_with(base, begins[i]); i++)
		;
	return is_shell(words, n) || begins[i];
}

struct watcher {
	pid_t pid;
	struct start_runner by;
	char words[WORDS_MAX]; /* with a zero behind each */
	size_t n;
};

static char *link_of(pid_t pid, const char *what)
{
	AUTO_FREE char *name = xasprintf("/proc/%d/%s", (int)pid, what);

	return realpath(name, NULL);
}

static bool is_file(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode);
}

/* The first of its words that is a file, or a command, is its program; words behind that are the program's. Without one it is its input. */
static bool has_program(const struct watcher *w, struct start_marks *m)
{
	AUTO_FREE char *input = link_of(w->pid, "fd/0");
	const char *p;

	for (p = w->words + strlen(w->words) + 1; p < w->words + w->n && strcmp(p, "-") && strcmp(p, "-s"); p += strlen(p) + 1) {
		AUTO_FREE char *full = *p == '/' || !w->by.cwd ? xstrdup(p) : xasprintf("%s/%s", w->by.cwd, p);

		if (*p != '-' && is_file(full))
			return start_marks_file(m, &w->by, full);
		if (strchr(p, ' '))
			return start_marks_text(m, &w->by, p);
	}
	return input && start_marks_file(m, &w->by, input);
}

/* Its command line itself runs the guest's QEMU. */
static bool has_line(const struct watcher *w, const struct start_marks *m)
{
	AUTO_FREE char *line = xcalloc(1, w->n + 1);

	for (size_t i = 0; i < w->n; i++)
		line[i] = w->words[i] || i + 1 == w->n ? w->words[i] : ' ';
	return start_marks_line(m, &w->by, line);
}

static bool names_image(const struct watcher *w, const struct start_marks *m)
{
	for (const char *p = w->words; p < w->words + w->n; p += strlen(p) + 1)
		for (size_t i = 0; i < m->image_count; i++)
			if (text_has_name(p, m->files[i]))
				return true;
	return false;
}

static size_t groups_of(pid_t pid, gid_t out[GROUPS_MAX])
{
	static const char *const fields[] = {"Gid", "Groups"};
	char text[1024], *p, *end;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		for (p = process_status(pid, fields[i], text, sizeof(text)) ? NULL : text; p && n < GROUPS_MAX; p = end) {
			gid_t group = (gid_t)strtoul(p, &end, 10);

			if (end == p)
				break;
			out[n++] = group;
		}
	return n;
}

/* Anybody may call a process what he likes: another user counts if he could start the guest. */
static bool is_trusted(struct watcher *w, const struct start_marks *m)
{
	gid_t groups[GROUPS_MAX];

	if (process_user(w->pid, &w->by.user))
		return false;
	return !w->by.user || w->by.user == geteuid() || start_marks_may_be_written(m, w->by.user, groups, groups_of(w->pid, groups));
}

/* True of QEMU itself, which may have another name (-name process=). */
static bool is_qemu(pid_t pid, const char *comm, const struct guest *g)
{
	AUTO_FREE char *exe = link_of(pid, "exe");

	return pid == g->pid || pid == g->ran_as || text_starts_with(comm, "qemu-") || (exe && g->exe && !strcmp(exe, g->exe));
}

static bool is_of_unit(pid_t pid, const struct guest_unit *unit)
{
	struct guest_unit its;
	bool yes;

	if (!unit)
		return false;
	guest_unit_of(&its, pid);
	yes = its.name && !strcmp(its.name, unit->name) && its.is_user == unit->is_user && its.uid == unit->uid;
	free(its.name);
	return yes;
}

static bool may_start(struct watcher *w, const struct guest *g, const struct guest_unit *unit, struct start_marks *m)
{
	char comm[WORDS_MAX];
	AUTO_FREE char *cwd = link_of(w->pid, "cwd");
	bool yes;

	if (w->pid <= 1 || is_above_us(w->pid) || !read_of(w->pid, "comm", comm) || !is_trusted(w, m))
		return false;
	comm[strcspn(comm, "\n")] = '\0';
	if (text_starts_with(comm, "vmferry") || only_passes_on(comm) || is_qemu(w->pid, comm, g) || is_of_unit(w->pid, unit))
		return false;
	w->by.cwd = cwd;
	w->n = read_of(w->pid, "cmdline", w->words);
	yes = w->n && ((!g->pid && names_image(w, m)) ||
		       (!starts_nothing_again(comm) && (has_line(w, m) || (runs_scripts(w->words, w->n) && has_program(w, m)))));
	w->by.cwd = NULL;
	return yes;
}

pid_t started_by_another(const struct guest *g, const struct guest_unit *unit, struct start_marks *m, char **words)
{
	DIR *d = opendir("/proc");
	struct watcher w;
	struct dirent *x;
	pid_t found = 0;

	*words = NULL;
	while (d && !found && (x = readdir(d))) {
		w = (struct watcher){.pid = (pid_t)atoi(x->d_name)};
		if (!may_start(&w, g, unit, m))
			continue;
		found = w.pid;
		*words = shown(w.words, w.n);
	}
	if (d)
		closedir(d);
	return found;
}

/* ---- who runs others, too ---- */

/* Something of its own, and no part of a guest; what has ended and is not waited for has no words. */
static bool is_a_program(pid_t pid)
{
	static const char *const parts[] = {"swtpm", "virtiofsd", "passt", "passt.avx2", "slirp4netns", NULL};
	char text[WORDS_MAX];

	if (!read_of(pid, "cmdline", text) || !read_of(pid, "comm", text))
		return false;
	text[strcspn(text, "\n")] = '\0';
	return word_index(parts, text) < 0;
}

static bool has_child_but(pid_t parent, pid_t but)
{
	DIR *d = opendir("/proc");
	struct dirent *x;
	bool yes = false;

	while (d && !yes && (x = readdir(d))) {
		pid_t pid = (pid_t)atoi(x->d_name);

		yes = pid > 0 && pid != but && process_parent(pid) == parent && is_a_program(pid);
	}
	if (d)
		closedir(d);
	return yes;
}

bool started_beside_others(pid_t qemu, pid_t main_pid)
{
	pid_t child = qemu, pid = process_parent(qemu);
	char text[WORDS_MAX];
	bool others = false;

	for (unsigned depth = 0; pid > 1 && child != main_pid && depth < DEPTH_MAX; depth++) {
		others |= !is_shell(text, read_of(pid, "cmdline", text)) && has_child_but(pid, child);
		child = pid;
		pid = process_parent(pid);
	}
	return others && child == main_pid;
}
