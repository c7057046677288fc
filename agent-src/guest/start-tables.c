/* start-tables.c: see start-tables.h. */
#include "start-tables.h"
#include "open-regular.h"
#include "program-run.h"
#include "util.h"
#include "words.h"

#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TEXT_MAX   (256 * KIB)
#define GROUPS_MAX 64
#define SET_MAX	   (16 * KIB) /* variables of a table */
#define CRONTAB_MS 5000

enum how {
	LINES,	/* each line is a job, but for those that set a variable */
	WHOLE,	/* a text whose lines belong together */
	SCRIPT, /* a program, if it is executable */
};

struct kind {
	const char *files; /* a pattern, as of glob(7) */
	const char *by;	   /* who runs it */
	enum how how;
	bool at_boot;
};

static const struct kind kinds[] = {
	{"/etc/crontab", "cron", LINES, false},
	{"/etc/cron.d/*", "cron", LINES, false},
	{"/etc/crontabs/*", "cron", LINES, false},
	{"/var/spool/cron/*", "cron", LINES, false},
	{"/var/spool/cron/crontabs/*", "cron", LINES, false},
	{"/var/spool/cron/tabs/*", "cron", LINES, false},
	{"/etc/anacrontab", "anacron", LINES, false},
	{"/etc/cron.hourly/*", "cron", SCRIPT, false},
	{"/etc/cron.daily/*", "cron", SCRIPT, false},
	{"/etc/cron.weekly/*", "cron", SCRIPT, false},
	{"/etc/cron.monthly/*", "cron", SCRIPT, false},
	{"/var/spool/cron/atjobs/*", "at", SCRIPT, false},
	{"/etc/inittab", "init", LINES, false},
	{"/etc/monitrc", "monit", WHOLE, false},
	{"/etc/monit/monitrc", "monit", WHOLE, false},
	{"/etc/monit/conf.d/*", "monit", WHOLE, false},
	{"/etc/monit/conf-enabled/*", "monit", WHOLE, false},
	{"/etc/monit.d/*", "monit", WHOLE, false},
	{"/etc/supervisord.conf", "supervisor", WHOLE, false},
	{"/etc/supervisord.d/*", "supervisor", WHOLE, false},
	{"/etc/supervisor/supervisord.conf", "supervisor", WHOLE, false},
	{"/etc/supervisor/conf.d/*", "supervisor", WHOLE, false},
	{"/etc/service/*/run", "runit", SCRIPT, false},
	{"/etc/sv/*/run", "runit", SCRIPT, false},
	{"/etc/runit/runsvdir/default/*/run", "runit", SCRIPT, false},
	{"/var/service/*/run", "runit", SCRIPT, false},
	{"/service/*/run", "daemontools", SCRIPT, false},
	{"/etc/rc.local", "init", SCRIPT, true},
	{"/etc/rc.d/rc.local", "init", SCRIPT, true},
	{"/etc/local.d/*.start", "init", SCRIPT, true},
	{"/etc/init.d/*", "init", SCRIPT, true},
};

struct search {
	struct start_marks *m;
	struct start_runner by;
	struct start_table *out;
};

static void take(struct search *s, const struct kind *k, const char *path, bool at_boot)
{
	if (s->out->words && at_boot)
		return;
	free(s->out->words);
	*s->out = (struct start_table){xasprintf("%s (%s)", k->by, path), at_boot, !strcmp(k->by, "at")};
}

/* ---- one text ---- */

static bool is_comment(const char *line)
{
	line += strspn(line, " \t");
	return !*line || strchr("#;", *line);
}

static bool sets_variable(const char *line)
{
	size_t n;

	line += strspn(line, " \t");
	n = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
	return n && line[n + strspn(line + n, " \t")] == '=';
}

