/* import-bundle.c: see import-bundle.h. */
#include "import-bundle-private.h"
#include "bundle-at-rest.h"
#include "bundle-receive.h"
#include "bundle-tar.h"
#include "child.h"
#include "convert.h"
#include "first-start.h"
#include "import-steps.h"
#include "life.h"
#include "open-regular.h"
#include "import-place.h"
#include "same-file.h"
#include "space.h"
#include "start-script.h"
#include "unit-text.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- what it is ---- */

bool bundling_has_memory(const struct bundling *m)
{
	return m->b.memory.file && !m->o->no_memory;
}

static bool begins_with_manifest(const char *path)
{
	AUTO_CLOSE int fd = open_regular(path);
	uint8_t h[TAR_BLOCK];
	struct tar_member m;
	struct err ignored;

	return fd >= 0 && pread(fd, h, sizeof(h), 0) == sizeof(h) && tar_header_parse(h, &m, &ignored) > 0 &&
	       !strcmp(m.name, BUNDLE_MANIFEST);
}

bool import_is_bundle(char *const *files, size_t count)
{
	AUTO_FREE char *manifest = count == 1 ? xasprintf("%s/" BUNDLE_MANIFEST, files[0]) : NULL;

	return count == 1 && (!strcmp(files[0], "-") || !access(manifest, F_OK) || begins_with_manifest(files[0]));
}

static int on_progress(void *ctx, uint64_t bytes)
{
	struct bundling *m = ctx;

	m->done += bytes;
	if (m->total)
		life_percent(life_now(), 100.0 * (double)m->done / (double)m->total);
	return life_interrupted() ? -1 : 0;
}

static int open_bundle(struct bundling *m, struct err *e)
{
	const char *file = m->o->named.files[0];
	int r;

	if (strcmp(file, "-") && path_is_directory(file)) {
		m->from = realpath(file, NULL);
		r = m->from ? bundle_read_dir(&m->b, m->from, e) : err_sys(e, errno, "%s", file);
	} else {
		m->stream = strcmp(file, "-") ? open_regular(file) : 0;
		if (m->stream < 0)
			return err_sys(e, -m->stream, "cannot open %s", file);
		r = bundle_receive_manifest(m->stream, &m->b, on_progress, m, e);
		if (r)
			err_prefix(e, "%s", file);
	}
	m->has_bundle = !r;
	return r;
}

/* Options that shape a new machine do not apply to a bundle, which describes its machine. */
static int check_options(const struct import_options *o, struct err *e)
{
	const char *option = o->wishes.memory_bytes		     ? "--memory"
			     : o->wishes.cpus			     ? "--cpus"
			     : o->wishes.firmware != FIRMWARE_UNSAID ? "--firmware"
			     : o->wishes.bus != BUS_UNSAID	     ? "--bus"
			     : o->format			     ? "--format"
			     : o->accel				     ? "--accel"
			     : o->named.raw_count		     ? "--raw"
			     : o->named.bases.count		     ? "--base"
			     : o->named.bases.all		     ? "--flatten"
			     : o->named.guest			     ? "--guest"
			     : o->named.disk_count		     ? "--disk"
			     : o->no_disk			     ? "--no-disk"
								     : NULL;

	for (size_t i = 0; i < o->net_count; i++)
		if (o->nets[i].card)
			return err_set(e, EINVAL, "--net %s: of a bundle all network cards go to one network", o->nets[i].card);
	return option ? err_set(e, EINVAL, "%s: a bundle says what machine it is, and the guest stays that", option) : 0;
}

/* A guest with memory keeps its identity, and its memory can be used only once: when it starts. */
static int check_memory(const struct bundling *m, struct err *e)
{
	if (!bundling_has_memory(m))
		return 0;
	if (m->o->start == IMPORT_NO_START)
		return err_set(e, EINVAL,
			       "the bundle has the guest's memory, with which it goes on where it was: --start, or --paused; or "
			       "--no-memory, and it starts from its disks");
	if (m->o->clone || m->o->net_count)
		return err_set(e, EINVAL,
			       "%s: the guest goes on with what it has in memory, and is who it was, where it was; or --no-memory",
			       m->o->clone ? "--clone" : "--net");
	return 0;
}

