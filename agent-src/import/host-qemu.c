/* host-qemu.c: see host-qemu.h. */
#include "host-qemu.h"
#include "child.h"
#include "machine-type.h"
#include "program.h"
#include "qemu-find.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HELP_MAX (1u << 20)

/* The path of a program; malloc'ed. */
static char *find(const char *name)
{
	AUTO_FREE char *path = xstrdup(getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
	char *dir, *save = NULL;

	if (strchr(name, '/'))
		return program_is_runnable(name) ? realpath(name, NULL) : NULL;
	for (dir = strtok_r(path, ":", &save); dir; dir = strtok_r(NULL, ":", &save)) {
		char *try = xasprintf("%s/%s", dir, name);

		if (*dir == '/' && program_is_runnable(try))
			return try;
		free(try);
	}
	return NULL;
}

struct text {
	char *p;
	size_t n;
};

static void gather(void *ctx, const char *text, size_t n)
{
	struct text *t = ctx;

	if (t->n + n > HELP_MAX)
		return;
	t->p = xrealloc(t->p, t->n + n + 1);
	memcpy(t->p + t->n, text, n);
	t->n += n;
	t->p[t->n] = '\0';
}

static int ask(const struct host_qemu *q, const char *option, const char *what, char **answer, struct err *e)
{
	char *argv[] = {q->exe, (char *)option, (char *)what, NULL};
	struct text t = {xstrdup(""), 0};
	int r = child_run(argv, gather, &t, e);

	*answer = t.p;
	return r;
}

/* True if QEMU was built with seccomp: otherwise it ends at that word, before it says what machines it has. */
static bool has_sandbox(const struct host_qemu *q)
{
	char *argv[] = {q->exe, "-sandbox", "on", "-machine", "help", NULL};
	struct err ignored;

	return !child_run(argv, NULL, NULL, &ignored);
}

int host_qemu_find_img(char **out, const char *exe, struct err *e)
{
	const char *slash = strrchr(exe, '/');
	AUTO_FREE char *beside = slash ? xasprintf("%.*s/qemu-img", (int)(slash - exe), exe) : NULL;

	*out = !beside || !program_is_runnable(beside) ? find("qemu-img") : xstrdup(beside);
	return *out ? 0
		    : err_set(e, ENOENT, "there is no qemu-img here, which converts the disks: install it (Debian, Ubuntu: qemu-utils)");
}

/* is_named: a person has named it, and another program is not taken for it. */
static char *find_qemu(const char *name, bool is_named)
{
	char *exe = find(name);

	return exe || strchr(name, '/') ? exe : qemu_find_name(name, is_named);
}

int host_qemu_find(struct host_qemu *q, const char *wish, const char *usual, struct err *e)
{
	const char *named = wish ? wish : getenv("QEMU") && *getenv("QEMU") ? getenv("QEMU") : NULL, *name = named ?: usual;
	int r;

	*q = (struct host_qemu){.exe = find_qemu(name, named), .kvm = !access("/dev/kvm", R_OK | W_OK)};
	if (!q->exe)
		return named ? err_set(e, ENOENT,
				       "there is no program %s on this host (--qemu, or $QEMU), and no other is taken for it: name one that "
				       "is here",
				       name)
			     : err_set(e, ENOENT,
				       "there is no %s on this host, and no qemu-kvm or kvm that would be the same: install it " QEMU_PACKAGES
				       ", or name one with --qemu",
				       name);
	r = host_qemu_find_img(&q->img, q->exe, e) ?: ask(q, "-device", "help", &q->devices, e);
	r = r ?: ask(q, "-machine", "help", &q->machines, e);
	q->sandbox = !r && has_sandbox(q);
	return r;
}

void host_qemu_fini(struct host_qemu *q)
{
	FREE_ALL(q->exe, q->img, q->devices, q->machines);
	*q = (struct host_qemu){.exe = NULL};
}

bool host_qemu_has(const void *ctx, const char *device)
{
	const struct host_qemu *q = ctx;
	AUTO_FREE char *row = xasprintf("\nname \"%s\",", device);

	return q->devices && strstr(q->devices, row);
}

char *host_qemu_help(const struct host_qemu *q, const char *option, const char *what)
{
	struct err ignored;
	char *answer;

	ask(q, option, what, &answer, &ignored); /* QEMU calls "-chardev socket,help" an error, once it has answered */
	return answer;
}

/* "q35    Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-10.0)" */
static char *newest_machine(const struct host_qemu *q, const char *alias)
{
	static const char of[] = "(alias of ";
	size_t n = strlen(alias);
	const char *line;

	for (line = q->machines; line && *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *end = line + strcspn(line, "\n"), *p = memmem(line, (size_t)(end - line), of, strlen(of));

		if (!strncmp(line, alias, n) && line[n] == ' ' && p)
			return xasprintf("%.*s", (int)strcspn(p + strlen(of), ") \n"), p + strlen(of));
	}
	return NULL;
}

char *host_qemu_machine(const struct host_qemu *q, struct guest_description *d)
{
	const bool is_pc = d->machine == MACHINE_PC;
	const char *was = d->machine_type;
	bool is_of_kind = was && !strstr(was, "q35") == is_pc;
	char *type = is_of_kind ? machine_type_nearest(q->machines, was) : NULL;

	type = type ?: newest_machine(q, is_pc ? "pc" : "q35");
	if (was && type && strcmp(was, type) != 0)
		description_note(d, "the machine was %.60s: here it is %.60s%s", was, type,
				 is_of_kind ? ", the nearest that this QEMU has" : "");
	return type;
}
