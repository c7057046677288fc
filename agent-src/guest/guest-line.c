/* guest-line.c: a guest's command line: the files that it names by -readconfig, and what it refers to; see qemu-discover.h. */
#include "qemu-discover.h"
#include "open-regular.h"
#include "process.h"
#include "qemu-args.h"
#include "util.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- -readconfig ---- */

/* CLOCK_REALTIME seconds at which the process began: from field 22 of its stat, ticks since boot. */
static time_t process_began(uint64_t start_time)
{
	struct timespec boot, now;

	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec - boot.tv_sec + (time_t)(start_time / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* The text, or NULL: not a file that can be read, or too long. A QEMU that runs has read it: then also NULL if it was changed since, or is not the
 * file that QEMU sees. */
static char *read_config(const struct guest *g, const char *name)
{
	AUTO_FREE char *path = guest_path(g, name);
	AUTO_CLOSE int fd = open_regular(path);
	struct stat st;
	char *text;
	size_t n;

	if (fd < 0 || fstat(fd, &st) || (g->pid && (st.st_mtime > process_began(g->start_time) + 1 || !process_sees(g->pid, path))) ||
	    read_regular(fd, ARGS_CONFIG_MAX, &text, &n))
		return NULL;
	if (!memchr(text, '\0', n))
		return text;
	free(text);
	return NULL;
}

/* Behind the name of a stream we would find our own: what a script gave its QEMU by one is known, if at all, from who ran it. */
static void read_configs(struct guest *g)
{
	char **paths;
	size_t n = qemu_args_config_paths(g->line.argv, g->line.argc, &paths), i;

	g->line.configs = xrealloc(g->line.configs, (g->line.config_count + n + 1) * sizeof(*g->line.configs));
	for (i = 0; i < n; i++) {
		char *text = qemu_args_is_stream(paths[i]) ? NULL : read_config(g, paths[i]);

		if (text)
			g->line.configs[g->line.config_count++] = (struct args_config){xstrdup(paths[i]), text};
	}
	args_free_strings(paths, n);
}

/* The line with its config files worked in; as it is where that cannot be done. */
static void expand_line(struct guest_line *l)
{
	struct err e;

	if (qemu_args_expand(&l->expanded, &l->expanded_count, l->argv, l->argc, l->configs, l->config_count, &e) == 0)
		return;
	l->expanded_count = 0;
	l->expanded = xcalloc(l->argc + 1, sizeof(*l->expanded));
	for (; l->expanded_count < l->argc; l->expanded_count++)
		l->expanded[l->expanded_count] = xstrdup(l->argv[l->expanded_count]);
}

void guest_expand_line(struct guest *g)
{
	read_configs(g);
	expand_line(&g->line);
}

/* ---- what it refers to ---- */

/* The nodes and drives of disks behind a network; malloc'ed, the strings are the guest's. */
static const char **network_disks(const struct guest *g, size_t *count)
{
	const char **out = xcalloc(2 * g->disk_count + 1, sizeof(*out));
	size_t i;

	for (*count = i = 0; i < g->disk_count; i++) {
		if (g->disks[i].network && g->disks[i].drive_id)
			out[(*count)++] = g->disks[i].drive_id;
		if (g->disks[i].network && g->disks[i].node)
			out[(*count)++] = g->disks[i].node;
	}
	return out;
}

static int read_line(const struct guest *g, bool no_state, void (*refused)(void *, const struct err *), struct args_result *out,
		     struct err *e)
{
	struct args_options o = {.cwd = g->cwd,
				 .configs = g->line.configs,
				 .config_count = g->line.config_count,
				 .tpm = true,
				 .no_state = no_state,
				 .at_rest = !g->pid,
				 .refused = refused};
	AUTO_FREE const char **network = network_disks(g, &o.network_count);

	o.network = network;
	return qemu_args_rewrite(out, g->line.argv, g->line.argc, &o, e);
}

int guest_read_line(const struct guest *g, bool no_state, struct args_result *out, struct err *e)
{
	return read_line(g, no_state, NULL, out, e);
}

/* The destination says which, and why. */
static void pass_over(void *ctx, const struct err *why)
{
	(void)ctx, (void)why;
}

int guest_look_at_line(const struct guest *g, bool no_state, struct args_result *out, struct err *e)
{
	return read_line(g, no_state, pass_over, out, e);
}