/* ---- is it whole? ---- */

static int verify_one(struct bundling *m, const struct bundle_file *f, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/%s", m->from, f->file);
	struct stat st;
	AUTO_CLOSE int fd = lstat(path, &st) ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : open_regular(path);
	char hex[BUNDLE_DIGEST + 1];
	uint64_t bytes;
	int r;

	if (fd < 0)
		return err_set(e, -fd, "%s cannot be read: %s", path, fd == -EINVAL ? "not a regular file" : strerror(-fd));
	if ((uint64_t)st.st_size != f->bytes)
		return err_set(e, EBADMSG, "%s is damaged: it has not the length that the manifest says", path);
	r = bundle_digest_file(fd, path, &bytes, hex, on_progress, m, e);
	return r ? r
	       : bytes == f->bytes && !strcmp(hex, f->sha256)
		       ? 0
		       : err_set(e, EBADMSG, "%s is damaged: its SHA-256 is not what the manifest says", path);
}

static int verify(struct bundling *m, struct err *e)
{
	const struct bundle_file *f;
	size_t i = 0;
	int r = 0;

	life_stage(life_now(), "verifying");
	while (!r && (f = bundle_next(&m->b, &i)))
		r = verify_one(m, f, e);
	return r;
}

/* The image that this disk is; what is not what the manifest says, or names other files, is refused. */
static int examine(const struct bundling *m, size_t i, struct image_source *s, uint64_t *needed, struct err *e)
{
	const struct bundle_file *d = &m->b.disks[i];
	uint64_t size;
	int r;

	*s = (struct image_source){.path = xasprintf("%s/%s", m->from, d->file)};
	r = image_examine(s, NULL, e);
	if (!r && strcmp(s->driver, "qcow2"))
		r = err_set(e, EINVAL, "%s is not a qcow2 image", s->path);
	r = r ?: convert_measure(m->qemu.img, s, &size, needed, e);
	if (!r && size != d->virtual_bytes)
		r = err_set(e, EBADMSG, "%s has a disk of %llu bytes, and not of %llu, as the manifest says", s->path,
			    (unsigned long long)size, (unsigned long long)d->virtual_bytes);
	return r;
}

/* Bytes that a stream brings: until it has a directory the files there are known by their names alone. */
static uint64_t needs_of_stream(struct bundling *m)
{
	const struct bundle_file *f;
	uint64_t needed = 0;
	size_t i = 0;

	while ((f = bundle_next(&m->b, &i))) {
		AUTO_FREE char *path = xasprintf("%s/%s", m->dir, f->file);

		import_turn_needs(&m->turn, path, f->bytes);
		needed += f->bytes;
	}
	return needed;
}

static int measure(struct bundling *m, struct err *e)
{
	uint64_t needed = 0, each;
	int r = 0;

	import_turn_has_written(&m->turn, m->life);
	for (size_t i = 0; i < m->b.file_count; i++) {
		needed += m->b.files[i].bytes;
		if (m->files[i])
			import_turn_needs(&m->turn, m->files[i], m->b.files[i].bytes);
	}
	needed += m->from ? 0 : needs_of_stream(m);
	for (size_t i = 0; i < m->b.disk_count && !r; i++) {
		struct image_source s = {.path = NULL};

		each = m->b.disks[i].bytes;
		if (m->from)
			r = examine(m, i, &s, &each, e);
		image_source_fini(&s);
		needed += each;
		import_turn_needs(&m->turn, m->disks[i], each);
	}
	return r ?: space_check_dir(m->dir, needed, "the disks", e);
}

/* ---- where it goes ---- */

