/* guest-at-rest.c: see guest-at-rest.h. */
#include "guest-at-rest.h"
#include "block-device.h"
#include "disk-io.h"
#include "guest-of-libvirt.h"
#include "image-name.h"
#include "program.h"
#include "qcow2-header.h"
#include "qemu-opts.h"
#include "host-grants.h"
#include "same-file.h"
#include "script-read.h"
#include "script-record.h"
#include "unit-read.h"
#include "systemd.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHAIN_MAX 64
#define NO_PID	  (1U << 30) /* larger than any (PID_MAX_LIMIT) */

/* ---- its images ---- */

/* An absolute path of a file that an image in `dir` names; NULL: it is none, or said in more than a name, which might count for more than the
 * format that stands beside it. Malloc'ed. */
static char *against(const char *dir, const char *name)
{
	AUTO_FREE char *file = strncmp(name, "json:", 5) ? image_name_below(name) : NULL;

	return !file ? NULL : file[0] == '/' ? xstrdup(file) : xasprintf("%s/%s", dir, file);
}

static bool is_vmdk(const char *path)
{
	char magic[4] = "", text[] = "# Di"; /* "# Disk DescriptorFile" */
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	       (!memcmp(magic, "KDMV", 4) || !memcmp(magic, "COWD", 4) || !memcmp(magic, text, 4));
}

