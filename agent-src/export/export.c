/* export.c: see export.h. */
#include "export.h"
#include "convert.h"
#include "draft.h"
#include "durable-file.h"
#include "error-stop.h"
#include "exit-code.h"
#include "export-copy.h"
#include "export-live.h"
#include "export-memory.h"
#include "export-plan.h"
#include "export-stream.h"
#include "fault.h"
#include "guest-agent.h"
#include "agent-talk.h"
#include "guest-at-rest.h"
#include "host-qemu.h"
#include "locked-images.h"
#include "life.h"
#include "made-files.h"
#include "qcow2-header.h"
#include "space.h"
#include "spool.h"
#include "util.h"
#include "words.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct export
{
	const struct export_options *o;
	struct life life;
	struct guest g;
	bool runs;	  /* the guest has a QEMU: it runs or is paused */
	unsigned removed; /* leftovers of earlier exports removed from QEMU */
	struct live live;
	struct bundle b;
	struct export_plan plan;
	char *img; /* qemu-img */
	char *dir; /* directory of the bundle */
	bool made_dir;
	struct spool spool;					       /* spool of a stream */
	struct made made;					       /* files of the bundle */
	const char *disks[BUNDLE_DISKS_MAX], *files[BUNDLE_FILES_MAX]; /* path of each until the end */
	const char *memory;
	struct locked_images locked; /* images of a guest that is shut down */
	struct err frozen;	     /* code set: the guest's file systems may still be frozen */
};

static bool is_stream(const struct export *x)
{
	return !strcmp(x->o->dir, "-");
}

/* ---- which guest ---- */

/* True if VM is a command line, a script or a unit: the guest is shut down. */
static bool is_at_rest(const struct export_options *o)
{
	struct stat st;

	return o->argv || text_ends_with(o->vm, ".service") || text_ends_with(o->vm, ".sh") ||
	       (strchr(o->vm, '/') && !stat(o->vm, &st) && S_ISREG(st.st_mode));
}

/* Opens the control socket: `vmferry status` and `cancel` reach the export, and other commands of ours leave the guest alone. */
static int begin_life(struct export *x, pid_t known_as, struct err *e)
{
	life_about(&x->life, x->g.name, is_stream(x) ? "a stream" : x->o->dir, x->g.pid);
	return life_open(&x->life, known_as, 0, e);
}

static int find(struct export *x, struct err *e)
{
	AUTO_FREE char *script = NULL;
	int r;

	if (is_at_rest(x->o)) {
		x->b.state = xstrdup("shut down");
		r = guest_at_rest(&x->g, x->o->vm, x->o->argv, x->o->argc, &script, e) ?: guest_boots_from_disks(&x->g, e);
		r = r ?: begin_life(x, guest_at_rest_known_as(x->g.disk_count ? x->g.disks[0].real_path : NULL), e);
		return r ?: guest_write_in_own_files(&x->g, NULL, e);
	}
	r = guest_find(&x->g, x->o->vm, e) ?: guest_check_user(&x->g, e) ?: begin_life(x, x->g.pid, e);
	if (r)
		return r;
	x->runs = true;
	r = live_open(&x->live, &x->g, &x->removed, e);
	if (!r)
		x->b.state = xstrdup(x->g.status);
	return r;
}

/* ---- where to ---- */

static int is_empty(const char *dir, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *x;
	int r = d ? 0 : err_sys(e, errno, "cannot open %s", dir);

	while (d && !r && (x = readdir(d)))
		if (strcmp(x->d_name, ".") && strcmp(x->d_name, ".."))
			r = err_set(e, ENOTEMPTY, "%s is not empty (there is %s): take a new or an empty directory", dir, x->d_name);
	if (d)
		closedir(d);
	return r;
}