static void choose_files(struct bundling *m)
{
	for (size_t i = 0; i < m->b.disk_count; i++)
		m->disks[i] = m->b.disk_count == 1 ? xasprintf("%s/%s.%s", m->dir, m->plain, m->b.disks[i].format)
						   : xasprintf("%s/%s-%zu.%s", m->dir, m->plain, i + 1, m->b.disks[i].format);
	for (size_t i = 0; i < m->b.file_count; i++)
		m->files[i] = m->b.files[i].file ? xasprintf("%s/%s-%s", m->dir, m->plain, m->b.files[i].file) : NULL;
	m->script = xasprintf("%s/%s.sh", m->dir, m->plain);
}

/* Names that the import gives, the guest's among them, are nobody's yet. */
static int check_names(const struct bundling *m, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < m->b.disk_count && !r; i++)
		r = place_is_free(m->disks[i], e);
	for (size_t i = 0; i < m->b.file_count && !r; i++)
		r = m->files[i] ? place_is_free(m->files[i], e) : 0;
	return r ?: place_is_free(m->script, e) ?: place_has_no_guest(m->name, e);
}

static int promise(struct bundling *m, struct err *e)
{
	struct args_basics basics;

	qemu_args_basics(&basics, m->line.argv, m->line.argc);
	return import_turn_promise(&m->turn, m->life, m->o->start == IMPORT_NO_START ? 0 : basics.ram_bytes, m->dir, e);
}

/* ---- the plan in words ---- */

static void add_words(json_t *rows, const char *word, char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		life_row(rows, word, "%s", words[i]);
}

static void add_files(const struct bundling *m, json_t *rows)
{
	for (size_t i = 0; i < m->b.file_count; i++)
		if (m->files[i])
			life_row(rows, "file", "%s -> %s", m->b.files[i].file, m->files[i]);
		else
			life_row(rows, "note", "the medium %s is not in the bundle: its drive is empty", m->b.files[i].path);
}

/* Adds the networks, ports and files of this host that the guest uses. */
static void add_host(const struct bundling *m, json_t *rows)
{
	for (size_t i = 0; i < m->line.nic_count; i++) {
		const struct args_nic *n = &m->line.nics[i];

		life_row(rows, "nic", "%s: %s%s%s", n->netdev ?: n->mac ?: n->type, n->to_type, n->to_attach ? " " : "", n->to_attach ?: "");
	}
	add_words(rows, "port", m->words.ports, m->words.port_count);
	for (size_t i = 0; i < m->line.file_count; i++) {
		const struct args_file *f = &m->line.files[i];

		if (!args_role_is_content(f->role) && !bundling_is_made_here(f->role) && strcmp(f->option, "L"))
			life_row(rows, "host", "-%s: the %s %s of this host", f->option, args_role_name(f->role), f->path);
	}
	add_words(rows, "host", m->words.host, m->words.host_count);
}

static json_t *plan_rows(const struct bundling *m)
{
	json_t *rows = json_array();
	char size[24];

	for (size_t i = 0; i < m->b.disk_count; i++)
		life_row(rows, "disk", "%s (%s) -> %s", m->b.disks[i].file, format_bytes(size, m->b.disks[i].virtual_bytes), m->disks[i]);
	add_files(m, rows);
	add_host(m, rows);
	if (m->machine && strcmp(m->machine, m->machine_was) != 0)
		life_row(rows, "note", "the machine was %s: here it is %s, the nearest that this QEMU has", m->machine_was, m->machine);
	if (m->has_other_files)
		life_row(rows, "note", "-L is left out: firmware and other files that QEMU has of its own are those of this host");
	if (m->b.memory.file)
		life_row(rows, "memory", bundling_has_memory(m) ? "the guest goes on where it was" : "left out: it starts from its disks");
	if (m->o->clone)
		life_row(rows, "clone", "a new UUID, and new addresses of network cards");
	return rows;
}

