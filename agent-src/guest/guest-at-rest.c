/* guest-at-rest.c: see guest-at-rest.h. */
#include "guest-at-rest.h"
#include "disk-io.h"
#include "qcow2-header.h"
#include "qemu-opts.h"
#include "start-script.h"
#include "systemd.h"
#include "unit-text.h"
#include "util.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHAIN_MAX 64

/* ---- its images ---- */

/* An absolute path of a file that an image in `dir` names; NULL: it is no file. Malloc'ed. */
static char *against(const char *dir, const char *name)
{
	if (!strncmp(name, "file:", 5))
		name += 5;
	if (!strncmp(name, "json:", 5) || qemu_path_has_protocol(name))
		return NULL;
	return name[0] == '/' ? xstrdup(name) : xasprintf("%s/%s", dir, name);
}

static uint64_t allocated(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

/* Down the chain, one file after the other. */
static int read_chain(struct guest_disk *d, const struct qcow2_header *top, struct err *e)
{
	AUTO_FREE char *format = top->backing_format ? xstrdup(top->backing_format) : NULL;
	AUTO_FREE char *name = top->backing ? xstrdup(top->backing) : NULL;
	AUTO_FREE char *above = xstrdup(d->real_path);
	int r = 0;

	d->chain = xcalloc(CHAIN_MAX, sizeof(*d->chain));
	while (name && !r) {
		struct guest_backing *b = &d->chain[d->chain_count];
		AUTO_FREE char *copy = xstrdup(above);
		AUTO_FREE char *path = against(dirname(copy), name);
		struct qcow2_header h = {.is_qcow2 = false};

		if (d->chain_count == CHAIN_MAX)
			return err_set(e, ELOOP, "disk %s has more than %d backing files", d->real_path, CHAIN_MAX);
		d->chain_count++;
		b->name = xstrdup(name);
		b->real_path = path ? realpath(path, NULL) : NULL;
		if (!b->real_path)
			return err_set(e, ENOENT, "the backing file %s of %s %s", name, above,
				       path ? "is not there" : "is not a file of this host");
		b->allocated = allocated(b->real_path);
		r = qcow2_header_read(b->real_path, &h, e);
		if (r)
			return r;
		b->format = format ? format : xstrdup(h.is_qcow2 ? "qcow2" : "raw");
		format = h.backing_format ? xstrdup(h.backing_format) : NULL;
		if (h.data_file)
			r = err_set(e, ENOTSUP, "the backing file %s keeps its data in another file, %s", b->real_path, h.data_file);
		free(name);
		name = h.backing ? xstrdup(h.backing) : NULL;
		free(above);
		above = xstrdup(b->real_path);
		qcow2_header_fini(&h);
	}
	return r;
}

static int add_disk(struct guest *g, const char *path, struct err *e)
{
	struct guest_disk *d = &g->disks[g->disk_count];
	struct qcow2_header h;
	struct stat st;
	size_t i;
	int r;

	*d = (struct guest_disk){.file = xstrdup(path), .real_path = realpath(path, NULL)};
	g->disk_count++;
	if (!d->real_path || stat(d->real_path, &st))
		return err_sys(e, errno, "the disk %s of the guest", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ENOTSUP, "the disk %s of the guest is not a file: it cannot be moved while the guest is shut down", path);
	for (i = 0; i + 1 < g->disk_count; i++)
		if (!strcmp(g->disks[i].real_path, d->real_path))
			return err_set(e, EINVAL, "two disks of the guest are the same file, %s", d->real_path);
	r = qcow2_header_read(d->real_path, &h, e);
	if (r)
		return r;
	d->node = xasprintf("disk%zu", g->disk_count - 1);
	d->format = xstrdup(h.is_qcow2 ? "qcow2" : "raw");
	d->virtual_size = disk_padded((uint64_t)st.st_size);
	d->allocated = allocated(d->real_path);
	r = read_chain(d, &h, e);
	if (h.data_file)
		r = err_set(e, ENOTSUP, "the disk %s keeps its data in another file, %s", d->real_path, h.data_file);
	qcow2_header_fini(&h);
	return r;
}

/* What QEMU writes to, among the files of its line. */
static int find_disks(struct guest *g, struct err *e)
{
	struct args_options o = {.cwd = g->cwd};
	struct args_result line;
	size_t i;
	int r = qemu_args_rewrite(&line, g->line.argv, g->line.argc, &o, e);

	if (r)
		return r;
	g->disks = xcalloc(line.file_count + 1, sizeof(*g->disks));
	for (i = 0; i < line.file_count && !r; i++) {
		const struct args_file *f = &line.files[i];

		if ((f->role == ARGS_DISK || f->role == ARGS_PFLASH_VARS) && !f->read_only && f->path)
			r = add_disk(g, f->path, e);
	}
	args_result_fini(&line);
	return r;
}

/* ---- what starts it ---- */

static int take_line(struct guest *g, char *const *argv, size_t argc, struct err *e)
{
	const char *slash = strrchr(argv[0], '/'), *base = slash ? slash + 1 : argv[0];
	size_t i;

	if (strncmp(base, "qemu-", 5) && strcmp(base, "kvm"))
		return err_set(e, EINVAL, "behind -- stands %s: the guest's command line is expected there, with QEMU's program first",
			       argv[0]);
	g->line.argv = xcalloc(argc + 1, sizeof(*g->line.argv));
	for (i = 0; i < argc; i++)
		g->line.argv[g->line.argc++] = xstrdup(argv[i]);
	g->cwd = getcwd(NULL, 0);
	return 0;
}

/* "argv[]=/bin/sh /srv/vm1.sh ;" of what systemctl shows, as --install-unit makes a unit; malloc'ed, or NULL. */
static char *script_of(const char *shown)
{
	static const char begin[] = "argv[]=/bin/sh ";
	const char *p = strstr(shown, begin), *end = p ? strstr(p, " ; ") : NULL;

	if (!end || strstr(end, begin))
		return NULL;
	p += strlen(begin);
	return *p == '/' && end > p ? xasprintf("%.*s", (int)(end - p), p) : NULL;
}

static int take_unit(struct guest *g, const char *unit, char **script, struct err *e)
{
	const char *ask[] = {"show", "-p", "ExecStart", "--", unit, NULL};
	AUTO_FREE char *shown = NULL;
	int r = systemctl(geteuid() != 0, ask, &shown, e);

	if (r)
		return err_prefix(e, "cannot ask about the unit %s", unit);
	*script = script_of(shown);
	if (!*script)
		return err_set(e, ENOTSUP,
			       "the unit %s does not run a script of vmferry's (ExecStart=/bin/sh …/NAME.sh). Give the guest's command "
			       "line instead: vmferry migrate DEST --how cold … -- qemu-system-x86_64 …",
			       unit);
	g->unit.name = xstrdup(unit);
	g->unit.is_user = geteuid() != 0;
	g->unit.uid = geteuid();
	return 0;
}

static bool is_unit(const char *vm)
{
	size_t n = strlen(vm), k = strlen(".service");

	return n > k && !strcmp(vm + n - k, ".service") && !strchr(vm, '/');
}

/* "vm1", of /srv/vm/vm1.sh */
static char *name_of(const struct guest *g, const char *script)
{
	char *name = qemu_args_name(g->line.argv, g->line.argc);
	AUTO_FREE char *copy = script ? xstrdup(script) : NULL;
	char *base = copy ? basename(copy) : NULL, *dot = base ? strrchr(base, '.') : NULL;

	if (name)
		return name;
	if (dot && dot > base)
		*dot = '\0';
	return base ? xstrdup(base) : NULL;
}

int guest_at_rest(struct guest *g, const char *vm, char *const *argv, size_t argc, char **script, struct err *e)
{
	struct stat st;
	int r = 0;

	*g = (struct guest){.pid = 0};
	*script = NULL;
	if (argv)
		r = take_line(g, argv, argc, e);
	else if (is_unit(vm))
		r = take_unit(g, vm, script, e);
	else if (strchr(vm, '/') && !stat(vm, &st))
		*script = realpath(vm, NULL);
	else if (strchr(vm, '/'))
		r = err_sys(e, errno, "what starts the guest, %s", vm);
	else
		r = err_set(
			e, ENOENT,
			"a guest that is shut down is named by what starts it: its script (./%s.sh), its unit (%s.service), or its command "
			"line (vmferry migrate DEST --how cold … -- qemu-system-x86_64 …)",
			vm, vm);
	if (!r && *script) {
		r = start_script_read(*script, g, e);
		g->cwd = xstrdup("/");
	}
	if (r)
		return r;
	g->exe = xstrdup(g->line.argv[0]);
	g->name = name_of(g, *script);
	if (!g->name)
		return err_set(e, EINVAL, "the guest's command line does not say what it is called: add -name NAME");
	return find_disks(g, e);
}