/* Chooses the target directory, or the one in which it is to be made. */
static int choose_place(struct export *x, struct err *e)
{
	const char *spool = x->o->spool ?: getenv("TMPDIR") && *getenv("TMPDIR") ? getenv("TMPDIR") : "/var/tmp";
	AUTO_FREE char *copy = xstrdup(x->o->dir), *above = NULL;
	struct stat st;
	char *slash;
	int r = 0;

	while (strlen(copy) > 1 && text_ends_with(copy, "/"))
		copy[strlen(copy) - 1] = '\0';
	slash = strrchr(copy, '/');
	above = is_stream(x)	   ? xstrdup(spool)
		: !stat(copy, &st) ? xstrdup(copy)
		: slash == copy	   ? xstrdup("/")
		: slash		   ? xasprintf("%.*s", (int)(slash - copy), copy)
				   : xstrdup(".");
	if (stat(above, &st))
		return err_sys(e, errno, "%s", above);
	if (!S_ISDIR(st.st_mode) || access(above, W_OK | X_OK))
		return err_sys(e, S_ISDIR(st.st_mode) ? errno : ENOTDIR, "%s", above);
	if (!is_stream(x) && !strcmp(above, copy))
		r = is_empty(copy, e);
	r = r ?: space_check_dir(above, x->plan.needed, "the bundle's files", e);
	if (!r && is_stream(x))
		x->dir = xasprintf("%s/vmferry-export-XXXXXX", above);
	else if (!r)
		x->dir = xstrdup(copy);
	return r;
}

static int own_directory(const char *dir, struct err *e)
{
	AUTO_FREE char *cwd = *dir == '/' ? xstrdup("") : realpath(".", NULL);
	AUTO_FREE char *path = cwd ? xasprintf("%s%s%s", cwd, *cwd ? "/" : "", dir) : NULL;

	if (!path || !text_is_utf8(path))
		return err_set(e, EILSEQ, "%s has a name that is not UTF-8 text", dir);
	return life_own(life_now(), EXPORT_DIRECTORY, json_pack("{s:s}", "path", path), e);
}

static int make_place(struct export *x, struct err *e)
{
	char *real;
	int r = is_stream(x) ? spool_make(&x->spool, x->dir, e) : 0;

	if (r)
		return r;
	if (!is_stream(x) && access(x->dir, F_OK) && (r = own_directory(x->dir, e)))
		return r;
	if (!is_stream(x) && mkdir(x->dir, 0700) && errno != EEXIST)
		return err_sys(e, errno, "cannot make %s", x->dir);
	x->made_dir = is_stream(x) || errno != EEXIST;
	real = realpath(is_stream(x) ? x->spool.path : x->dir, NULL);
	if (!real)
		return err_sys(e, errno, "%s", x->dir);
	free(x->dir);
	x->dir = real;
	if (!is_stream(x))
		life_about(&x->life, x->g.name, real, x->g.pid);
	return text_is_utf8(real) ? 0 : err_set(e, EILSEQ, "%s has a name that is not UTF-8 text", real);
}

static int make_drafts(struct export *x, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < x->b.disk_count && !r; i++) {
		AUTO_FREE char *path = xasprintf("%s/%s", x->dir, x->b.disks[i].file);

		r = made_add(&x->made, path, &x->disks[i], e);
	}
	if (!r && x->o->memory) {
		AUTO_FREE char *path = xasprintf("%s/%s", x->dir, BUNDLE_MEMORY);

		x->b.memory.file = xstrdup(BUNDLE_MEMORY);
		r = made_add(&x->made, path, &x->memory, e);
	}
	for (size_t i = 0; i < x->b.file_count && !r; i++) {
		AUTO_FREE char *path = xasprintf("%s/%s", x->dir, x->b.files[i].file ?: "");

		if (x->b.files[i].file)
			r = made_add(&x->made, path, &x->files[i], e);
	}
	return r;
}

/* ---- disks ---- */

static int convert(struct export *x, size_t i, struct err *e)
{
	const struct export_disk *from = &x->plan.disks[i];
	struct image_source source = {.path = from->path,
				      .driver = from->format,
				      .is_own = true,
				      .is_block = from->is_block,
				      .is_slice = from->part_bytes,
				      .offset = from->part_at,
				      .size = from->part_bytes};
	struct convert_how how = {.compress = x->o->compress, .rate = x->o->rate, .unsynced = true}; /* export_describe_file() syncs */
	AUTO_FREE char *what = xasprintf("%s %s", x->o->compress ? "compressing" : "copying", x->b.disks[i].file);

	return convert_image(x->img, &source, x->disks[i], "qcow2", &how, what, e);
}

static int begin_disks(void *ctx, struct err *e)
{
	struct export *x = ctx;

	return live_begin(&x->live, x->o->rate, e);
}

