/* files.c: see files.h. */
#include "files.h"
#include "deleted-file.h"
#include "host-file.h"
#include "json-text.h"
#include "open-regular.h"
#include "qemu-args-json.h"
#include "ram-blocks.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK	(256 * KIB)
#define TICK_MS 5
#define SECOND	(1000 / TICK_MS)

struct file_out {
	uint32_t file; /* index in DESCRIBE's files */
	const char *path;
	int fd;
	struct stat st; /* attributes when it was opened: the file may not change */
	uint64_t at;	/* up to here it was sent */
	struct XXH3_state_s *hash;
};

static struct files *files_of(struct part *p)
{
	return container_of(p, struct files, part);
}

/* ---- what is told of them ---- */

/* A medium that the guest has ejected since it started is not put in again. */
static void look_at_medium(const struct guest *g, json_t *entry)
{
	const char *role = json_string_value(json_object_get(entry, "role"));
	const char *path = json_string_value(json_object_get(entry, "path"));

	if (g->pid && role && path && !strcmp(role, args_role_name(ARGS_MEDIA)) && !guest_is_inserted(g, path))
		json_object_set_new(entry, "ejected", json_true());
}

/* Checks files that QEMU keeps open and that were replaced on disk. --media=path accepts another version; in place no one has said so,
 * and firmware is loaded only when QEMU starts. A file without a name any more (its package was upgraded) travels as QEMU has it open. */
static int check_replaced(struct files *fs, size_t i, struct err *e)
{
	json_t *entry = json_array_get(fs->described, i);
	const char *path = json_text(entry, "path"), *role = json_text(entry, "role");
	enum args_role is = role ? args_role_of(role) : ARGS_ROLES;
	bool stays_open = is == ARGS_DISK || is == ARGS_MEDIA || is == ARGS_PFLASH_CODE;
	bool other_will_do = fs->src->opt->in_place ? is == ARGS_PFLASH_CODE : !strcmp(json_text(entry, "wish") ?: "", "path");

	if (!stays_open || !path || *path != '/' || !json_is_true(json_object_get(entry, "read_only")) ||
	    json_is_true(json_object_get(entry, "ejected")) || other_will_do || !guest_reads_what_is_there(&fs->src->guest, path, e))
		return 0;
	if (is == ARGS_PFLASH_CODE && fs->src->traits.boots_after && !access(path, F_OK)) {
		report_notice(fs->src->report,
			      "%s (the guest's firmware) was replaced since the guest started: it boots there from the new one", path);
		return 0;
	}
	fs->held[i] = fs->src->opt->in_place ? NULL : process_holds_deleted(fs->src->guest.pid, path);
	if (!fs->held[i])
		return -e->code;
	host_file_look(fs->src->opt, entry, fs->held[i]);
	report_notice(fs->src->report,
		      "%s (the guest's %s) was replaced, or removed, since the guest started: what its QEMU has open goes along", path,
		      args_role_noun(is));
	return 0;
}

/* Files that QEMU read at its start and reads again only at its next one: at the destination it reads their contents as of the move. */
static void tell_what_changed(const struct files *fs, const json_t *entry)
{
	const char *path = json_text(entry, "path"), *role = json_text(entry, "role");
	enum args_role is = role ? args_role_of(role) : ARGS_ROLES;
	const char *how;

	if (!fs->src->traits.carries_memory || !args_role_is_content(is) || is == ARGS_DISK || is == ARGS_MEDIA || is == ARGS_PFLASH_CODE ||
	    is == ARGS_PFLASH_VARS || !path || *path != '/')
		return;
	how = guest_read_another(&fs->src->guest, path);
	if (how)
		report_notice(fs->src->report, "%s (the guest's %s) %s: at the destination it finds what is in it now", path, role, how);
}

/* QEMU makes a block of memory of -bios, as large as the file, and takes no other from its source. */
static int check_bios(const struct files *fs, const json_t *entry, struct err *e)
{
	const char *path = json_text(entry, "path"), *role = json_text(entry, "role");
	json_int_t size = json_integer_value(json_object_get(entry, "size"));
	struct ram_block_place *told;
	struct err ignored;
	bool differs = false;
	size_t n, i;

	if (!fs->src->traits.carries_memory || !role || args_role_of(role) != ARGS_BIOS || !size ||
	    ram_blocks_list(fs->src->qmp, &told, &n, &ignored))
		return 0;
	for (i = 0; i < n; i++)
		differs |= !strcmp(told[i].name, "pc.bios") && told[i].used_bytes != (uint64_t)size;
	free(told);
	return differs ? err_set(e, ENOTSUP,
				 "%s (the guest's firmware) has another size than when its QEMU read it, and QEMU takes no memory of such a guest: put "
				 "the old file back, or let the guest boot there (--how warm)",
				 path)
		       : 0;
}

