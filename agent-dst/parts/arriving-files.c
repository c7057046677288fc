/* arriving-files.c: see arriving-files.h. */
#include "arriving-files.h"
#include "file-digest.h"
#include "firmware-here.h"
#include "json-text.h"
#include "log.h"
#include "made.h"
#include "disks-space.h"
#include "shell-quote.h"
#include "util.h"
#include "xxh.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX	256
#define WRITEBACK_EVERY (64 * MIB)

static struct files *files_of(struct part *p)
{
	return container_of(p, struct files, part);
}

/* ---- the plan ---- */

static bool is_disk(const struct files *fs, const json_t *file)
{
	const json_t *disks = json_object_get(fs->target->description, "disks");
	json_t *d;
	size_t i;

	json_array_foreach((json_t *)disks, i, d)
		if (json_equal(json_object_get(d, "real_path"), json_object_get(file, "real_path")) ||
		    /* a device has the path that it was given */
		    json_equal(json_object_get(d, "real_path"), json_object_get(file, "path")))
			return true;
	return false;
}

static bool is_backing(const json_t *file)
{
	const char *role = json_text(file, "role");

	return role && !strcmp(role, "backing");
}

/* True if the same file exists here under that name. */
static bool is_here(const char *path, const json_t *file)
{
	char digest[FILE_DIGEST_CHARS + 1];
	struct stat st;
	struct err e;
	uint64_t size;

	if (!json_text(file, "digest") || stat(path, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != json_bytes(file, "size"))
		return false;
	return !file_digest(path, is_backing(file) || !strcmp(json_text(file, "role") ?: "", "disk"), &size, digest, &e) &&
	       !strcmp(digest, json_text(file, "digest"));
}

static bool is_writable_dir_of(const char *path)
{
	AUTO_FREE char *copy = xstrdup(path);

	return !access(dirname(copy), W_OK);
}

/* The file that this move brings to that path, or NULL. */
static const struct carried *carried_to(const struct files *fs, const char *path)
{
	for (size_t i = 0; i < fs->count; i++)
		if (fs->list[i].transfer == CARRY_COPY && !strcmp(fs->list[i].to, path))
			return &fs->list[i];
	return NULL;
}

static bool is_same(const json_t *a, const json_t *b)
{
	return json_text(a, "digest") && json_equal(json_object_get(a, "digest"), json_object_get(b, "digest")) &&
	       json_equal(json_object_get(a, "size"), json_object_get(b, "size"));
}

static int check_settled(const struct files *fs, const char *path, struct err *e)
{
	int r = made_by_another(fs->disks->state_dir, path, e);

	return r > 0 ? err_set(e, EBUSY,
			       "%s at the destination was brought there by another move that is not over, and may be taken away again: "
			       "wait for that one",
			       path)
		     : r;
}

/* True if path lies where packages of the distribution put files: they would replace a file of that name. */
static bool is_distributions(const char *path)
{
	static const char usr[] = "/usr/", local[] = "/usr/local/";

	return text_starts_with(path, usr) && !text_starts_with(path, local);
}

/* A path in the guest's directory with that name, or with the nth one like it; malloc'ed. */
static char *nth_place(const struct files *fs, const char *path, unsigned n)
{
	AUTO_FREE char *copy = xstrdup(path);

	return n == 1 ? xasprintf("%s/%s", fs->target->dir, basename(copy)) : xasprintf("%s/%u-%s", fs->target->dir, n, basename(copy));
}

/* The file's own path if that is free, otherwise its name in the guest's directory. */
static char *place_for(const struct files *fs, const char *path)
{
	char *to = xstrdup(path);

	if (!json_text(fs->target->description, "disk_dir") && !disks_path_taken(fs->disks, to) && !carried_to(fs, to) &&
	    is_writable_dir_of(to) && !is_distributions(to))
		return to;
	for (unsigned n = 1;; n++) {
		free(to);
		to = nth_place(fs, path, n);
		if (!disks_path_taken(fs->disks, to) && !carried_to(fs, to))
			return to;
	}
}

static int refuse(const json_t *file, const char *why, struct err *e)
{
	return err_set(e, ENOENT, "the guest's %s %s %s", json_text(file, "role"), json_text(file, "path"), why);
}

static bool stays(const struct staying_disk *d, const json_t *file)
{
	return d->object == json_bytes(file, "object");
}

static bool is_of_staying(const struct files *fs, const json_t *file)
{
	for (size_t i = 0; i < fs->disks->stays; i++)
		if (stays(&fs->disks->stay[i], file))
			return true;
	return false;
}

/* A backing file is where the image above it says. */
static char *backing_place(const struct files *fs, const json_t *file)
{
	const char *name = json_text(file, "name"), *above = NULL;
	json_int_t parent = json_integer_value(json_object_get(file, "parent"));
	AUTO_FREE char *copy = NULL;

	if (!name || name[0] == '/')
		return xstrdup(name);
	for (size_t i = 0; i < fs->disks->count && parent < 0; i++)
		if (fs->disks->list[i].object == json_bytes(file, "object"))
			above = fs->disks->list[i].path;
	for (size_t i = 0; i < fs->disks->stays && parent < 0; i++)
		if (stays(&fs->disks->stay[i], file))
			above = fs->disks->stay[i].path;
	for (size_t i = 0; i < fs->count && parent >= 0; i++)
		if ((json_int_t)fs->list[i].file == parent)
			above = fs->list[i].to;
	if (!above)
		return NULL;
	copy = xstrdup(above);
	return xasprintf("%s/%s", dirname(copy), name);
}

static bool is_right_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return !strncmp(path, dir, n) && path[n] == '/' && path[n + 1] && !strchr(path + n + 1, '/') && strcmp(path + n + 1, "..");
}

