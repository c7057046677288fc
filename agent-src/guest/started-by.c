/* started-by.c: see started-by.h. */
#include "started-by.h"
#include "process-status.h"
#include "process.h"
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

#define WORDS_MAX 4096
#define SHOWN	  60
#define DEPTH_MAX 16

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
	static const char *const names[] = {"systemd", "init",	      "tmux: server",	"screen",	 "sshd", "login",
					    "vmferry", "vmferry-dst", "vmferry-launch", "vmferry-bench", NULL};

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

pid_t started_by(pid_t qemu, char **words)
{
	pid_t pid = process_parent(qemu);
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
		pid = process_parent(pid);
	}
	n = pid > 1 ? read_of(pid, "cmdline", text) : 0;
	if (!n || is_typed_into(pid, text, n) || (is_shell(text, n) && is_above_us(pid)))
		return 0;
	*words = shown(text, n);
	return pid;
}

/* ---- who runs a script ---- */

/* The real path of a word of the process's; malloc'ed, or NULL. */
static char *path_of_word(pid_t pid, const char *word)
{
	AUTO_FREE char *full = *word == '/' ? xstrdup(word) : xasprintf("/proc/%d/cwd/%s", (int)pid, word);

	return *word && *word != '-' ? realpath(full, NULL) : NULL;
}

static bool is_one_of(const struct guest_scripts *scripts, const char *path)
{
	for (size_t i = 0; i < scripts->count; i++)
		if (!strcmp(scripts->list[i].path, path))
			return true;
	return false;
}

static bool runs_one(pid_t pid, const char *words, size_t n, const struct guest_scripts *scripts)
{
	const char *p;

	if (!is_shell(words, n))
		return false;
	for (p = words + strlen(words) + 1; p < words + n; p += strlen(p) + 1) {
		AUTO_FREE char *path = path_of_word(pid, p);

		if (path && is_one_of(scripts, path))
			return true;
	}
	return false;
}

static bool names_one(const char *words, size_t n, const char *const *images, size_t count)
{
	const char *p;

	for (p = words; p < words + n; p += strlen(p) + 1)
		for (size_t i = 0; i < count; i++)
			if (text_has_name(p, images[i]))
				return true;
	return false;
}

static bool may_start(pid_t pid, const struct guest_scripts *scripts, const char *const *images, size_t count, char text[WORDS_MAX],
		      size_t *n)
{
	char comm[WORDS_MAX];
	uid_t user;

	if (pid <= 1 || is_above_us(pid) || !read_of(pid, "comm", comm))
		return false;
	if (process_user(pid, &user) || (user && user != geteuid())) /* anybody may call a process what he likes */
		return false;
	comm[strcspn(comm, "\n")] = '\0';
	if (text_starts_with(comm, "vmferry") || text_starts_with(comm, "qemu-") || only_passes_on(comm))
		return false;
	*n = read_of(pid, "cmdline", text);
	return *n && (runs_one(pid, text, *n, scripts) || names_one(text, *n, images, count));
}

pid_t started_by_script(const struct guest_scripts *scripts, const char *const *images, size_t count, char **words)
{
	DIR *d = opendir("/proc");
	char text[WORDS_MAX];
	struct dirent *x;
	pid_t found = 0;
	size_t n;

	*words = NULL;
	while (d && !found && (x = readdir(d)))
		if (may_start((pid_t)atoi(x->d_name), scripts, images, count, text, &n)) {
			found = (pid_t)atoi(x->d_name);
			*words = shown(text, n);
		}
	if (d)
		closedir(d);
	return found;
}

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
