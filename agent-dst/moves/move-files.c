/*
 * move-files.c: the host files that a guest only reads and QEMU needs here when it starts: kernel, firmware, media. Each is
 * here already with the same content, or is received over the control channel before QEMU is started; the disks, which
 * change meanwhile, are move-prepare's and the data channels' business.
 */
#include "move-private.h"
#include "file-digest.h"
#include "json-text.h"
#include "log.h"
#include "util.h"
#include "xxh.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILES_MAX	256
#define WRITEBACK_EVERY (64 * MIB)

static uint64_t number(const json_t *o, const char *key)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v > 0 ? (uint64_t)v : 0;
}

/* ---- the plan ---- */

static bool is_disk(const struct move *m, const json_t *file)
{
	const json_t *disks = json_object_get(m->description, "disks");
	json_t *d;
	size_t i;

	json_array_foreach((json_t *)disks, i, d)
		if (json_equal(json_object_get(d, "real_path"), json_object_get(file, "real_path")))
			return true;
	return false;
}

static bool is_backing(const json_t *file)
{
	const char *role = json_text(file, "role");

	return role && !strcmp(role, "backing");
}

/* Whether there is the same file under that name here. */
static bool is_here(const char *path, const json_t *file)
{
	char digest[FILE_DIGEST_CHARS + 1];
	struct stat st;
	struct err e;
	uint64_t size;

	if (!json_text(file, "digest") || stat(path, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != number(file, "size"))
		return false;
	return !file_digest(path, is_backing(file), &size, digest, &e) && !strcmp(digest, json_text(file, "digest"));
}

static bool is_writable_dir_of(const char *path)
{
	AUTO_FREE char *copy = xstrdup(path);

	return !access(dirname(copy), W_OK);
}

static bool carried_to(const struct move *m, const char *path)
{
	size_t i;

	for (i = 0; i < m->carried_count; i++)
		if (m->carried[i].transfer == CARRY_COPY && !strcmp(m->carried[i].to, path))
			return true;
	return false;
}

/* Its own name if that is free, or that name in the guest's directory. */
static char *place_for(const struct move *m, const char *path)
{
	AUTO_FREE char *copy = xstrdup(path);
	const char *base = basename(copy);
	char *to = xstrdup(path);
	unsigned n;

	if (!json_text(m->description, "disk_dir") && !move_path_taken(m, to) && !carried_to(m, to) && is_writable_dir_of(to))
		return to;
	for (n = 1;; n++) {
		free(to);
		to = n == 1 ? xasprintf("%s/%s", m->dir, base) : xasprintf("%s/%u-%s", m->dir, n, base);
		if (!move_path_taken(m, to) && !carried_to(m, to))
			return to;
	}
}

static int refuse(const json_t *file, const char *why, struct err *e)
{
	return err_set(e, ENOENT, "the guest's %s %s %s", json_text(file, "role"), json_text(file, "path"), why);
}

/* A backing file is where the image above it says. */
static char *backing_place(const struct move *m, const json_t *file)
{
	const char *name = json_text(file, "name"), *above = NULL;
	json_int_t parent = json_integer_value(json_object_get(file, "parent"));
	AUTO_FREE char *copy = NULL;
	size_t i;

	if (!name || name[0] == '/')
		return name ? xstrdup(name) : NULL;
	for (i = 0; i < m->disk_count && parent < 0; i++)
		if (m->disks[i].object == number(file, "object"))
			above = m->disks[i].path;
	for (i = 0; i < m->carried_count && parent >= 0; i++)
		if ((json_int_t)m->carried[i].file == parent)
			above = m->carried[i].to;
	if (!above)
		return NULL;
	copy = xstrdup(above);
	return xasprintf("%s/%s", dirname(copy), name);
}

static int decide_backing(struct move *m, struct carried *c, const json_t *file, struct err *e)
{
	const char *wish = json_text(file, "wish");

	c->to = backing_place(m, file);
	if (!c->to || !json_text(file, "path"))
		return err_set(e, EPROTO, "the source's description of a backing file is incomplete");
	if (is_here(c->to, file) || carried_to(m, c->to))
		return 0;
	if (wish && !strcmp(wish, "path"))
		return err_set(e, ENOENT, "the backing file %s is not at the destination, or is another one (--chain=copy brings it along, "
				   "--chain=flatten makes one image of all)", c->to);
	if (move_path_taken(m, c->to))
		return err_set(e, EEXIST, "another file than the backing file %s is at the destination under that name (--chain=flatten "
				   "makes one image of all)", c->to);
	c->transfer = CARRY_COPY;
	c->size = number(file, "size");
	return 0;
}

static int decide(struct move *m, struct carried *c, const json_t *file, struct err *e)
{
	const char *path = json_text(file, "path"), *kind = json_text(file, "kind"), *wish = json_text(file, "wish");
	bool regular = kind && !strcmp(kind, "file");

	if (wish && !strcmp(wish, "eject")) {
		c->transfer = CARRY_EJECT;
		return 0;
	}
	c->transfer = CARRY_PRESENT;
	c->to = xstrdup(path);
	if (regular && wish && strcmp(wish, "path")) {
		if (!strcmp(wish, "auto") && is_here(path, file))
			return 0;
		free(c->to);
		c->to = place_for(m, path);
		c->transfer = CARRY_COPY;
		c->size = number(file, "size");
		return 0;
	}
	if (access(path, F_OK))
		return refuse(file, regular ? "does not exist at the destination (--media=copy brings it along)"
					    : "is no regular file on the source, so it cannot be copied, and does not exist at the destination",
			      e);
	c->other = regular && !is_here(path, file);
	return 0;
}

static bool is_ours(const struct move *m, const json_t *file)
{
	const char *role = json_text(file, "role");

	if (is_backing(file))
		return true;
	return role && json_text(file, "path") && json_text(file, "path")[0] == '/' && args_role_is_content(args_role_of(role)) &&
	       json_is_true(json_object_get(file, "read_only")) && !json_is_true(json_object_get(file, "ejected")) &&
	       !is_disk(m, file);
}

int move_plan_files(struct move *m, struct err *e)
{
	const json_t *files = json_object_get(m->description, "files");
	json_t *file;
	size_t i;

	if (json_array_size(files) > FILES_MAX)
		return err_set(e, EPROTO, "the source describes more than %d files", FILES_MAX);
	m->carried = xcalloc(json_array_size(files) + 1, sizeof(*m->carried));
	json_array_foreach((json_t *)files, i, file) {
		struct carried *c = &m->carried[m->carried_count];

		if (!is_ours(m, file))
			continue;
		*c = (struct carried){.file = (unsigned)i, .fd = -1, .description = file};
		if (is_backing(file) ? decide_backing(m, c, file, e) : decide(m, c, file, e)) {
			free(c->to);
			return -e->code;
		}
		m->carried_count++;
	}
	return 0;
}

/* ---- what is not copied, but must be here ---- */

/* The file that it needs, or the directory that it needs to make one in (a file behind memory); NULL: none. Malloc'ed. */
static char *needs(enum args_role role, const char *path)
{
	AUTO_FREE char *copy = xstrdup(path);

	if (role == ARGS_MEMORY && access(path, F_OK))
		return xstrdup(dirname(copy));
	return role == ARGS_SECRET || role == ARGS_SCRIPT || role == ARGS_DIRECTORY || role == ARGS_MEMORY || role == ARGS_HOST_DEVICE ||
			       role == ARGS_CONNECT
		       ? xstrdup(path)
		       : NULL;
}

/* " (bridges here: br0, br1)" */
static char *bridges_here(void)
{
	DIR *d = opendir("/sys/class/net");
	char *all = xstrdup(""), *longer;
	struct dirent *x;

	while (d && (x = readdir(d))) {
		AUTO_FREE char *path = xasprintf("/sys/class/net/%s/bridge", x->d_name);

		if (access(path, F_OK))
			continue;
		longer = xasprintf("%s%s%s", all, *all ? ", " : "", x->d_name);
		free(all);
		all = longer;
	}
	if (d)
		closedir(d);
	return all;
}

static int check_nic(const struct args_nic *n, struct err *e)
{
	const char *name = n->netdev ? n->netdev : n->mac ? n->mac : "?";
	AUTO_FREE char *path = NULL;

	if (!n->to_type || strcmp(n->to_type, "bridge") || !n->to_attach)
		return 0;
	path = xasprintf("/sys/class/net/%s/bridge", n->to_attach);
	if (access(path, F_OK)) {
		AUTO_FREE char *all = bridges_here();

		return err_set(e, ENODEV, "NIC %s is attached to bridge %s, and there is no such bridge at the destination (%s%s); say what it is "
			       "to be attached to: --map-net %s=bridge:…, or make the bridge",
			       name, n->to_attach, *all ? "there are: " : "there is none", all, name);
	}
	return 0;
}

int move_check_surroundings(const struct move *m, struct err *e)
{
	size_t i;

	for (i = 0; i < m->args.file_count; i++) {
		const struct args_file *f = &m->args.files[i];
		const char *named = f->to ? f->to : f->path;
		/* QEMU looks for its own files elsewhere, too, if a directory of -L is missing */
		bool asked = named && named[0] == '/' && strcmp(f->option, "L");
		AUTO_FREE char *path = asked ? needs(f->role, named) : NULL;

		if (path && access(path, F_OK))
			return err_set(e, ENOENT, "-%s needs %s %s, which does not exist at the destination", f->option,
				       f->role == ARGS_CONNECT ? "the socket" : args_role_name(f->role), path);
	}
	for (i = 0; i < m->args.nic_count; i++)
		if (check_nic(&m->args.nics[i], e))
			return -e->code;
	return 0;
}

size_t move_map_files(const struct move *m, struct args_map *map)
{
	size_t i, n = 0;

	for (i = 0; i < m->carried_count; i++) {
		const struct carried *c = &m->carried[i];
		const char *real = json_text(c->description, "real_path");

		map[n++] = (struct args_map){.from = json_text(c->description, "path"), .to = c->to};
		if (real)
			map[n++] = (struct args_map){.from = real, .to = c->to};
	}
	return n;
}

json_t *move_files_json(const struct move *m)
{
	static const char *const words[] = {[CARRY_PRESENT] = "present", [CARRY_COPY] = "copy", [CARRY_EJECT] = "eject"};
	json_t *out = json_array();
	size_t i;

	for (i = 0; i < m->carried_count; i++)
		json_array_append_new(out, json_pack("{s:i,s:s,s:s*,s:b}", "file", (int)m->carried[i].file, "transfer",
						     words[m->carried[i].transfer], "to", m->carried[i].to, "other",
						     m->carried[i].other));
	return out;
}

/* ---- receiving ---- */

int move_create_files(struct move *m, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	size_t i;
	int r = 0;

	attempt_id_format(m->a.id, id);
	for (i = 0; i < m->carried_count && !r; i++) {
		struct carried *c = &m->carried[i];

		if (c->transfer != CARRY_COPY)
			continue;
		c->temp = xasprintf("%s.vmferry-%.8s", c->to, id);
		c->hash = XXH3_createState();
		XXH3_128bits_reset(c->hash);
		r = move_own_file(m, c->temp, e);
		if (r)
			return r;
		c->fd = open(c->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (c->fd < 0)
			r = err_sys(e, errno, "cannot create %s", c->temp);
		m->files_awaited++;
	}
	return r;
}

static struct carried *awaited(struct move *m, uint32_t file, struct err *e)
{
	size_t i;

	for (i = 0; i < m->carried_count; i++)
		if (m->carried[i].file == file && m->carried[i].fd >= 0)
			return &m->carried[i];
	err_set(e, EPROTO, "the source sent a file (%u) that is not expected", file);
	return NULL;
}

static int on_data(struct move *m, const struct event *ev, struct err *e)
{
	struct msg_file_data d;
	struct carried *c;
	uint8_t at[8];
	struct writer w = writer_of(at, sizeof(at));

	if (msg_file_data_decode(&d, ev->bytes, ev->n))
		return err_set(e, EPROTO, "malformed FILE_DATA");
	c = awaited(m, d.file, e);
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
		sync_file_range(c->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* so that the sync at its end is short */
	return 0;
}

/* As it was on the source, as far as this user may. */
static int dress(const struct carried *c, struct err *e)
{
	uid_t uid = (uid_t)number(c->description, "uid");
	gid_t gid = (gid_t)number(c->description, "gid");

	if (ftruncate(c->fd, (off_t)c->size))
		return err_sys(e, errno, "cannot make %s as long as it should be", c->temp);
	if (geteuid() == 0 && fchown(c->fd, uid, gid))
		return err_sys(e, errno, "cannot give %s its owner", c->temp);
	if (fchmod(c->fd, (mode_t)number(c->description, "mode") & 0777))
		return err_sys(e, errno, "cannot set the mode of %s", c->temp);
	return fsync(c->fd) ? err_sys(e, errno, "cannot write %s", c->temp) : 0;
}

static int on_end(struct move *m, const struct event *ev, struct err *e)
{
	XXH128_canonical_t digest;
	struct msg_file_end end;
	struct carried *c;
	int r;

	if (msg_file_end_decode(&end, ev->bytes, ev->n))
		return err_set(e, EPROTO, "malformed FILE_END");
	c = awaited(m, end.file, e);
	if (!c)
		return -e->code;
	XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(c->hash));
	if (end.size != c->size || memcmp(digest.digest, end.digest, sizeof(digest.digest)))
		return err_set(e, EBADMSG, "%s is not what the source sent", c->temp);
	r = dress(c, e);
	if (!r)
		r = move_publish(m, c->temp, c->to, e);
	if (r)
		return r;
	log_info("%s is here", c->to);
	close(c->fd);
	c->fd = -1;
	m->files_awaited--;
	return 0;
}

int move_take_file(struct move *m, const struct event *ev, struct err *e)
{
	return ev->type == MSG_FILE_DATA ? on_data(m, ev, e) : on_end(m, ev, e);
}

void move_close_files(struct move *m)
{
	size_t i;

	for (i = 0; i < m->carried_count; i++) {
		if (m->carried[i].fd >= 0)
			close(m->carried[i].fd);
		m->carried[i].fd = -1;
	}
}

void move_free_files(struct move *m)
{
	size_t i;

	move_close_files(m);
	for (i = 0; i < m->carried_count; i++) {
		struct carried *c = &m->carried[i];

		XXH3_freeState(c->hash);
		free(c->to);
		free(c->temp);
	}
	free(m->carried);
}