/* Begins the copies while all file systems are frozen. */
static int begin_frozen(struct export *x, struct err *e)
{
	AUTO_FREE char *path = x->o->freeze == FREEZE_OFF ? NULL : guest_agent_path(&x->g);
	struct freeze f = {.thaws = {.pid = 0}};
	json_t *entry = NULL;
	struct err why;
	int r = 0, thawed;

	if (path && !strcmp(x->g.status, "running")) {
		entry = freeze_entry(path, x->g.pid);
		if (life_own(&x->life, EXPORT_FREEZE, json_incref(entry), e)) {
			json_decref(entry);
			return -e->code;
		}
		r = freeze_begin(&f, path, x->g.pid, &why);
		x->b.frozen = !r;
		if (r == -EIO)
			x->frozen = why;
		if (r != -EIO && r)
			life_disown(&x->life, EXPORT_FREEZE, json_incref(entry));
		if (r && (r == -EIO || x->o->freeze != FREEZE_AUTO)) {
			json_decref(entry);
			return err_set(e, EIO, "its file systems cannot be frozen: %s", why.msg);
		}
		if (r)
			life_notice(&x->life, "the guest's file systems are not frozen: %s", why.msg);
		fault_point("export-frozen");
	}
	r = begin_disks(x, e);
	thawed = freeze_end(&f, &why);
	if (thawed == -EIO)
		x->frozen = why;
	else if (x->b.frozen)
		life_disown(&x->life, EXPORT_FREEZE, json_incref(entry));
	json_decref(entry);
	if (thawed && !r) {
		*e = why;
		r = -e->code;
	}
	return r;
}

static int copy_live(struct export *x, struct err *e)
{
	const struct guest_disk *disks[BUNDLE_DISKS_MAX];
	const char *targets[BUNDLE_DISKS_MAX];
	size_t n = 0, i;
	int r = 0;

	for (i = 0; i < x->b.disk_count && !r; i++) {
		if (!x->plan.disks[i].live)
			continue;
		r = convert_blank(x->img, x->disks[i], "qcow2", x->o->compress, x->plan.disks[i].live->virtual_size, e);
		targets[n] = x->disks[i];
		disks[n++] = x->plan.disks[i].live;
	}
	x->live.frozen.compress = x->o->compress;
	r = r ?: life_own(&x->life, EXPORT_QEMU, NULL, e) ?: live_prepare(&x->live, disks, targets, n, e);
	if (!r)
		r = x->o->memory ? memory_copy(&x->live, x->memory, x->o->rate, begin_disks, x, e) : begin_frozen(x, e);
	return r ?: live_wait(&x->live, e);
}

/* Locks keep everybody from starting the guest or writing to its images meanwhile; who reads them is let be. */
static int lock(struct export *x, const char *path, enum image_use use, struct err *e)
{
	return images_lock(&x->locked, path, use, false, "A guest that runs is exported by its name", e);
}

static int lock_disks(struct export *x, struct err *e)
{
	size_t i, k;
	int r = 0;

	for (i = 0; i < x->b.disk_count && !r; i++) {
		const struct guest_disk *d = x->plan.disks[i].live;

		if (!d)
			continue;
		r = lock(x, x->plan.disks[i].path, IMAGE_READ, e);
		for (k = 0; k < d->chain_count && !r; k++)
			r = lock(x, d->chain[k].real_path, IMAGE_SHARE, e);
	}
	return r;
}

static int copy_disks(struct export *x, struct err *e)
{
	int r = x->runs ? copy_live(x, e) : 0;

	for (size_t i = 0; i < x->b.disk_count && !r; i++)
		if (!x->runs || !x->plan.disks[i].live)
			r = convert(x, i, e);
	return r;
}

/* ---- other files ---- */

static int copy_files(struct export *x, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < x->b.file_count && !r; i++)
		if (x->files[i])
			r = export_copy_file(x->plan.files[i], x->files[i], e);
	return r;
}

/* ---- what it is ---- */

static int describe(struct export *x, struct err *e)
{
	struct qcow2_header h;
	int r = 0;

	for (size_t i = 0; i < x->b.disk_count && !r; i++) {
		r = export_describe_file(&x->b.disks[i], x->disks[i], e) ?: qcow2_header_read(x->disks[i], &h, e);
		if (!r) {
			x->b.disks[i].virtual_bytes = h.bytes;
			qcow2_header_fini(&h);
		}
	}
	if (!r && x->memory)
		r = export_describe_file(&x->b.memory, x->memory, e);
	for (size_t i = 0; i < x->b.file_count && !r; i++)
		if (x->files[i])
			r = export_describe_file(&x->b.files[i], x->files[i], e);
	return r;
}

static int write_text(struct export *x, const char *name, const char *text, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/%s", x->dir, name);
	const char *draft;

	return made_add(&x->made, path, &draft, e) ?: draft_write(draft, text, strlen(text), 0600, e);
}