/* A descriptor was opened by whoever started the guest; here its name would be one of our own. */
static int check_named(const json_t *entry, struct err *e)
{
	const char *path = json_text(entry, "path"), *role = json_text(entry, "role");
	enum args_role is = role ? args_role_of(role) : ARGS_ROLES;

	return path && args_role_is_content(is) && (is != ARGS_DISK || json_is_true(json_object_get(entry, "read_only"))) &&
			       qemu_args_is_stream(path)
		       ? err_set(e, ENOTSUP,
				 "%s (the guest's %s) was given as a descriptor, which no QEMU has at the destination: start the guest with the name "
				 "of that file",
				 path, args_role_noun(is))
		       : 0;
}

static int describe(struct part *p, json_t *out, struct err *e)
{
	struct files *fs = files_of(p);
	const struct guest *g = &fs->src->guest;
	struct args_result r;
	json_t *files;
	int code = 0;

	fs->described = json_array();
	json_object_set(out, "files", fs->described);
	if (guest_look_at_line(g, !fs->src->traits.carries_memory, &r, e))
		return 0; /* the destination comes to the same result, and says it */
	files = args_files_json(&r);
	json_array_extend(fs->described, files);
	json_decref(files);
	while (json_array_size(fs->described) > HOST_FILES_MAX)
		json_array_remove(fs->described, HOST_FILES_MAX);
	fs->held = xcalloc(HOST_FILES_MAX, sizeof(*fs->held));
	for (size_t i = 0; i < json_array_size(fs->described); i++) {
		if (!code && check_named(json_array_get(fs->described, i), e))
			code = source_obstacle(fs->src, e);
		host_file_look(fs->src->opt, json_array_get(fs->described, i), NULL);
		look_at_medium(g, json_array_get(fs->described, i));
		tell_what_changed(fs, json_array_get(fs->described, i));
		if (!code && check_replaced(fs, i, e))
			code = source_obstacle(fs->src, e);
		if (!code && check_bios(fs, json_array_get(fs->described, i), e))
			code = source_obstacle(fs->src, e);
	}
	json_object_set_new(out, "nics", args_nics_json(&r));
	args_result_fini(&r);
	return code;
}

/* ---- which are sent ---- */

/* Opens a file that was offered, by a wish: of all files that the guest has, a destination gets no others (keys, say). */
static int open_file(struct files *fs, json_int_t file, struct err *e)
{
	struct file_out *f = &fs->list[fs->count];
	const json_t *entry = file < 0 ? NULL : json_array_get(fs->described, (size_t)file);
	const char *path = json_text(entry, "path");

	if (!path || !host_file_travels(entry))
		return err_set(e, EPROTO, "the destination wants file %lld, which it was not offered", (long long)file);
	*f = (struct file_out){.file = (uint32_t)file,
			       .path = path,
			       .fd = open_regular(fs->held && file < HOST_FILES_MAX && fs->held[file] ? fs->held[file] : path)};
	if (f->fd < 0)
		return err_sys(e, -f->fd, "cannot read %s, which the guest needs at the destination", path);
	fs->count++;
	f->hash = XXH3_createState();
	XXH3_128bits_reset(f->hash);
	if (fstat(f->fd, &f->st))
		return err_sys(e, errno, "cannot read %s", path);
	fs->left += (uint64_t)f->st.st_size;
	return 0;
}

static int agree(struct part *p, const json_t *accept, struct err *e)
{
	const json_t *carry = json_object_get(accept, "carry");
	struct files *fs = files_of(p);
	json_t *c;
	size_t i;
	int r = 0;

	fs->list = xcalloc(json_array_size(carry) + 1, sizeof(*fs->list));
	json_array_foreach((json_t *)carry, i, c) {
		const char *transfer = json_text(c, "transfer");
		json_int_t file = json_integer_value(json_object_get(c, "file"));

		if (!r && transfer && !strcmp(transfer, "copy"))
			r = open_file(fs, file, e);
	}
	return r;
}

/* ---- sending ---- */

static void send_end(struct files *fs, struct file_out *f)
{
	XXH128_canonical_t digest;
	struct msg_file_end end = {.file = f->file, .size = (uint64_t)f->st.st_size};
	uint8_t buf[64];
	struct writer w = writer_of(buf, sizeof(buf));

	XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(f->hash));
	memcpy(end.digest, digest.digest, sizeof(end.digest));
	msg_file_end_encode(&w, &end);
	channel_post(fs->part.a->control, MSG_FILE_END, buf, writer_len(&w));
}

/* Offset of data at or behind f->at; the size if there is none. */
static uint64_t next_data(const struct file_out *f)
{
	off_t at = lseek(f->fd, (off_t)f->at, SEEK_DATA);

	if (at < 0)
		return errno == ENXIO ? (uint64_t)f->st.st_size : f->at; /* EINVAL: this file system does not tell */
	return MAX((uint64_t)at, f->at);
}