/* The image above would not find it in another one. */
static int check_dir_of_backing(const struct files *fs, const char *path, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(path);
	const char *dir = dirname(copy);
	AUTO_FREE char *quoted = shell_quote(dir);

	if (!access(dir, F_OK) || target_makes_dir(fs->target, dir))
		return 0;
	if (!fs->target->makes_below && json_text(fs->target->description, "disk_dir") && is_right_below(dir, fs->target->dir)) {
		fs->target->makes_below = xstrdup(dir);
		return 0;
	}
	return err_set(
		e, ENOENT,
		"the backing file %s is to be where the image above it says, and its directory does not exist at the destination: make "
		"it there (mkdir -p %s), or have one image made of all (--chain=flatten)",
		path, quoted);
}

static int decide_backing(struct files *fs, struct carried *c, const json_t *file, struct err *e)
{
	const char *wish = json_text(file, "wish");
	const struct carried *before;

	c->to = backing_place(fs, file);
	if (!c->to || !json_text(file, "path"))
		return err_set(e, EPROTO, "the source's description of a backing file is incomplete");
	if (is_here(c->to, file))
		return check_settled(fs, c->to, e);
	if (is_of_staying(fs, file))
		return err_set(e, ENOENT,
			       "the backing file %s of a disk that stays where it is is not at the destination, or is another one", c->to);
	before = carried_to(fs, c->to);
	if (before && is_same(before->description, file))
		return 0;
	if (before)
		return err_set(e, EEXIST,
			       "two backing files of the guest, which differ, would both be %s at the destination: let their disks go to "
			       "different directories (--disk DISK=PATH)",
			       c->to);
	if (wish && !strcmp(wish, "path"))
		return err_set(e, ENOENT,
			       "the backing file %s is not at the destination, or is another one (--chain=copy brings it along, "
			       "--chain=flatten makes one image of all)",
			       c->to);
	if (disks_path_taken(fs->disks, c->to))
		return err_set(e, EEXIST,
			       "another file than the backing file %s is at the destination under that name (--chain=flatten "
			       "makes one image of all)",
			       c->to);
	if (check_dir_of_backing(fs, c->to, e))
		return -e->code;
	c->transfer = CARRY_COPY;
	c->size = json_bytes(file, "size");
	return 0;
}

/* Under its own name, or firmware under another one; malloc'ed, NULL: it is not here. by_name: what has its name is taken for it. */
static char *present_at(const struct files *fs, const json_t *file, bool by_name)
{
	const char *path = json_text(file, "path");

	if (by_name ? !access(path, F_OK) : is_here(path, file))
		return xstrdup(path);
	return target_is_in_place(fs->target) ? NULL : firmware_here("", file);
}

static int decide_by_name(const struct files *fs, struct carried *c, const json_t *file, bool regular, struct err *e)
{
	c->to = present_at(fs, file, true);
	if (c->to) {
		c->other = regular && !is_here(c->to, file);
		return 0;
	}
	c->to = xstrdup(json_text(file, "path"));
	return refuse(file,
		      target_is_in_place(fs->target) ? "does not exist any more, and its new QEMU would read it"
		      : regular			     ? "does not exist at the destination (--media=copy brings it along)"
				: "is not a regular file on the source, so it cannot be copied, and does not exist at the destination",
		      e);
}

static bool is_disk_s_place(const struct files *fs, const char *path)
{
	for (size_t i = 0; i < fs->disks->count; i++)
		if (fs->disks->list[i].path && !strcmp(fs->disks->list[i].path, path))
			return true;
	return false;
}

/* The path at which an earlier move put such a file, because another file had its name here; malloc'ed. NULL: none, or that move is not
 * over. */
