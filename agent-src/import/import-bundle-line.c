/* import-bundle-line.c: the command line of a bundle's guest, as it is to be here. */
#include "import-bundle-private.h"
#include "identity.h"
#include "machine-type.h"
#include "memory-file.h"
#include "import-place.h"
#include "process.h"
#include "qemu-args-words.h"
#include "qemu-opts.h"
#include "util.h"
#include "words.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *net_map(const char *net, char **out)
{
	*out = strncmp(net, "bridge=", 7) ? NULL : xasprintf("bridge:%s", net + 7);
	return *out ?: net;
}

/* The network cards that are to be attached to something else: all of them. */
static int map_nets(const struct bundling *m, struct args_options *o, struct args_net_map **out, char **to, struct err *e)
{
	struct args_options plain = {.cwd = m->b.cwd};
	struct args_result r;
	const char *net;

	*out = NULL;
	if (!m->o->net_count)
		return 0;
	net = m->o->nets[m->o->net_count - 1].net;
	if (qemu_args_rewrite(&r, m->b.argv, m->b.argc, &plain, e))
		return -e->code;
	*out = xcalloc(r.nic_count + 1, sizeof(**out));
	for (size_t i = 0; i < r.nic_count; i++) {
		const char *name = r.nics[i].netdev ?: r.nics[i].device ?: r.nics[i].mac;

		if (name)
			(*out)[o->net_count++] = (struct args_net_map){xstrdup(name), net_map(net, to)};
	}
	o->nets = *out;
	args_result_fini(&r);
	return 0;
}

static void map_file(struct args_options *o, struct args_map *map, const struct bundle_file *f, const char *to, const char *format)
{
	map[o->disk_count++] = (struct args_map){.from = f->path, .to = to, .format = format};
	if (f->real_path)
		map[o->disk_count++] = (struct args_map){.from = f->real_path, .to = to, .format = format};
}

static int rewrite(struct bundling *m, const char *prefix, struct err *e)
{
	AUTO_FREE struct args_map *map = xcalloc(2 * (m->b.disk_count + m->b.file_count) + 1, sizeof(*map));
	struct args_options o = {.cwd = m->b.cwd,
				 .disks = map,
				 .socket_dir = m->dir,
				 .socket_prefix = prefix,
				 .machine = m->machine,
				 .no_state = !bundling_has_memory(m),
				 .at_rest = !bundling_has_memory(m)};
	AUTO_FREE struct args_net_map *nets = NULL;
	AUTO_FREE char *bridge = NULL;
	int r;

	for (size_t i = 0; i < m->b.disk_count; i++)
		map_file(&o, map, &m->b.disks[i], m->disks[i], m->b.disks[i].format);
	for (size_t i = 0; i < m->b.file_count; i++)
		map_file(&o, map, &m->b.files[i], m->files[i], NULL);
	r = map_nets(m, &o, &nets, &bridge, e) ?: qemu_args_rewrite(&m->line, m->b.argv, m->b.argc, &o, e);
	for (size_t i = 0; i < o.net_count; i++)
		free((char *)nets[i].nic);
	return r;
}

static bool is_ours(const struct bundling *m, const struct args_file *f)
{
	for (size_t i = 0; i < m->b.disk_count; i++)
		if (f->to && !strcmp(f->to, m->disks[i]))
			return true;
	for (size_t i = 0; i < m->b.file_count; i++)
		if (m->files[i] ? f->to && !strcmp(f->to, m->files[i]) : !strcmp(f->path, m->b.files[i].path))
			return true;
	return false;
}

bool bundling_is_made_here(enum args_role role)
{
	return role == ARGS_LISTEN || role == ARGS_LOG || role == ARGS_PIDFILE;
}

bool bundling_makes(const struct bundling *m, const struct args_file *f)
{
	return bundling_is_made_here(f->role) && f->to && !strncmp(f->to, m->dir, strlen(m->dir));
}

int bundling_check_free(const struct bundling *m, struct err *e)
{
	int r = place_is_free(m->qmp, e);

	for (size_t i = 0; i < m->line.file_count && !r; i++)
		r = bundling_makes(m, &m->line.files[i]) ? place_is_free(m->line.files[i].to, e) : 0;
	return r;
}