/* Jobs see the variables that are set before them. */
static void look_at_lines(struct search *s, const struct kind *k, const char *path, char *text)
{
	char *line, *set = xstrdup("");

	while ((line = strsep(&text, "\n"))) {
		AUTO_FREE char *job = is_comment(line) ? NULL : xasprintf("%s%s\n", set, line);

		if (job && sets_variable(line) && strlen(job) < SET_MAX) {
			free(set);
			set = xstrdup(job);
		} else if (job && start_marks_text(s->m, &s->by, job)) {
			take(s, k, path, k->at_boot || text_starts_with(line + strspn(line, " \t"), "@reboot"));
		}
	}
	free(set);
}

static void look_at_whole(struct search *s, const struct kind *k, const char *path, char *text)
{
	char *line, *jobs = NULL;
	size_t size;
	FILE *f = open_memstream(&jobs, &size);

	while ((line = strsep(&text, "\n")))
		fprintf(f, "%s\n", is_comment(line) ? "" : line);
	if (fclose(f))
		abort();
	if (start_marks_text(s->m, &s->by, jobs))
		take(s, k, path, k->at_boot);
	free(jobs);
}

/* Root's tables, and ours, are what they seem; another user's counts if he could start the guest. */
static bool is_trusted(const struct search *s, uid_t user)
{
	const struct passwd *own = getpwuid(user);
	gid_t groups[GROUPS_MAX];
	int n = GROUPS_MAX;

	if (!user || user == geteuid())
		return true;
	if (!own || getgrouplist(own->pw_name, own->pw_gid, groups, &n) < 0)
		n = 0;
	return start_marks_may_be_written(s->m, user, groups, (size_t)n);
}

static void look_at_text(struct search *s, const struct kind *k, const char *path, char *text, uid_t user)
{
	const struct passwd *own = getpwuid(user);
	AUTO_FREE char *home = own ? xstrdup(own->pw_dir) : NULL;

	s->by = (struct start_runner){.cwd = home, .user = user, .looks_after = true};
	if (k->how == LINES)
		look_at_lines(s, k, path, text);
	else
		look_at_whole(s, k, path, text);
	s->by.cwd = NULL;
}

static void look_at(struct search *s, const struct kind *k, const char *path)
{
	AUTO_CLOSE int fd = open_regular(path);
	AUTO_FREE char *text = NULL;
	struct stat st;
	size_t n;

	if (fd < 0 || fstat(fd, &st) || !is_trusted(s, st.st_uid) || read_regular(fd, TEXT_MAX, &text, &n) || memchr(text, 0, n))
		return;
	if (k->how != SCRIPT) {
		look_at_text(s, k, path, text, st.st_uid);
		return;
	}
	s->by = (struct start_runner){.user = st.st_uid, .looks_after = true};
	if (st.st_mode & S_IXUSR && start_marks_file(s->m, &s->by, path))
		take(s, k, path, k->at_boot);
}

/* ---- all of them ---- */

static void look_for(struct search *s, const struct kind *k, const char *root)
{
	AUTO_FREE char *pattern = xasprintf("%s%s", root, k->files);
	glob_t found;

	if (glob(pattern, GLOB_NOSORT, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		look_at(s, k, found.gl_pathv[i]);
	globfree(&found);
}

static void add_text(void *memory, const char *text, size_t n)
{
	fwrite(text, 1, n, memory);
}

/* Our own crontab, which a user may not read as a file. */
static void look_at_own_crontab(struct search *s)
{
	static const struct kind own = {NULL, "cron", LINES, false};
	char *argv[] = {(char *)(uintptr_t) "crontab", (char *)(uintptr_t) "-l", NULL}, *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);
	const struct program_run run = {.argv = argv, .output = add_text, .output_ctx = memory, .timeout_ms = CRONTAB_MS};
	struct err ignored;
	int status, r = program_run(&run, &status, &ignored);

	if (fclose(memory))
		abort();
	if (!r && !status && size <= TEXT_MAX)
		look_at_text(s, &own, "crontab -l", text, geteuid());
	free(text);
}

void start_table_find(struct start_table *t, struct start_marks *m, const char *root)
{
	struct search s = {.m = m, .out = t};

	*t = (struct start_table){.words = NULL};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		look_for(&s, &kinds[i], root);
	if (geteuid() != 0)
		look_at_own_crontab(&s);
}