/* A number of a VMDK's header, whose low byte is the first. */
static uint64_t vmdk_number(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

#define VMDK_SECTOR	    512
#define VMDK_CAPACITY_AT    12
#define VMDK_DESCRIPTION_AT 28 /* place and length of the description, in sectors */
#define VMDK_TABLE_AT	    56 /* UINT64_MAX: another header, at the end, counts */
#define VMDK_TEXT_MAX	    20480

/* A "hosted sparse extent" that has its own description, which says that it is all of the disk, and stands on no other (VMDK 5.0, and block/vmdk.c of
 * QEMU). */
static bool is_whole_vmdk(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_FREE char *text = xcalloc(1, VMDK_TEXT_MAX + 1);
	uint64_t at, sectors;
	uint8_t h[VMDK_SECTOR];

	if (fd < 0 || pread(fd, h, sizeof(h), 0) != sizeof(h) || memcmp(h, "KDMV", 4) || !vmdk_number(h + VMDK_CAPACITY_AT) ||
	    vmdk_number(h + VMDK_TABLE_AT) == UINT64_MAX)
		return false;
	at = vmdk_number(h + VMDK_DESCRIPTION_AT);
	sectors = vmdk_number(h + VMDK_DESCRIPTION_AT + 8);
	if (!at || at > UINT32_MAX || !sectors || sectors > VMDK_TEXT_MAX / VMDK_SECTOR ||
	    pread(fd, text, sectors * VMDK_SECTOR, (off_t)(at * VMDK_SECTOR)) != (ssize_t)(sectors * VMDK_SECTOR))
		return false;
	return strstr(text, "createType=\"monolithicSparse\"") && !strstr(text, "parentFileNameHint");
}

/* How QEMU reads it. What the line, or the image above, says counts, and only then what the file itself says: of a raw disk that is the guest's
 * word, which must not choose files of this host; whoever called it .qcow2 has said it, too. An image whose base QEMU has read by the driver of its file alone, as newer libvirts have it do
 * with a raw one, names that driver. */
static int look(const char *path, const char *said, struct qcow2_header *h, const char **format, struct err *e)
{
	static const char *const whole[] = {"raw", "qcow2", "qcow", "qed",
					    "vdi", "luks",  NULL}; /* formats that are one file, or say what else */

	*h = (struct qcow2_header){.is_qcow2 = false};
	if (said && (!strcmp(said, "file") || !strcmp(said, "host_device")))
		said = "raw";
	if ((!said || !strcmp(said, "vmdk")) && is_whole_vmdk(path)) {
		*format = "vmdk";
		return 0;
	}
	if (said && word_index(whole, said) < 0)
		return err_set(e, ENOTSUP, "%s has the format %s, which may lie in more files than this one: convert it to qcow2 first",
			       path, said);
	*format = said;
	if (said && strcmp(said, "qcow2"))
		return 0;
	if (qcow2_header_read(path, h, e))
		return -e->code;
	if (said && !h->is_qcow2)
		return err_set(e, EBADMSG, "%s is not a qcow2 image, as which the guest would use it", path);
	*format = h->is_qcow2 ? "qcow2" : "raw";
	if (!said && (is_vmdk(path) || ((h->backing || h->data_file) && !text_ends_with(path, ".qcow2")))) {
		qcow2_header_fini(h);
		return err_set(e, ENOTSUP,
			       "%s names other files, and nothing says which format it has: say so (-drive file=…,format=qcow2)", path);
	}
	if (!h->data_file)
		return 0;
	err_set(e, ENOTSUP, "%s keeps its data in another file, %s", path, h->data_file);
	qcow2_header_fini(h);
	return -e->code;
}

/* Down the chain, one file after the other; each is named against the name, as given, of the one above. */
static int read_chain(struct guest_disk *d, const char *path, const struct qcow2_header *top, struct err *e)
{
	AUTO_FREE char *format = xstrdup(top->backing_format);
	AUTO_FREE char *name = xstrdup(top->backing);
	AUTO_FREE char *above = xstrdup(path);
	int r = 0;

	d->chain = xcalloc(CHAIN_MAX, sizeof(*d->chain));
	while (name && !r) {
		AUTO_FREE char *copy = xstrdup(above);
		AUTO_FREE char *below = against(dirname(copy), name);
		struct guest_backing *b;
		const char *is = NULL;
		struct qcow2_header h;

		if (d->chain_count == CHAIN_MAX)
			return err_set(e, ELOOP, "disk %s has more than %d backing files", d->real_path, CHAIN_MAX);
		b = &d->chain[d->chain_count++];
		b->name = xstrdup(name);
		b->real_path = below ? realpath(below, NULL) : NULL;
		if (!b->real_path)
			return below ? err_set(e, ENOENT, "the backing file %s of %s is not there", name, above)
				     : err_set(e, ENOTSUP,
					       "the backing file %s of %s is not named as a file of this host is, by a path: name it so "
					       "(qemu-img rebase -u -b PATH -F FORMAT %s)",
					       name, above, above);
		b->allocated = path_allocated(b->real_path);
		r = look(b->real_path, format, &h, &is, e);
		if (r)
			return r;
		b->format = xstrdup(is);
		free(format);
		format = xstrdup(h.backing_format);
		free(name);
		name = xstrdup(h.backing);
		free(above);
		above = xstrdup(below);
		qcow2_header_fini(&h);
	}
	return r;
}

/* How many bytes it has, and whether it is a block device. */
static int measure(struct guest_disk *d, const char *said, const struct stat *st, uint64_t *bytes, struct err *e)
{
	AUTO_CLOSE int fd = S_ISBLK(st->st_mode) ? open(d->real_path, O_RDONLY | O_CLOEXEC) : -1;

	*bytes = (uint64_t)st->st_size;
	d->block_device = S_ISBLK(st->st_mode);
	if (!d->block_device && !S_ISREG(st->st_mode))
		return err_set(e, ENOTSUP, "the disk %s of the guest is neither a file nor a block device: it cannot be moved", d->file);
	if (d->block_device && (!said || strcmp(said, "raw")))
		return err_set(
			e, ENOTSUP,
			"the disk %s of the guest is a block device, and what starts the guest does not say that it is a raw disk: say so "
			"(format=raw), or move the guest while it runs",
			d->file);
	if (d->block_device && fd < 0)
		return err_sys(e, errno, "the disk %s of the guest", d->file);
	if (d->block_device && block_device_size(fd, d->real_path, bytes, e))
		return -e->code;
	return *bytes ? 0 : err_set(e, ENOTSUP, "the disk %s of the guest is empty: there is nothing to be moved", d->file);
}

static int add_disk(struct guest *g, const struct args_file *f, struct err *e)
{
	struct guest_disk *d = &g->disks[g->disk_count];
	const char *format = NULL;
	struct qcow2_header h;
	struct stat st;
	uint64_t bytes;
	int r;

	*d = (struct guest_disk){.file = xstrdup(f->path), .real_path = realpath(f->path, NULL)};
	g->disk_count++;
	if (!d->real_path && errno == ENOENT && g->makes)
		return err_set(e, ENOENT,
			       "the disk %s of the guest is not there; the script that starts it makes such files: run that once (%s)",
			       f->path, g->makes);
	if (!d->real_path || stat(d->real_path, &st))
		return err_sys(e, errno, "the disk %s of the guest", f->path);
	r = measure(d, f->format, &st, &bytes, e);
	if (r)
		return r;
	for (size_t i = 0; i + 1 < g->disk_count; i++)
		if (path_leads_to(g->disks[i].real_path, &st))
			return err_set(e, EINVAL, "two disks of the guest are the same file: %s and %s", g->disks[i].file, f->path);
	r = look(d->real_path, f->format, &h, &format, e);
	if (r)
		return r;
	d->node = xasprintf("disk%zu", g->disk_count - 1);
	d->format = xstrdup(format);
	d->virtual_size = disk_padded(bytes);
	d->inner_size = h.is_qcow2 ? h.bytes : bytes;
	d->lacks.encrypted = h.encrypted;
	d->allocated = d->block_device ? bytes : path_allocated(d->real_path);
	r = read_chain(d, f->path, &h, e);
	qcow2_header_fini(&h);
	return r;
}

/* Memory that outlives the guest is a disk to it, and a file that is not one of its disks to us. */
static int check_memory(const struct args_file *f, struct err *e)
{
	return f->role == ARGS_PMEM
		       ? err_set(e, ENOTSUP, "the guest has memory that it keeps (nvdimm), in %s, which is not carried", f->path)
		       : 0;
}

/* A file that QEMU only reads is identified by its digest, so it must hold all of its contents. */
static int check_read_only(const struct args_file *f, struct err *e)
{
	struct qcow2_header h;
	struct stat st;
	int r = 0;

	if ((f->role != ARGS_DISK && f->role != ARGS_MEDIA) || !f->read_only || !f->path || (f->format && strcmp(f->format, "qcow2")) ||
	    stat(f->path, &st) || !S_ISREG(st.st_mode))
		return 0;
	if (qcow2_header_read(f->path, &h, e))
		return -e->code;
	if (h.backing || h.data_file)
		r = err_set(e, ENOTSUP, "%s, which the guest only reads, is an image that needs %s, which is not carried", f->path,
			    h.backing ?: h.data_file);
	qcow2_header_fini(&h);
	return r;
}

/* A floppy, too, if it is there. */
static bool is_written(const struct args_file *f)
{
	return args_file_is_disk(f) || (f->role == ARGS_MEDIA && !f->read_only && f->path && !access(f->path, F_OK));
}

/* Sockets and logs are made anew beside its disks, whatever directory they were in. */
static int check_name(const struct args_file *f, struct err *e)
{
	return !f->path || *f->path == '/' || (args_role_is_made(f->role) && !args_role_is_memory(f->role))
		       ? 0
		       : err_set(e, ENOTSUP,
				 "-%s %s is a name without a directory, and what starts the guest does not say in which it runs (\"cd / || exit\"): "
				 "write whole paths there",
				 f->option, f->path);
}

static int check_configs(const struct guest *g, struct err *e)
{
	char **paths;
	size_t n = qemu_args_config_paths(g->line.argv, g->line.argc, &paths), i;
	int r = 0;

	for (i = 0; i < n && !r; i++) {
		struct args_file f = {.role = ARGS_DATA, .option = (char *)"readconfig", .path = paths[i]};

		r = g->cwd ? 0 : check_name(&f, e);
	}
	args_free_strings(paths, n);
	return r;
}

/* Disks are the files of the command line that QEMU writes to. */
static int find_disks(struct guest *g, struct err *e)
{
	struct args_result line;
	int r = guest_look_at_line(g, true, &line, e);

	if (r)
		return r;
	g->disks = xcalloc(line.file_count + 1, sizeof(*g->disks));
	for (size_t i = 0; i < line.file_count && !r; i++) {
		const struct args_file *f = &line.files[i];

		r = check_name(f, e);
		r = r ? r : check_memory(f, e);
		r = r ? r : check_read_only(f, e);
		if (!r && is_written(f))
			r = add_disk(g, f, e);
	}
	args_result_fini(&line);
	return r;
}

/* ---- what starts it ---- */

/* A script that takes words of its own, as `vm start web`: it is run to see what it starts. */
static int take_call(struct guest *g, char *const *argv, size_t argc, struct err *e)
{
	AUTO_FREE char *found = strchr(argv[0], '/') ? NULL : program_beside(argv[0]);
	AUTO_FREE char *path = realpath(found ?: argv[0], NULL);
	AUTO_FREE char **words = xcalloc(argc + 1, sizeof(*words));

	if (!path || !program_is_runnable(path))
		return err_set(
			e, EINVAL,
			"behind -- stands %s: the guest's command line is expected there, with QEMU's program first, or a program that "
			"starts the guest, and its words",
			argv[0]);
	memcpy(words, argv, argc * sizeof(*words));
	words[0] = path;
	return script_record(&(struct script_call){.words = words}, g, e);
}

static int take_line(struct guest *g, char *const *argv, size_t argc, struct err *e)
{
	if (!script_is_qemu(argv[0]))
		return take_call(g, argv, argc, e);
	g->line.argv = xcalloc(argc + 1, sizeof(*g->line.argv));
	for (size_t i = 0; i < argc; i++)
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

int unit_script(const char *unit, bool user, char **script, struct err *e)
{
	const char *ask[] = {"show", "-p", "ExecStart", "--", unit, NULL};
	AUTO_FREE char *shown = NULL;
	int r = systemctl(user, ask, &shown, e);

	if (r)
		return err_prefix(e, "cannot ask about the unit %s", unit);
	*script = script_of(shown);
	return *script ? 0 : err_set(e, ENOTSUP, "the unit %s does not run a script of vmferry's (ExecStart=/bin/sh …/NAME.sh)", unit);
}

static int take_unit(struct guest *g, const char *unit, char **script, struct err *e)
{
	bool user = geteuid() != 0;

	if (unit_script(unit, user, script, e))
		return e->code != ENOTSUP ? -e->code : unit_read_named(unit, g, e);
	g->unit.name = xstrdup(unit);
	g->unit.is_user = user;
	g->unit.uid = geteuid();
	return 0;
}

bool guest_is_unit(const char *vm)
{
	return text_ends_with(vm, ".service") && !strchr(vm, '/');
}

/* "vm1", of /srv/vm/vm1.sh */
static char *name_of(const struct guest *g, const char *script)
{
	char *name = qemu_args_name(g->line.expanded, g->line.expanded_count);
	AUTO_FREE char *copy = xstrdup(script);
	char *base = copy ? basename(copy) : NULL, *dot = base ? strrchr(base, '.') : NULL;

	if (name)
		return name;
	if (dot && dot > base)
		*dot = '\0';
	return xstrdup(base);
}

/* Reads a script of plain words, as vmferry leaves; any other, also one whose exec is of no QEMU (nice, sh -c), is run by its shell under record
 * (script-record.c). */
static int read_script(const char *path, struct guest *g, struct err *e)
{
	struct guest_unit unit = g->unit;
	struct err plain;
	int r = script_read(path, g, &plain);

	if (r ? r != -ENOTSUP : script_is_qemu(g->line.argv[0])) {
		*e = plain;
		return r;
	}
	g->unit.name = NULL; /* the unit that runs the script is known already, and is to be kept from starting the guest */
	guest_fini(g);
	g->unit = unit;
	return script_record(&(struct script_call){.words = (char *[]){(char *)path, NULL}}, g, e);
}

static void add_word(struct guest_line *l, const char *word)
{
	l->argv = xrealloc(l->argv, (l->argc + 2) * sizeof(*l->argv));
	l->argv[l->argc++] = xstrdup(word);
	l->argv[l->argc] = NULL;
	l->expanded = xrealloc(l->expanded, (l->expanded_count + 2) * sizeof(*l->expanded));
	l->expanded[l->expanded_count++] = xstrdup(word);
	l->expanded[l->expanded_count] = NULL;
}

/* Neither its line nor a script calls it anything: it is called as its first disk from now on. */
static void call_by_disk(struct guest *g)
{
	AUTO_FREE char *copy = xstrdup(g->disks[0].file);
	char *base = basename(copy), *dot = strrchr(base, '.');

	if (dot && dot > base)
		*dot = '\0';
	if (strchr(base, ',')) /* a comma separates the values of an option */
		return;
	free(g->name);
	g->name = xstrdup(base);
	add_word(&g->line, "-name");
	add_word(&g->line, base);
	guest_note(g, "the guest has no name: it is called %s, as its first disk", base);
}

/* The QEMU that a bare name means here, so that the same one is looked for at the destination; malloc'ed. */
static char *program_of(const char *word)
{
	AUTO_FREE char *found = strchr(word, '/') ? NULL : program_beside(word);

	return xstrdup(found && program_is_runnable(found) ? found : word);
}

static int nothing_is_called(const char *vm, struct err *e)
{
	AUTO_FREE char *libvirts = guest_libvirts_word(vm);

	return err_set(
		e, ENOENT,
		"no guest of that name runs here, and one that is shut down is named by what starts it: its script (./%s.sh), its unit "
		"(%s.service), or its command line, behind --: … -- qemu-system-x86_64 …%s",
		vm, vm, libvirts);
}

int guest_at_rest(struct guest *g, const char *vm, char *const *argv, size_t argc, char **script, struct err *e)
{
	struct stat st;
	int r = 0;

	*g = (struct guest){.pid = 0};
	*script = NULL;
	if (argv)
		r = take_line(g, argv, argc, e);
	else if (guest_is_unit(vm))
		r = take_unit(g, vm, script, e);
	else if (unit_is_file(vm))
		r = unit_read_file(vm, g, e);
	else if (!stat(vm, &st) && !S_ISREG(st.st_mode))
		r = err_set(
			e, EINVAL,
			"%s is not a file: a guest that is shut down is named by what starts it, its script, its unit, or its command line behind --",
			vm);
	else if (!stat(vm, &st))
		*script = realpath(vm, NULL);
	else if (strchr(vm, '/') || text_ends_with(vm, ".sh"))
		r = err_sys(e, errno, "what starts the guest, %s", vm);
	else
		r = nothing_is_called(vm, e);
	g->name = name_of(g, *script); /* the script's name serves until its line has been read */
	if (!r && *script)
		r = read_script(*script, g, e);
	if (r)
		return r;
	if (!script_is_qemu(g->line.argv[0]))
		return err_set(
			e, ENOTSUP,
			"%s runs %s, which is no QEMU. Give the script that it runs, or the guest's command line behind --: … -- qemu-system-x86_64 …",
			*script ?: vm, g->line.argv[0]);
	g->exe = program_of(g->line.argv[0]);
	r = check_configs(g, e);
	if (r)
		return r;
	guest_expand_line(g);
	free(g->name);
	g->name = name_of(g, *script);
	r = find_disks(g, e);
	g->cwd = g->cwd ?: xstrdup("/"); /* the line has only absolute paths */
	if (!r && !g->name && g->disk_count)
		call_by_disk(g);
	return r || g->name ? r : err_set(e, EINVAL, "the guest's command line does not say what it is called: add -name NAME");
}

static void copy_expanded(struct guest_line *to, const struct guest_line *from)
{
	to->configs = xcalloc(from->config_count + 1, sizeof(*to->configs));
	for (size_t i = 0; i < from->config_count; i++)
		to->configs[to->config_count++] =
			(struct args_config){.path = xstrdup(from->configs[i].path), .text = xstrdup(from->configs[i].text)};
	to->expanded = xcalloc(from->expanded_count + 1, sizeof(*to->expanded));
	for (size_t i = 0; i < from->expanded_count; i++)
		to->expanded[to->expanded_count++] = xstrdup(from->expanded[i]);
}

int guest_at_rest_of(struct guest *g, const struct guest *running, struct err *e)
{
	AUTO_FREE char *said = NULL;
	int r;

	*g = (struct guest){.name = xstrdup(running->name),
			    .exe = xstrdup(running->exe),
			    .cwd = xstrdup(running->cwd),
			    .env = {xstrdup(running->env.ld_library_path), xstrdup(running->env.module_dir)},
			    .unit = running->unit,
			    .tpm = swtpm_copy(&running->tpm)};
	g->unit.name = xstrdup(running->unit.name);
	g->line.argv = xcalloc(running->line.argc + 1, sizeof(*g->line.argv));
	for (size_t i = 0; i < running->line.argc; i++)
		g->line.argv[g->line.argc++] = xstrdup(running->line.argv[i]);
	copy_expanded(&g->line, &running->line); /* words as QEMU has read them */
	r = check_configs(g, e) ?: find_disks(g, e);
	said = qemu_args_name(g->line.expanded, g->line.expanded_count);
	if (!r && !said && g->disk_count)
		call_by_disk(g);
	if (!r)
		host_grants_note(g, running->pid);
	return r;
}

bool guest_writes_to_temporary(const struct guest *g)
{
	struct qemu_opt opt;
	size_t i = 1;
	bool yes = false;

	while (!yes && qemu_opt_next(g->line.expanded, g->line.expanded_count, &i, &opt)) {
		struct kv_list l;

		yes = !strcmp(opt.name, "snapshot");
		if (yes || !opt.value || strcmp(opt.name, "drive"))
			continue;
		kv_parse(&l, opt.value);
		yes = kv_flag(&l, "snapshot", false);
		kv_fini(&l);
	}
	return yes;
}

/* Another QEMU, or nobody yet, has the guest's memory: such a one waits to be given it, and loses nothing when it boots. */
static bool waits_for_memory(const char *from)
{
	static const char *const peers[] = {"defer", "tcp:", "unix:", "rdma:", "vsock:"};
	size_t i;

	for (i = 0; i < ARRAY_LEN(peers) && strncmp(from, peers[i], strlen(peers[i])); i++)
		;
	return i < ARRAY_LEN(peers);
}

int guest_boots_from_disks(const struct guest *g, struct err *e)
{
	struct qemu_opt opt;
	size_t i = 1;

	while (qemu_opt_next(g->line.expanded, g->line.expanded_count, &i, &opt)) {
		if (opt.value && !strcmp(opt.name, "incoming") && !waits_for_memory(opt.value))
			return err_set(
				e, ENOTSUP,
				"the guest was saved, and what starts it has it go on from that (-incoming %s), which is not carried: start it, and "
				"move it as it runs; or take -incoming out there, if it is to boot from its disks",
				opt.value);
		if (opt.value && !strcmp(opt.name, "loadvm"))
			return err_set(
				e, ENOTSUP,
				"the guest's start script or unit loads the snapshot %s each time (-loadvm), and vmferry cannot tell "
				"whether another host's QEMU can load it: take -loadvm out of it, and the guest boots from its disks; the "
				"snapshot goes along in its image, where you can load it",
				opt.value);
	}
	return 0;
}

pid_t guest_at_rest_known_as(const char *first_disk)
{
	struct stat st;

	return first_disk && !stat(first_disk, &st) ? (pid_t)(NO_PID | ((st.st_ino ^ st.st_dev * 2654435761U) & (NO_PID - 1)))
						    : (pid_t)NO_PID;
}
