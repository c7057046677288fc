/* working-dir.c: see working-dir.h. */
#include "working-dir.h"
#include "remote-thread.h"
#include "same-file.h"
#include "util.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define STOP_MS 5000 /* time for its main thread to wait somewhere */
#define PAGE	4096ULL

/* ---- is it needed? ---- */

/* True if the name leads to the file from that directory: where QEMU is now, or where it was started. */
static bool leads_to(const char *directory, const char *name, const struct stat *file)
{
	AUTO_FREE char *path = xasprintf("%s/%s", directory, name);

	return path_leads_to(path, file);
}

/* path: as it was where QEMU was started, which is directory. A name that stands whole on the line leads there from anywhere. */
static bool is_lost(const struct guest *g, const char *path)
{
	AUTO_FREE char *now = xasprintf("/proc/%d/cwd", (int)g->pid);
	size_t i, n = strlen(g->cwd);
	struct stat file;
	struct err e;

	if (strncmp(path, g->cwd, n) || path[n] != '/' || stat(path, &file) || leads_to(now, path + n + 1, &file))
		return false;
	for (i = 1; i < g->line.expanded_count; i++)
		if (strstr(g->line.expanded[i], path))
			return false;
	return !guest_reads_what_is_there(g, path, &e);
}

bool working_dir_is_needed(const struct guest *g)
{
	struct args_result line;
	bool needed = false;
	struct err e;

	if (g->foreign || !g->cwd || *g->cwd != '/' || guest_look_at_line(g, true, &line, &e))
		return false;
	for (size_t i = 0; i < line.file_count && !needed; i++)
		needed = args_file_is_disk(&line.files[i]) && is_lost(g, line.files[i].path);
	args_result_fini(&line);
	return needed;
}

/* ---- there ---- */

static int have_call(struct remote_thread *t, long number, const uint64_t args[6], int64_t *ret, struct err *e)
{
	int r = remote_thread_syscall(t, number, args, ret, e);

	return !r && *ret < 0 && *ret > -(int64_t)PAGE ? err_sys(e, (int)-*ret, "it refuses a system call") : r;
}

/* The name is put into a page of its own, which goes afterwards. */
static int have_chdir(struct remote_thread *t, const char *to, struct err *e)
{
	const uint64_t map[6] = {0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0};
	int64_t page, ignored;
	struct err unmapping;
	int r = have_call(t, SYS_mmap, map, &page, e);

	if (r)
		return r;
	r = remote_thread_write(t, (uint64_t)page, to, strlen(to) + 1, e);
	r = r ?: have_call(t, SYS_chdir, (const uint64_t[6]){(uint64_t)page}, &ignored, e);
	have_call(t, SYS_munmap, (const uint64_t[6]){(uint64_t)page, PAGE}, &ignored, &unmapping);
	return r;
}

int working_dir_change(pid_t pid, const char *to, struct err *e)
{
	struct remote_thread t = {.memory = -1};
	sigset_t all, before;
	int r = strlen(to) < PAGE ? 0 : err_set(e, ENAMETOOLONG, "its name is too long");

	sigfillset(&all); /* were we stopped while QEMU is, it would stand for as long */
	sigprocmask(SIG_BLOCK, &all, &before);
	r = r ?: remote_thread_open(&t, pid, e) ?: remote_thread_stop(&t, STOP_MS, e) ?: have_chdir(&t, to, e);
	remote_thread_close(&t);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}

int working_dir_restore(const struct guest *g, struct err *e)
{
	int r = guest_check_user(g, e) ?: working_dir_change(g->pid, g->cwd, e);

	return r ? err_prefix(e, "QEMU cannot be put back into directory %s, where it was started", g->cwd) : 0;
}
