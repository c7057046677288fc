/* arriving-tpm.c: see arriving-tpm.h. */
#include "arriving-tpm.h"
#include "durable-file.h"
#include "fault.h"
#include "json-text.h"
#include "messages.h"
#include "made.h"
#include "swtpm-here.h"
#include "systemd.h"
#include "unit-text.h"
#include "util.h"
#include "xxh.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_PATH_MAX 107 /* sizeof(sun_path) - 1 */
#define END_MS		10000
#define SWTPM_DIR	"/var/lib/libvirt/swtpm"

static struct tpm *tpm_of(struct part *p)
{
	return container_of(p, struct tpm, part);
}

/* ---- the plan ---- */

/* Takes the source's description of its TPM. Values may only stand in our line if we know them. */
static int take(struct tpm *t, const json_t *said, struct err *e)
{
	const char *locality = json_text(said, "locality"), *seccomp = json_text(said, "seccomp");

	t->from = json_text(said, "socket");
	if (!t->from || (locality && !swtpm_locality_is_known(locality)) || (seccomp && !swtpm_seccomp_is_known(seccomp)))
		return err_set(e, EPROTO, "the source's description of the guest's TPM cannot be understood");
	t->swtpm.tpm2 = json_is_true(json_object_get(said, "tpm2"));
	t->swtpm.locality = xstrdup(locality);
	t->swtpm.seccomp = xstrdup(seccomp);
	return 0;
}

/* The UUID by which libvirt finds the TPM's state, which it gives to swtpm's user, when it starts the guest. NULL: the guest is not
 * libvirt's. */
static const char *uuid_of(const struct tpm *t)
{
	const char *uuid = json_text(json_object_get(t->target->description, "definition"), "uuid");

	return uuid && !strchr(uuid, '/') ? uuid : NULL;
}

/* Chooses the place of the TPM's state: where libvirt looks for it, or beside the guest's disks. */
static int place(struct tpm *t, struct err *e)
{
	AUTO_FREE char *plain = unit_plain_name(t->target->name);
	char id[2 * ATTEMPT_ID_LEN + 1];

	if (uuid_of(t)) {
		t->above = xasprintf(SWTPM_DIR "/%s", uuid_of(t));
		t->swtpm.state = xasprintf("%s/%s", t->above, t->swtpm.tpm2 ? "tpm2" : "tpm1.2");
		t->swtpm.socket = xasprintf("%s/socket", t->swtpm.state);
		return 0;
	}
	t->swtpm.state = xasprintf("%s/%s.tpm-%.8s", t->target->dir, plain, attempt_id_format(t->part.a->id, id));
	t->swtpm.socket = xasprintf("%s/socket", t->swtpm.state);
	if (strchr(t->swtpm.state, ','))
		return err_set(e, EINVAL,
			       "the guest's TPM would be in %s, and swtpm takes no name with a comma in it: choose another --disk-dir",
			       t->swtpm.state);
	if (strlen(t->swtpm.socket) > SOCKET_PATH_MAX)
		return err_set(
			e, ENAMETOOLONG,
			"the socket of the guest's TPM would be %s, longer than the %d bytes that a socket's name may have: choose a "
			"--disk-dir with a shorter name",
			t->swtpm.socket, SOCKET_PATH_MAX);
	return 0;
}

static int examine(struct part *p, struct err *e)
{
	struct tpm *t = tpm_of(p);
	const json_t *said = json_object_get(t->target->description, "tpm");
	int r;

	if (!said)
		return 0;
	r = take(t, said, e);
	if (r)
		return r;
	t->exe = fault_point("dst-no-swtpm") ? NULL : swtpm_program();
	if (!t->exe) {
		err_set(e, ENOENT,
			"the guest has a TPM, and there is no swtpm at the destination that could be it there: install it (on Debian: apt "
			"install swtpm)");
		target_obstacle(t->target, e);
	}
	t->awaited = !target_has_state(t->target);
	return place(t, e) ? target_obstacle(t->target, e) : 0;
}

static int describe(struct part *p, json_t *accept, struct err *e)
{
	const struct tpm *t = tpm_of(p);

	(void)e;
	if (t->from)
		json_object_set_new(accept, "tpm", json_pack("{s:s,s:s}", "program", t->exe, "dir", t->swtpm.state));
	return 0;
}

/* ---- making it ---- */