static char *brought_before(const struct files *fs, const json_t *file)
{
	for (unsigned n = 1;; n++) {
		char *at = nth_place(fs, json_text(file, "path"), n);
		bool taken = disks_path_taken(fs->disks, at);
		struct err ignored;

		if (taken && !is_disk_s_place(fs, at) && is_here(at, file) && !check_settled(fs, at, &ignored))
			return at;
		free(at);
		if (!taken)
			return NULL;
	}
}

static int decide(struct files *fs, struct carried *c, const json_t *file, struct err *e)
{
	const char *kind = json_text(file, "kind"), *wish = json_text(file, "wish");
	bool regular = kind && !strcmp(kind, "file");

	if (wish && !strcmp(wish, "eject")) {
		c->transfer = CARRY_EJECT;
		return 0;
	}
	c->transfer = CARRY_PRESENT;
	if (!regular || !wish || !strcmp(wish, "path"))
		return decide_by_name(fs, c, file, regular, e);
	c->to = strcmp(wish, "auto") ? NULL : present_at(fs, file, false);
	if (c->to)
		return check_settled(fs, c->to, e);
	c->to = strcmp(wish, "auto") ? NULL : brought_before(fs, file);
	if (c->to)
		return 0;
	c->to = place_for(fs, json_text(file, "path"));
	c->transfer = CARRY_COPY;
	c->size = json_bytes(file, "size");
	return 0;
}

static bool is_ours(const struct files *fs, const json_t *file)
{
	const char *role = json_text(file, "role");

	if (is_backing(file))
		return true;
	return role && json_text(file, "path") && json_text(file, "path")[0] == '/' && args_role_is_content(args_role_of(role)) &&
	       json_is_true(json_object_get(file, "read_only")) && !json_is_true(json_object_get(file, "ejected")) && !is_disk(fs, file);
}

static int plan(struct files *fs, struct err *e)
{
	const json_t *files = json_object_get(fs->target->description, "files");
	json_t *file;
	size_t i;
	int r;

	if (json_array_size(files) > FILES_MAX)
		return err_set(e, EPROTO, "the source describes more than %d files", FILES_MAX);
	fs->list = xcalloc(json_array_size(files) + 1, sizeof(*fs->list));
	json_array_foreach((json_t *)files, i, file) {
		struct carried *c = &fs->list[fs->count];

		if (!is_ours(fs, file))
			continue;
		*c = (struct carried){.file = (unsigned)i, .fd = -1, .description = file};
		r = is_backing(file) ? decide_backing(fs, c, file, e) : decide(fs, c, file, e);
		if (r == -EPROTO || (r && !c->to)) {
			free(c->to);
			return r;
		}
		if (r)
			target_obstacle(fs->target, e);
		fs->count++;
	}
	return 0;
}

static int examine(struct part *p, struct err *e)
{
	struct files *fs = files_of(p);
	int r = plan(fs, e);

	if (!r)
		space_for_files(fs->disks, fs);
	return r;
}

size_t files_map(const struct files *fs, struct args_map *map)
{
	size_t i, n = 0;

	for (i = 0; i < fs->count; i++) {
		const struct carried *c = &fs->list[i];
		const char *real = json_text(c->description, "real_path");

		map[n++] = (struct args_map){.from = json_text(c->description, "path"), .to = c->to};
		if (real)
			map[n++] = (struct args_map){.from = real, .to = c->to};
	}
	return n;
}

static json_t *told(const struct files *fs)
{
	static const char *const words[] = {[CARRY_PRESENT] = "present", [CARRY_COPY] = "copy", [CARRY_EJECT] = "eject"};
	json_t *out = json_array();

	for (size_t i = 0; i < fs->count; i++)
		json_array_append_new(out, json_pack("{s:i,s:s,s:s*,s:b}", "file", (int)fs->list[i].file, "transfer",
						     words[fs->list[i].transfer], "to", fs->list[i].to, "other", fs->list[i].other));
	return out;
}

static int describe(struct part *p, json_t *accept, struct err *e)
{
	(void)e;
	json_object_set_new(accept, "carry", told(files_of(p)));
	return 0;
}

/* ---- receiving ---- */