static json_t *plan(const void *ctx)
{
	const struct bundling *m = ctx;
	AUTO_FREE char *title = xasprintf("importing guest %s (a bundle of %s, made on %s, %s%s)", m->name, m->b.name, m->b.made,
					  m->b.state, m->b.frozen ? ", its file systems frozen" : "");

	text_make_utf8(title);
	return json_pack("{s:s,s:o}", "title", title, "rows", plan_rows(m));
}

static char *line(const void *ctx)
{
	const struct bundling *m = ctx;

	return qemu_args_start_line(m->line.argv, m->line.argc, m->qemu.exe, NULL);
}

/* ---- what is made ---- */

static int receive(struct bundling *m, struct err *e)
{
	const struct bundle_file *f;
	int r = spool_make_in(&m->spool, m->dir, e);

	if (r)
		return r;
	m->from = xstrdup(m->spool.path);
	for (size_t i = 0; (f = bundle_next(&m->b, &i));) {
		AUTO_FREE char *told = xasprintf("%s/%s", m->dir, f->file), *path = xasprintf("%s/%s", m->from, f->file);

		import_turn_is_written(&m->turn, m->life, told, path);
		m->total += f->bytes;
	}
	life_stage(life_now(), "receiving");
	return bundle_receive_files(m->stream, &m->b, m->spool.path, on_progress, m, e);
}

static int make_disks(struct bundling *m, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < m->b.disk_count && !r; i++) {
		AUTO_FREE char *what = xasprintf("unpacking %s", m->b.disks[i].file);
		struct image_source s = {.path = NULL};
		const char *draft;
		uint64_t ignored;

		r = made_add(&m->made, m->disks[i], &draft, e);
		if (!r)
			import_turn_is_written(&m->turn, m->life, m->disks[i], draft);
		r = r ?: examine(m, i, &s, &ignored, e) ?: convert_image(m->qemu.img, &s, draft, m->b.disks[i].format, NULL, what, e);
		r = r ?: image_check_alone(draft, e);
		image_source_fini(&s);
	}
	return r;
}

static int copy(const char *from, const char *draft, struct err *e)
{
	char *argv[] = {(char *)"cp", (char *)"--sparse=always", (char *)"--", (char *)from, (char *)draft, NULL};
	int r = child_run(argv, NULL, NULL, e);
	AUTO_CLOSE int fd = r ? -1 : open(draft, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (r)
		return r;
	return fd < 0 || fsync(fd) ? err_sys(e, errno, "cannot sync %s", draft) : 0;
}

static int make_files(struct bundling *m, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < m->b.file_count && !r; i++) {
		AUTO_FREE char *from = m->files[i] ? xasprintf("%s/%s", m->from, m->b.files[i].file) : NULL;
		const char *draft;

		if (!from)
			continue;
		r = made_add(&m->made, m->files[i], &draft, e);
		if (!r)
			import_turn_is_written(&m->turn, m->life, m->files[i], draft);
		r = r ?: copy(from, draft, e) ?: image_check_alone(draft, e);
	}
	return r;
}

static int make_script(struct bundling *m, struct err *e)
{
	AUTO_FREE char *came = xasprintf("imported from a bundle of %s", m->b.name);
	const struct start_script s = {.guest = m->name, .came = came, .exe = m->qemu.exe, .argv = m->line.argv, .argc = m->line.argc};

	return import_make_script(&m->made, m->script, &s, e);
}

/* Removes what a QEMU that was ended again has made; none of it existed before. */
static void remove_made_by_qemu(const struct bundling *m)
{
	place_remove_socket(m->qmp);
	for (size_t i = 0; i < m->line.file_count; i++) {
		const struct args_file *f = &m->line.files[i];

		if (bundling_makes(m, f) && f->role == ARGS_LISTEN)
			place_remove_socket(f->to);
		else if (bundling_makes(m, f))
			unlink(f->to);
	}
}