/* The state of an earlier stay here, which nothing has any more. */
static int set_aside(struct tpm *t, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	AUTO_FREE char *to = xasprintf("%s.vmferry-%.8s", t->above, attempt_id_format(t->part.a->id, id));
	int r;

	if (access(t->above, F_OK))
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", t->above);
	r = attempt_own(t->part.a, "tpm-aside", json_pack("{s:s,s:s}", "path", t->above, "aside", to), e);
	if (r)
		return r;
	r = rename_new(t->above, to);
	if (r)
		return err_sys(e, -r, "cannot give %s, of an earlier stay of the guest, another name", t->above);
	json_array_append_new(
		t->target->notices,
		json_sprintf(
			"vmferry renamed what the guest's TPM held in an earlier stay to %s: you may delete it once the guest has arrived",
			to));
	return 0;
}

/* The directories of libvirt's, as libvirt makes them: another user's swtpm goes through them. */
static int make_above(struct tpm *t, struct err *e)
{
	int r = set_aside(t, e);

	if (!r && make_dir_as(SWTPM_DIR, 0711) && errno != EEXIST)
		r = err_sys(e, errno, "cannot create " SWTPM_DIR);
	r = r ?: made_own(t->part.a, "tpm-dir", t->above, e);
	return !r && make_dir_as(t->above, 0711) ? err_sys(e, errno, "cannot create %s", t->above) : r;
}

static int prepare(struct part *p, struct err *e)
{
	struct tpm *t = tpm_of(p);
	int r = t->from && t->above ? make_above(t, e) : 0;

	if (r)
		return r;
	r = t->from ? made_own(p->a, "tpm-dir", t->swtpm.state, e) : 0;

	return !r && t->from && mkdir(t->swtpm.state, 0700) ? err_sys(e, errno, "cannot create %s", t->swtpm.state) : r;
}

static json_t *detail_of(const struct tpm *t, const struct qemu_proc *proc)
{
	return json_pack("{s:s,s:i,s:I}", "path", t->swtpm.socket, "pid", (int)proc->pid, "start_time", (json_int_t)proc->start_time);
}

/* The journal knows of it before it is a swtpm. */
static int note(void *ctx, const struct qemu_proc *proc, struct err *e)
{
	struct tpm *t = ctx;
	int r;

	fault_point("dst-swtpm-forked");
	r = attempt_own(t->part.a, "swtpm", detail_of(t, proc), e);
	fault_point("dst-swtpm-noted");
	return r;
}

/* The scope of the TPM, as for the guest's QEMU: it ends with that. */
static char **scope_of(const struct tpm *t)
{
	AUTO_FREE char *plain = unit_plain_name(t->target->name);
	AUTO_FREE char *unit = xasprintf("vmferry-%s-%d-tpm.scope", plain, (int)getpid());
	AUTO_FREE char *description = xasprintf("TPM of guest %s", plain);
	struct err ignored; /* told of the guest's */

	return systemd_scope(unit, description, &ignored);
}

int tpm_start(struct tpm *t, struct err *e)
{
	char **scope = t->from ? scope_of(t) : NULL;
	int r = t->from ? swtpm_begin(&t->proc, &t->swtpm, t->exe, scope, note, t, t->part.a->loop, e) : 0;

	free_words(scope);
	fault_point("dst-swtpm-launched");
	return r;
}

char **tpm_start_line(const struct tpm *t)
{
	return t->from ? swtpm_line(&t->swtpm, t->exe, true) : NULL;
}

/* ---- what the source's keeps ---- */

static int on_data(struct tpm *t, const struct event *ev, struct err *e)
{
	struct msg_file_data d;

	if (msg_file_data_decode(&d, ev->bytes, ev->n) || d.file != TPM_FILE)
		return err_set(e, EPROTO, "the source sent a FILE_DATA of %zu bytes that cannot be read, or is not expected", ev->n);
	if (t->kept || d.offset || d.bytes.n > TPM_FILE_MAX)
		return err_set(e, EPROTO, "the source sends more of what the guest's TPM keeps than one piece of at most %d bytes",
			       TPM_FILE_MAX);
	t->kept = xmalloc(8 + d.bytes.n);
	memset(t->kept, 0, 8); /* the state's offset, for the digest */
	memcpy(t->kept + 8, d.bytes.p, d.bytes.n);
	t->kept_bytes = d.bytes.n;
	return 0;
}

static int on_end(struct tpm *t, const struct event *ev, struct err *e)
{
	XXH128_canonical_t digest;
	struct msg_file_end end;

	if (msg_file_end_decode(&end, ev->bytes, ev->n) || end.file != TPM_FILE)
		return err_set(e, EPROTO, "the source sent a FILE_END of %zu bytes that cannot be read, or is not expected", ev->n);
	if (t->kept)
		XXH128_canonicalFromHash(&digest, XXH3_128bits(t->kept, 8 + t->kept_bytes));
	if (end.size != t->kept_bytes || (t->kept && memcmp(digest.digest, end.digest, sizeof(digest.digest))))
		return err_set(e, EBADMSG, "what the guest's TPM keeps is not here as the source sent it");
	t->awaited = false;
	return 0;
}