/* 1: a piece was sent; 0: the window is full, or the file is done (f->at is its size); -errno. */
static int send_piece(struct files *fs, struct file_out *f, struct err *e)
{
	uint64_t size = (uint64_t)f->st.st_size, at = next_data(f);
	uint8_t *p, place[8];
	struct writer w = writer_of(place, sizeof(place));
	ssize_t n;

	if (at >= size) {
		f->at = size;
		return 0;
	}
	p = channel_begin(fs->part.a->control, 12 + CHUNK);
	if (!p)
		return 0;
	n = pread(f->fd, p + 12, MIN(CHUNK, size - at), (off_t)at);
	if (n <= 0) { /* an empty piece: the frame that was begun must go */
		err_sys(e, n ? errno : EIO, "cannot read %s", f->path);
		n = 0;
	}
	write_u64(&w, at);
	XXH3_128bits_update(f->hash, place, sizeof(place));
	XXH3_128bits_update(f->hash, p + 12, (size_t)n);
	w = writer_of(p, 12);
	write_u32(&w, f->file);
	write_u64(&w, at);
	channel_commit(fs->part.a->control, MSG_FILE_DATA, 12 + (size_t)n);
	f->at = at + (uint64_t)n;
	fs->sent += (uint64_t)n;
	return n ? 1 : -e->code;
}

static int check_unchanged(const struct file_out *f, struct err *e)
{
	struct stat st;

	if (fstat(f->fd, &st) || st.st_size != f->st.st_size || st.st_mtim.tv_sec != f->st.st_mtim.tv_sec ||
	    st.st_mtim.tv_nsec != f->st.st_mtim.tv_nsec)
		return err_set(e, ESTALE, "%s was changed while it was copied", f->path);
	return 0;
}

static void show(struct files *fs)
{
	double seconds = (double)(now_ns() - fs->begin_ns) / 1e9, rate = (double)fs->sent / seconds;
	uint64_t left = fs->left, i;
	json_t *ev;

	for (i = 0; i < fs->count; i++)
		left -= fs->list[i].at;
	ev = json_pack("{s:s,s:s*,s:s,s:s,s:[]}", "event", "progress", "how", fs->src->how, "stage", "prepare", "file",
		       fs->list[fs->now].path, "disks");
	json_object_set_new(ev, "t_ms", json_real((double)(now_ns() - fs->begin_ns) / 1e6));
	json_object_set_new(ev, "left", json_integer((json_int_t)left));
	json_object_set_new(ev, "disk_left", json_integer((json_int_t)left));
	json_object_set_new(ev, "rate_bps", json_real(rate));
	json_object_set_new(ev, "eta_s", json_real(report_eta_s(left, rate)));
	json_object_set_new(ev, "second", json_true());
	report_emit(fs->src->report, ev);
}

static int on_tick(struct files *fs, struct err *e)
{
	uint64_t limit = data_plane_limit_now(fs->data);
	int r = 1;

	fs->credit = limit ? MIN(fs->credit, 0) + (int64_t)(limit * TICK_MS / 1000) : INT64_MAX / 2;
	while (r > 0 && fs->now < fs->count && fs->credit > 0) {
		struct file_out *f = &fs->list[fs->now];
		uint64_t before = fs->sent;

		r = send_piece(fs, f, e);
		fs->credit -= (int64_t)(fs->sent - before);
		if (r || f->at < (uint64_t)f->st.st_size)
			continue;
		r = check_unchanged(f, e);
		if (r)
			break;
		send_end(fs, f);
		fs->now++;
		r = 1;
	}
	if (r < 0)
		return r;
	if (fs->now == fs->count)
		conductor_tick(&fs->part.a->con, 0);
	else if (++fs->ticks % SECOND == 0)
		show(fs);
	return 0;
}

static int event(struct part *p, const struct event *ev, struct err *e)
{
	struct files *fs = files_of(p);
	bool sending = fs->begin_ns && fs->now < fs->count && p->a->handoff.state == HO_SRC_BEGUN;

	return sending && ev->kind == EVENT_TICK ? on_tick(fs, e) : PART_NOT_MINE;
}

void files_begin(struct files *fs)
{
	fs->begin_ns = now_ns();
	if (fs->count)
		conductor_tick(&fs->part.a->con, TICK_MS);
}

/* ---- their life ---- */

static void fini(struct part *p)
{
	struct files *fs = files_of(p);

	for (size_t i = 0; i < fs->count; i++) {
		close(fs->list[i].fd);
		XXH3_freeState(fs->list[i].hash);
	}
	for (size_t i = 0; fs->held && i < HOST_FILES_MAX; i++)
		free(fs->held[i]);
	free(fs->held);
	free(fs->list);
	json_decref(fs->described);
}

static const struct part_ops ops = {.name = "files", .describe = describe, .agree = agree, .event = event, .fini = fini};

void files_init(struct files *fs, struct source *src, struct data_plane *data)
{
	*fs = (struct files){.part = {&ops, src->part.a}, .src = src, .data = data};
}