static int start(struct bundling *m, pid_t *pid, struct err *e)
{
	AUTO_FREE char *memory = bundling_has_memory(m) ? xasprintf("%s/%s", m->from, m->b.memory.file) : NULL;
	int r;

	if (m->o->start == IMPORT_NO_START)
		return 0;
	r = bundling_check_free(m, e); /* the check before the disks were made may be out of date */
	if (r)
		return r;
	r = first_start(m->qemu.exe, m->line.argv, m->qmp, memory, m->o->start == IMPORT_PAUSED, pid, e);
	if (r)
		remove_made_by_qemu(m);
	return r;
}

static int make(void *ctx, pid_t *pid, struct err *e)
{
	struct bundling *m = ctx;
	int r = m->stream >= 0 ? receive(m, e) : 0;

	if (!r && m->stream >= 0) /* before, nothing was known of its disks but how long their images are */
		r = measure(m, e) ?: promise(m, e);
	r = r ?: make_disks(m, e) ?: make_files(m, e) ?: make_script(m, e);
	if (!r && life_interrupted())
		r = err_set(e, ECANCELED, "interrupted");
	r = r ?: made_name(&m->made, e);
	if (!r)
		import_turn_has_written(&m->turn, m->life);
	return r ?: start(m, pid, e);
}

/* ---- ---- */

static int look(void *ctx, struct err *e)
{
	struct bundling *m = ctx;
	int r = open_bundle(m, e) ?: check_options(m->o, e) ?: check_memory(m, e) ?: host_qemu_find(&m->qemu, m->o->qemu, m->b.program, e);

	r = r ?: place_name(&m->name, m->o->name, m->b.name, e);
	if (r)
		return r;
	m->plain = unit_plain_name(m->name);
	r = place_dir(&m->dir, m->o->dir, e);
	if (r)
		return r;
	choose_files(m);
	r = check_names(m, e) ?: import_open_life(m->life, m->o, m->name, m->dir, e);
	r = r ?: import_turn_wait(&m->turn, m->life, m->o, m->stream == STDIN_FILENO, e);
	if (!r)
		r = check_names(m, e); /* the names may have changed before our turn */
	/* damage is reported before anything is made of the files */
	if (!r && m->from)
		r = verify(m, e);
	return r ?: measure(m, e) ?: bundling_make_line(m, e) ?: promise(m, e);
}

static void clean(void *ctx, bool failed)
{
	struct bundling *m = ctx;

	if (failed)
		made_undo(&m->made);
	spool_remove(&m->spool);
}

static char *start_words(const void *ctx, pid_t pid)
{
	const struct bundling *m = ctx;

	return xasprintf("%s starts the guest%s%s", m->script, pid ? " again" : "",
			 m->o->clone ? "" : "; see that its original does not run any more");
}

static const struct import_steps steps = {.look = look, .plan = plan, .line = line, .make = make, .clean = clean, .start = start_words};

static void fini(struct bundling *m)
{
	for (size_t i = 0; i < BUNDLE_DISKS_MAX; i++)
		free(m->disks[i]);
	for (size_t i = 0; i < BUNDLE_FILES_MAX; i++)
		free(m->files[i]);
	if (m->stream > 0)
		close(m->stream);
	if (m->has_bundle)
		bundle_fini(&m->b);
	args_result_fini(&m->line);
	line_words_fini(&m->words);
	host_qemu_fini(&m->qemu);
	made_fini(&m->made);
	import_turn_end(&m->turn);
	free(m->from);
	spool_fini(&m->spool);
	FREE_ALL(m->name, m->plain, m->dir, m->script, m->qmp, m->machine_was, m->machine, m);
}

int import_bundle(struct life *l, const struct import_options *o)
{
	struct bundling *m = xcalloc(1, sizeof(*m));
	int code;

	m->o = o;
	m->life = l;
	m->stream = -1;
	made_init(&m->made);
	code = import_carry_out(l, o, &steps, m);
	fini(m);
	return code;
}