/* True if another guest of that directory has such a name, or will have it when it is started. */
static bool has_names_of_others(const struct bundling *m)
{
	struct err ignored;

	for (size_t i = 0; i < m->line.file_count; i++) {
		const struct args_file *f = &m->line.files[i];

		if (bundling_makes(m, f) && (place_is_free(f->to, &ignored) || place_is_named(m->dir, f->to)))
			return true;
	}
	return false;
}

/* Refuses a memory file that another guest has: two guests would overwrite each other's memory. */
static int check_memory(const struct bundling *m, const struct args_file *f, struct err *e)
{
	pid_t pid = memory_file_user(f, f->path);
	AUTO_FREE char *who = process_text(pid);

	if (pid)
		return err_set(e, EBUSY, "the memory is to be in the file %s, which %s has open: its original, perhaps", f->path, who);
	if (f->role == ARGS_PMEM)
		return err_set(e, ENOTSUP, "the guest has memory that it keeps (nvdimm), in %s, which is not in the bundle", f->path);
	return memory_file_is_shared(f, f->path) && m->o->clone
		       ? err_set(e, EINVAL, "--clone: its memory is to be in the file %s, as its original's is", f->path)
		       : 0;
}

/* A device that a log may go to: all others that are below /dev, or are named as if they were, are not for a stranger to write to. */
static bool is_sink(const char *path)
{
	static const char *const sinks[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/stdout", "/dev/stderr", NULL};

	return word_index(sinks, path) >= 0;
}

/* A bundle's line reads files of the bundle, and no other of this host's; what else it names must be there. */
static int check_file(const struct bundling *m, const struct args_file *f, struct err *e)
{
	if (args_role_is_memory(f->role) && check_memory(m, f, e))
		return -e->code;
	if (args_role_is_content(f->role))
		return is_ours(m, f) ? 0
				     : err_set(e, EINVAL, "the command line (-%s) names the %s %s, which is not in the bundle", f->option,
					       args_role_name(f->role), f->path);
	if (bundling_is_made_here(f->role) && f->to && !bundling_makes(m, f))
		return is_sink(f->to) || m->o->trust_line
			       ? 0
			       : err_set(e, EINVAL, "the command line (-%s) names the %s %s, which it would write to", f->option,
					 args_role_name(f->role), f->to);
	if (bundling_is_made_here(f->role))
		return !f->to ? 0 : f->role == ARGS_LISTEN ? place_fits_socket(f->to, e) : place_is_free(f->to, e);
	if (!strcmp(f->option, "L") || f->role == ARGS_FIFO || !access(f->path, F_OK))
		return 0;
	return err_set(e, ENOENT, "the command line (-%s) needs the %s %s, which is not here", f->option, args_role_name(f->role), f->path);
}

/* The number of times that the line names this path. Another file's name, such as its log's, may begin with it. */
static size_t times_named(const struct args_result *line, const char *path)
{
	size_t n = 0, i;
	const char *p;

	for (i = 1; i < line->argc; i++)
		for (p = line->argv[i]; (p = strstr(p, path)); n += !isalnum((unsigned char)*p) && !(*p && strchr("._-", *p)))
			p += strlen(path);
	return n;
}

/* Formats must agree: if a raw disk were opened as an image, the guest could have written a header that names files of this host. */
static int check_disk(const struct bundling *m, size_t i, struct err *e)
{
	const struct bundle_file *d = &m->b.disks[i];
	const struct args_file *f;
	size_t k;

	for (k = 0; k < m->line.file_count && (!m->line.files[k].to || strcmp(m->line.files[k].to, m->disks[i])); k++)
		;
	if (k == m->line.file_count)
		return err_set(e, EINVAL, "the disk %s is not in its command line", d->file);
	f = &m->line.files[k];
	if (f->format && strcmp(f->format, d->format))
		return err_set(e, EINVAL, "the command line takes the disk %s for %s, and its manifest for %s", d->file, f->format,
			       d->format);
	if (times_named(&m->line, m->disks[i]) > 1)
		return err_set(e, EINVAL, "the command line names the disk %s more than once", d->file);
	return 0;
}

static int check_files(const struct bundling *m, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < m->line.file_count && !r; i++)
		r = check_file(m, &m->line.files[i], e);
	for (size_t i = 0; i < m->b.disk_count && !r; i++)
		r = check_disk(m, i, e);
	return r;
}