/* The manifest is the last to get its name. */
static int write_manifest(struct export *x, struct err *e)
{
	AUTO_FREE char *readme = bundle_readme(&x->b), *manifest = bundle_print(&x->b);
	int r = manifest ? write_text(x, BUNDLE_README, readme, e) : err_set(e, EILSEQ, "the guest is described by text that is not UTF-8");

	return r ?: write_text(x, BUNDLE_MANIFEST, manifest, e);
}

/* ---- ---- */

static void note_time(struct export *x)
{
	time_t now = time(NULL);
	struct tm tm;
	char date[32];

	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &tm));
	x->b.made = xstrdup(date);
}

static int make(struct export *x, struct err *e)
{
	int r = make_place(x, e);

	note_time(x);
	r = r ?: make_drafts(x, e) ?: copy_disks(x, e) ?: copy_files(x, e);
	if (!r && !x->runs)
		r = images_unchanged(&x->locked, e);
	r = r ?: describe(x, e) ?: write_manifest(x, e);
	if (!r && life_interrupted())
		r = err_set(e, ECANCELED, "interrupted");
	r = r ?: made_name(&x->made, e);
	if (!r && x->made_dir && !is_stream(x))
		r = sync_parent_dir(x->dir, e);
	if (!r && is_stream(x))
		r = export_send(1, x->dir, &x->b, e);
	return r;
}

static int look(struct export *x, struct err *e)
{
	int r = is_stream(x) && isatty(1) ? err_set(e, EINVAL, "a stream is not for a terminal: vmferry export VM - | …") : find(x, e);

	r = r ?: host_qemu_find_img(&x->img, x->g.exe, e) ?: export_plan(&x->plan, &x->b, &x->g, x->o->no_media, e);
	if (!r && x->o->memory) {
		r = x->runs ? memory_check(&x->live, e) : err_set(e, EINVAL, "--with-memory: a guest that is shut down has none");
		x->plan.needed += x->g.ram_bytes;
	}
	if (!r && x->o->freeze == FREEZE_REQUIRE) {
		AUTO_FREE char *path = x->runs ? guest_agent_path(&x->g) : NULL;

		if (x->runs && strcmp(x->g.status, "running"))
			r = err_set(e, ENOTSUP, "--freeze require: the guest is %s, and its agent cannot answer", x->g.status);
		else if (x->runs && !path)
			r = err_set(e, ENOTSUP, "--freeze require: the guest has no agent (no port org.qemu.guest_agent.0 on a socket)");
	}
	r = r ?: choose_place(x, e);
	return r || x->runs ? r : lock_disks(x, e);
}

static json_t *plan_rows(const struct export *x)
{
	json_t *rows = json_array();
	char size[24];

	for (size_t i = 0; i < x->b.disk_count; i++)
		life_row(rows, "disk", "%s (%s, %s) -> %s%s", x->b.disks[i].path, x->b.disks[i].format,
			 format_bytes(size, x->plan.disks[i].allocated), x->b.disks[i].file, x->o->compress ? ", compressed" : "");
	if (x->o->memory)
		life_row(rows, "memory", "%s%s", format_bytes(size, x->g.ram_bytes),
			 memory_stops_first(&x->g) ? "; without KVM the guest stands while it is copied" : "");
	for (size_t i = 0; i < x->b.file_count; i++)
		if (x->b.files[i].file)
			life_row(rows, "file", "%s (%s) -> %s", x->b.files[i].path, args_role_name(x->b.files[i].role), x->b.files[i].file);
	if (x->removed)
		life_row(rows, "note", "an export that was cut off had left something in the guest's QEMU: it is removed");
	for (size_t i = 0; i < x->plan.note_count; i++)
		life_row(rows, "note", "%s", x->plan.notes[i]);
	return rows;
}

static void tell_plan(struct export *x)
{
	AUTO_FREE char *title = xasprintf("exporting guest %s (%s)", x->g.name, x->b.state);

	text_make_utf8(title);
	life_emit(&x->life, "plan",
		  json_pack("{s:s,s:s,s:s*,s:i,s:s*,s:o}", "title", title, "guest", x->life.subject.guest, "state", x->b.state, "pid",
			    (int)x->g.pid, "to", is_stream(x) ? NULL : x->life.subject.to, "rows", plan_rows(x)));
}