static int prepare(struct part *p, struct err *e)
{
	struct files *fs = files_of(p);
	int r = 0;

	for (size_t i = 0; i < fs->count && !r; i++) {
		struct carried *c = &fs->list[i];

		if (c->transfer != CARRY_COPY)
			continue;
		c->temp = attempt_id_name(p->a->id, c->to);
		c->hash = XXH3_createState();
		XXH3_128bits_reset(c->hash);
		r = made_own(p->a, "file", c->temp, e);
		if (r)
			return r;
		c->fd = open(c->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (c->fd < 0)
			r = err_sys(e, errno, "cannot create %s", c->temp);
		fs->awaited++;
	}
	return r;
}

static struct carried *awaited(struct files *fs, uint32_t file, struct err *e)
{
	for (size_t i = 0; i < fs->count; i++)
		if (fs->list[i].file == file && fs->list[i].fd >= 0)
			return &fs->list[i];
	err_set(e, EPROTO, "the source sent a file (%u) that is not expected", file);
	return NULL;
}

static int on_data(struct files *fs, const struct event *ev, struct err *e)
{
	struct msg_file_data d;
	struct carried *c;
	uint8_t at[8];
	struct writer w = writer_of(at, sizeof(at));

	if (msg_file_data_decode(&d, ev->bytes, ev->n))
		return err_set(e, EPROTO, "the source sent a FILE_DATA of %zu bytes that cannot be read", ev->n);
	c = awaited(fs, d.file, e);
	if (!c)
		return -e->code;
	if (d.offset > c->size || d.bytes.n > c->size - d.offset)
		return err_set(e, EPROTO, "the source sends more of %s than it has", c->to);
	write_u64(&w, d.offset);
	XXH3_128bits_update(c->hash, at, sizeof(at));
	XXH3_128bits_update(c->hash, d.bytes.p, d.bytes.n);
	if (pwrite(c->fd, d.bytes.p, d.bytes.n, (off_t)d.offset) != (ssize_t)d.bytes.n)
		return err_sys(e, errno ? errno : ENOSPC, "cannot write %s", c->temp);
	if (d.offset / WRITEBACK_EVERY != (d.offset + d.bytes.n) / WRITEBACK_EVERY)
		sync_file_range(c->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* writeback that begins now keeps the sync at the end short */
	return 0;
}

/* Gives the file its size, owner and mode from the source, as far as this user may. */
static int dress(const struct carried *c, struct err *e)
{
	const struct rights rights = {.uid = (long)json_bytes(c->description, "uid"),
				      .gid = (long)json_bytes(c->description, "gid"),
				      .mode = (int)(json_bytes(c->description, "mode") & 07777)};

	if (ftruncate(c->fd, (off_t)c->size))
		return err_sys(e, errno, "cannot make %s as long as it should be", c->temp);
	if (rights_give(&rights, c->fd, c->temp, e))
		return -e->code;
	return fsync(c->fd) ? err_sys(e, errno, "cannot write %s", c->temp) : 0;
}

static int on_end(struct files *fs, const struct event *ev, struct err *e)
{
	XXH128_canonical_t digest;
	struct msg_file_end end;
	struct carried *c;
	int r;

	if (msg_file_end_decode(&end, ev->bytes, ev->n))
		return err_set(e, EPROTO, "the source sent a FILE_END of %zu bytes that cannot be read", ev->n);
	c = awaited(fs, end.file, e);
	if (!c)
		return -e->code;
	XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(c->hash));
	if (end.size != c->size || memcmp(digest.digest, end.digest, sizeof(digest.digest)))
		return err_set(e, EBADMSG, "%s is not what the source sent", c->temp);
	r = dress(c, e) ?: made_publish(fs->part.a, c->temp, c->to, e);
	if (r)
		return r;
	log_info("%s is here", c->to);
	close(c->fd);
	c->fd = -1;
	fs->awaited--;
	return 0;
}

static int event(struct part *p, const struct event *ev, struct err *e)
{
	struct files *fs = files_of(p);

	if (ev->kind != EVENT_FRAME || !fs->awaited || (ev->type != MSG_FILE_DATA && ev->type != MSG_FILE_END))
		return PART_NOT_MINE;
	return ev->type == MSG_FILE_DATA ? on_data(fs, ev, e) : on_end(fs, ev, e);
}

void files_close(struct files *fs)
{
	for (size_t i = 0; i < fs->count; i++) {
		if (fs->list[i].fd >= 0)
			close(fs->list[i].fd);
		fs->list[i].fd = -1;
	}
}

static void fini(struct part *p)
{
	struct files *fs = files_of(p);

	files_close(fs);
	for (size_t i = 0; i < fs->count; i++) {
		struct carried *c = &fs->list[i];

		XXH3_freeState(c->hash);
		free(c->to);
		free(c->temp);
	}
	free(fs->list);
}

static const struct part_ops ops =
	{.name = "files", .examine = examine, .describe = describe, .prepare = prepare, .event = event, .fini = fini};

void files_init(struct files *fs, struct target *target, const struct disks *disks)
{
	*fs = (struct files){.part = {&ops, target->part.a}, .target = target, .disks = disks};
}