static void drop(struct args_result *line, size_t at, size_t count)
{
	for (size_t i = at; i < at + count; i++)
		free(line->argv[i]);
	memmove(line->argv + at, line->argv + at + count, (line->argc - at - count + 1) * sizeof(*line->argv));
	line->argc -= count;
}

/* The first of that name and value, wherever it begins; value: NULL is any. */
static bool drop_option(struct args_result *line, const char *name, const char *value)
{
	struct qemu_opt opt;
	size_t i = 1, at = 1;

	for (; qemu_opt_next(line->argv, line->argc, &i, &opt); at = i)
		if (!strcmp(opt.name, name) && (!value || (opt.value && !strcmp(opt.value, value)))) {
			drop(line, at, i - at);
			return true;
		}
	return false;
}

/* Finds the guest's monitor, or adds one, as vmferry needs it. */
static int find_monitor(struct bundling *m, struct err *e)
{
	AUTO_FREE char *option = NULL;
	char **paths;
	size_t n = qemu_args_qmp_paths(m->line.argv, m->line.argc, &paths), i;
	int r;

	if (n)
		m->qmp = xstrdup(paths[0]);
	for (i = 0; i < n; i++)
		free(paths[i]);
	free(paths);
	if (n)
		return place_fits_socket(m->qmp, e);
	m->qmp = xasprintf("%s/%s.qmp", m->dir, m->plain);
	r = place_fits_socket(m->qmp, e);
	option = xasprintf("unix:%s,server=on,wait=off", m->qmp);
	words_add(&m->line.argv, &m->line.argc, xstrdup("-qmp"));
	words_add(&m->line.argv, &m->line.argc, xstrdup(option));
	return r;
}

static void write_known_words(struct bundling *m)
{
	AUTO_FREE char *objects = NULL, *socket = NULL;
	struct args_words known;

	if (!args_has_changed_words(m->line.argv, m->line.argc))
		return;
	objects = host_qemu_help(&m->qemu, "-object", "help");
	socket = host_qemu_help(&m->qemu, "-chardev", "socket,help");
	args_words_in_help(&known, objects, socket);
	args_write_known_words(&m->line, &known);
}

/* A guest that boots anew can have another machine of the same kind; a guest that goes on with its memory cannot. */
static int choose_machine(struct bundling *m, struct err *e)
{
	char *type = m->b.machine ? xstrdup(m->b.machine) : qemu_machine_type(m->b.argv, m->b.argc), *nearest;

	m->machine_was = type;
	m->machine = xstrdup(m->b.machine);
	if (!type || machine_type_is_in(m->qemu.machines, type))
		return 0;
	nearest = machine_type_nearest(m->qemu.machines, type);
	if (!nearest)
		return err_set(e, ENOTSUP, "the guest's machine is %s, and %s has none of its kind: name another QEMU with --qemu", type,
			       m->qemu.exe);
	free(m->machine);
	m->machine = nearest;
	if (bundling_has_memory(m))
		return err_set(e, ENOTSUP,
			       "the guest's machine is %s, which %s does not have, and what it has in memory goes on in no other: name "
			       "another QEMU with --qemu; or --no-memory, and it boots with %s",
			       type, m->qemu.exe, nearest);
	return 0;
}

int bundling_make_line(struct bundling *m, struct err *e)
{
	AUTO_FREE char *prefix = xasprintf("%s-", m->plain);
	int r = choose_machine(m, e) ?: rewrite(m, NULL, e);

	if (!r && has_names_of_others(m)) {
		args_result_fini(&m->line);
		r = rewrite(m, prefix, e);
	}
	r = r ?: check_files(m, e);
	if (r)
		return r;
	write_known_words(m);
	while (drop_option(&m->line, "L", NULL)) /* the files that QEMU has of its own are this host's */
		m->has_other_files = true;
	r = line_judge(&m->words, &m->line, m->o->trust_line, e);
	if (r)
		return r;
	if (!bundling_has_memory(m)) /* nothing comes in: it starts with its disks */
		drop_option(&m->line, "incoming", "defer");
	if (m->o->name)
		identity_set_name(&m->line, m->name);
	if (m->o->clone)
		identity_renew(&m->line);
	for (size_t i = 0; i < m->o->more_count; i++)
		words_add(&m->line.argv, &m->line.argc, xstrdup(m->o->more[i]));
	return find_monitor(m, e);
}