static int event(struct part *p, const struct event *ev, struct err *e)
{
	struct tpm *t = tpm_of(p);

	if (ev->kind != EVENT_FRAME || !t->from || !t->awaited || (ev->type != MSG_FILE_DATA && ev->type != MSG_FILE_END))
		return PART_NOT_MINE;
	return ev->type == MSG_FILE_DATA ? on_data(t, ev, e) : on_end(t, ev, e);
}

int tpm_fill(struct tpm *t, struct err *e)
{
	return t->from && t->kept ? swtpm_fill(&t->swtpm, t->kept + 8, t->kept_bytes, e) : 0;
}

/* ---- it has been loaded, or filled ---- */

static int sync_tpm_file(const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fault_point("dst-tpm-not-durable"))
		return err_set(e, EIO, "what the guest's TPM holds is not written, as was asked for");
	return fd < 0 || fsync(fd) ? err_sys(e, errno, "cannot write what the guest's TPM holds, %s", path) : 0;
}

/* Syncs a regular file; lstat() tells the type, as not all file systems do when listing. */
static int sync_if_file(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st))
		return err_sys(e, errno, "cannot look at what the guest's TPM holds, %s", path);
	return S_ISREG(st.st_mode) ? sync_tpm_file(path, e) : 0;
}

int tpm_settle(struct tpm *t, struct err *e)
{
	struct dirent *x;
	DIR *d;
	int r = 0;

	if (!t->from)
		return 0;
	if (t->proc.pid && !qemu_is_alive(t->proc.pid, t->proc.start_time))
		return err_set(e, ECHILD, "the guest's TPM at the destination, a swtpm, has ended");
	d = opendir(t->swtpm.state);
	if (!d)
		return err_sys(e, errno, "cannot look into %s", t->swtpm.state);
	while (!r && (x = readdir(d))) {
		AUTO_FREE char *path = xasprintf("%s/%s", t->swtpm.state, x->d_name);

		r = sync_if_file(path, e);
	}
	closedir(d);
	return r ?: sync_parent_dir(t->swtpm.socket, e) ?: sync_parent_dir(t->swtpm.state, e);
}

/* ---- undoing ---- */

/* Ends swtpm, unless the guest runs on: then QEMU needs it. Otherwise QEMU has ended already. */
static int undo_swtpm(struct part *p, const json_t *detail, struct err *e)
{
	const struct target *t = tpm_of(p)->target;

	return t->keep_guest || made_is_rebooted(t)
		       ? 0
		       : process_end((pid_t)json_integer_value(json_object_get(detail, "pid")),
				     (uint64_t)json_integer_value(json_object_get(detail, "start_time")), END_MS, e);
}

int tpm_forget(struct tpm *t, struct err *e)
{
	json_t *detail;
	int r;

	if (!t->from || !t->proc.pid)
		return 0;
	detail = detail_of(t, &t->proc);
	qemu_end(&t->proc);
	r = swtpm_dir_empty(t->swtpm.state, e);
	attempt_disown(t->part.a, "swtpm", detail);
	return r;
}

static int undo_dir(struct part *p, const json_t *detail, struct err *e)
{
	return tpm_of(p)->target->keep_guest ? 0 : swtpm_dir_remove(json_text(detail, "path") ?: "", e);
}

/* Gives the old state its name back, unless the guest stays here: then it is obsolete. */
static int undo_aside(struct part *p, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path"), *aside = json_text(detail, "aside");
	struct stat st;
	int r;

	if (tpm_of(p)->target->keep_guest || !path || !aside || lstat(aside, &st))
		return 0;
	r = rename_new(aside, path);
	return r ? err_sys(e, -r, "cannot give %s its name %s back", aside, path) : 0;
}

static void fini(struct part *p)
{
	struct tpm *t = tpm_of(p);

	free(t->above);

	swtpm_fini(&t->swtpm);
	free(t->exe);
	free(t->kept);
}

static const struct part_undo undo[] = {{"tpm-dir", "what its TPM holds", undo_dir},
					{"tpm-aside", "what an older TPM of it held", undo_aside},
					{"swtpm", "its TPM, a swtpm", undo_swtpm},
					{NULL, NULL, NULL}};

static const struct part_ops ops =
	{.name = "tpm", .examine = examine, .describe = describe, .prepare = prepare, .event = event, .undo = undo, .fini = fini};

void tpm_init(struct tpm *t, struct target *target)
{
	*t = (struct tpm){.part = {&ops, target->part.a}, .target = target, .proc = QEMU_PROC_NONE};
}