static void undo(struct export *x)
{
	struct err e;

	if (live_undo(&x->live, &e))
		life_leftover(&x->life, "in the guest's QEMU, which it does not harm: %s; vmferry recover %s removes it", e.msg, x->g.name);
	made_undo(&x->made);
	if (x->spool.path)
		spool_remove(&x->spool);
	else if (x->made_dir && rmdir(x->dir) && errno != ENOENT)
		life_leftover(&x->life, "%s: %s", x->dir, strerror(errno));
}

static void tell_what_is_not_as_before(struct export *x)
{
	if (x->live.unset.code)
		life_leftover(&x->life, "a setting, which later migrations of that QEMU go by: %s", x->live.unset.msg);
	if (x->frozen.code)
		life_leftover(&x->life,
			      "the guest's file systems may be frozen, and what writes to them stands then (%s); guest-fsfreeze-thaw, "
			      "sent to its agent, thaws them",
			      x->frozen.msg);
}

static int tell_failure(struct export *x, const struct err *why)
{
	bool left = life_leftovers(&x->life);
	AUTO_FREE char *words = x->live.stands && why->code == ESTALE ? xstrdup("the guest stands, and is to go on as it is said there")
				: x->live.stands ? xasprintf("the guest may stand still (`cont` in its monitor lets it run); %s",
							     left ? "what is left is listed" : "nothing else is left behind")
						 : xasprintf("%s%s", left ? "what is left is listed" : "nothing is left behind",
							     left	       ? ""
							     : !x->live.broken ? ", and the guest is as before"
							     : strcmp(x->live.broken, "shutdown")
								     ? ", and an error has stopped the guest"
								     : ", and the guest has shut down by itself, in a QEMU that stays");

	return life_end(&x->life, x->live.stands ? LIFE_FAILED_PAUSED : LIFE_FAILED, why, json_pack("{s:s}", "guest_text", words));
}

static int tell_success(struct export *x)
{
	json_t *rows = json_array();
	const struct bundle_file *f;
	uint64_t bytes = 0;
	char size[24];
	AUTO_FREE char *title = xasprintf("exported: %s%s", is_stream(x) ? "sent" : x->dir,
					  x->b.frozen ? "; the guest's file systems were frozen for the moment" : "");

	for (size_t i = 0; (f = bundle_next(&x->b, &i));)
		bytes += f->bytes;
	life_row(rows, "total", "%s in %.1f s", format_bytes(size, bytes), (double)(now_ns() - x->life.begin_ns) / 1e9);
	if (x->runs && !x->b.frozen && !x->o->memory)
		life_row(rows, "note", "the guest's file systems were not frozen: it will start from this as after a power failure");
	if (x->live.broken)
		life_row(rows, "guest", "it stands: it was stopped by %s meanwhile (QEMU says: %s)", error_stop_cause(x->live.broken),
			 x->live.broken);
	return life_end(&x->life, LIFE_EXPORTED, NULL,
			json_pack("{s:s,s:s*,s:b,s:I,s:o}", "title", title, "to", is_stream(x) ? NULL : x->dir, "frozen", x->b.frozen,
				  "bytes", (json_int_t)bytes, "rows", rows));
}

static int carry_out(struct export *x)
{
	struct err e;
	bool failed;

	tell_plan(x);
	failed = life_ask_hooks(&x->life, &e) != 0;
	if (!failed) {
		life_keep_journal(&x->life);
		failed = make(x, &e) != 0;
	}
	if (failed || is_stream(x))
		undo(x);
	tell_what_is_not_as_before(x);
	return failed ? tell_failure(x, &e) : tell_success(x);
}

static void fini(struct export *x)
{
	images_unlock(&x->locked);
	live_close(&x->live);
	export_plan_fini(&x->plan);
	bundle_fini(&x->b);
	made_fini(&x->made);
	guest_fini(&x->g);
	free(x->img);
	free(x->dir);
	spool_fini(&x->spool);
	life_fini(&x->life);
	free(x);
}

int export_run(const struct export_options *o)
{
	struct export *x = xcalloc(1, sizeof(*x));
	struct err e;
	int code;

	x->o = o;
	made_init(&x->made);
	if (life_begin(&x->life, "export", &o->life, &e)) {
		fprintf(stderr, "vmferry: %s\n", e.msg);
		free(x);
		return EXIT_REFUSED;
	}
	life_heed_signals();
	if (look(x, &e))
		code = life_end(&x->life, LIFE_REFUSED, &e, NULL);
	else
		code = carry_out(x);
	fini(x);
	return code;
}
