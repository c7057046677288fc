/* tpm.c: see tpm.h. */
#include "tpm.h"
#include "hex.h"
#include "head-start.h"
#include "json-text.h"
#include "messages.h"
#include "open-regular.h"
#include "qemu-args.h"
#include "replica-sync.h"
#include "swtpm-find.h"
#include "swtpm-here.h"
#include "util.h"
#include "xxh.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct tpm *tpm_of(struct part *p)
{
	return container_of(p, struct tpm, part);
}

/* Malloc'ed, or NULL: it has none, or its line cannot be read. */
static char *find_socket(const struct guest *g)
{
	struct args_result r;
	struct err ignored;
	char *socket = NULL;

	if (guest_look_at_line(g, true, &r, &ignored))
		return NULL;
	for (size_t i = 0; i < r.file_count && !socket; i++)
		socket = r.files[i].role == ARGS_TPM ? xstrdup(r.files[i].path) : NULL;
	args_result_fini(&r);
	return socket;
}

static void tell_differences(const struct tpm *t)
{
	if (t->swtpm.left_out)
		report_notice(t->src->report, "the swtpm at the destination, which is the guest's TPM there, runs without %s",
			      t->swtpm.left_out);
}

/* Checks that no swtpm uses the TPM's state. Several, or one whose command line is not understood, count as running; one that cannot be
 * looked at may be running. */
static int check_none_runs(struct tpm *t, struct err *e)
{
	int r = swtpm_find(&t->swtpm, &t->pid, t->socket, e);

	swtpm_fini(&t->swtpm);
	if (r == -ENOENT)
		return 0;
	return r && r != -ENOTSUP
		       ? err_prefix(e, "cannot tell whether the guest's TPM runs")
		       : err_set(e, EBUSY, "the guest's TPM, a swtpm (process %d), runs: end it before the guest is moved", (int)t->pid);
}

/* Finds the TPM of a guest that is shut down, by its start script. */
static int find_at_rest(struct tpm *t, struct err *e)
{
	struct guest *g = &t->src->guest;

	if (!g->tpm.socket || strcmp(g->tpm.socket, t->socket))
		return err_set(
			e, ENOENT,
			"the guest has a TPM at %s, and nothing says where what it keeps is: that is known of a guest whose script starts "
			"its swtpm, as NAME.sh of an earlier move does",
			t->socket);
	/* the swtpm of a guest that ran when the command began does nothing more once that is down */
	if (!t->src->libvirt.is_its && !t->src->opt->cold.head && check_none_runs(t, e))
		return -e->code;
	t->swtpm = g->tpm;
	g->tpm = (struct swtpm){.socket = NULL};
	return 0;
}

/* libvirt has started it, mostly as another user, and ends it. */
static int find_as_defined(struct tpm *t)
{
	struct guest *g = &t->src->guest;

	swtpm_fini(&t->swtpm);
	t->swtpm = g->tpm;
	g->tpm = (struct swtpm){.socket = NULL};
	return 0;
}

/* The swtpm of a guest that is to go cold is noted, as nothing tells of it once the guest is down. */
static int find_for_later(struct tpm *t, struct err *e)
{
	struct swtpm *later = &t->src->opt->cold.head->guest->tpm;
	int r = swtpm_find(&t->swtpm, &t->pid, t->socket, e);

	if (!r && !later->socket)
		*later = swtpm_copy(&t->swtpm);
	return r;
}

static int find_kept(struct tpm *t, struct err *e)
{
	struct stat st;

	if (!t->swtpm.state || *t->swtpm.state != '/')
		return err_set(e, ENOENT,
			       "cannot tell where the guest's TPM, a swtpm, keeps its state: give it a directory by an absolute name "
			       "(--tpmstate dir=/…)");
	t->kept = swtpm_kept_path(&t->swtpm);
	if (stat(t->kept, &st))
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at what the guest's TPM keeps, %s", t->kept);
	return st.st_size <= TPM_FILE_MAX
		       ? 0
		       : err_set(e, EFBIG, "the state of the guest's TPM, %s, is larger than the %d bytes that vmferry can move", t->kept,
				 TPM_FILE_MAX);
}

static void forget(struct tpm *t)
{
	free(t->socket);
	free(t->kept);
	t->socket = t->kept = NULL;
}

static int examine(struct part *p, struct err *e)
{
	struct tpm *t = tpm_of(p);
	const struct head_start *head = t->src->opt->cold.head;
	bool at_rest = !t->src->guest.pid;
	int r = 0;

	t->socket = find_socket(&t->src->guest);
	if (t->socket)
		r = t->src->libvirt.goes_plain				? find_as_defined(t)
		    : head && !head->is_down && !t->src->libvirt.is_its ? find_for_later(t, e)
		    : at_rest						? find_at_rest(t, e)
									: swtpm_find(&t->swtpm, &t->pid, t->socket, e);
	if (t->socket && !r && !t->src->traits.carries_memory)
		r = find_kept(t, e);
	if (r && t->src->opt->replica && !t->src->opt->replica->planned) { /* the replica's host says that it would not start */
		report_notice(t->src->report, "no point has what the guest's TPM keeps: %s", e->msg);
		forget(t);
		return 0;
	}
	if (r) { /* not -ENOTSUP, as other kinds of moves are impossible, too */
		e->code = EINVAL;
		return source_obstacle(t->src, e);
	}
	tell_differences(t);
	return 0;
}

static int describe(struct part *p, json_t *out, struct err *e)
{
	const struct tpm *t = tpm_of(p);

	(void)e;
	if (t->socket)
		json_object_set_new(out, "tpm",
				    json_pack("{s:s,s:b,s:s*,s:s*}", "socket", t->socket, "tpm2", t->swtpm.tpm2, "locality",
					      t->swtpm.locality, "seccomp", t->swtpm.seccomp));
	return 0;
}

static int agree(struct part *p, const json_t *accept, struct err *e)
{
	return tpm_of(p)->socket && !json_text(json_object_get(accept, "tpm"), "dir")
		       ? err_set(e, EINVAL, "the destination's plan says nothing of the guest's TPM: is its vmferry an older one?")
		       : 0;
}

/* ---- what it keeps ---- */

/* Bytes, or -errno. There is none where the guest has never run with it. */
static ssize_t read_kept(struct tpm *t, uint8_t *to, struct err *e)
{
	AUTO_CLOSE int fd = open_regular(t->kept);
	ssize_t n;

	t->sent = (struct stat){.st_ino = 0};
	if (fd == -ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &t->sent))
		return err_sys(e, fd < 0 ? -fd : errno, "cannot read what the guest's TPM keeps, %s", t->kept);
	n = read(fd, to, TPM_FILE_MAX + 1);
	if (n < 0)
		return err_sys(e, errno, "cannot read what the guest's TPM keeps, %s", t->kept);
	return n == t->sent.st_size && n <= TPM_FILE_MAX ? n : err_set(e, ESTALE, "what the guest's TPM keeps, %s, has grown", t->kept);
}

static void send_kept(struct tpm *t, const uint8_t *bytes, size_t n)
{
	AUTO_FREE uint8_t *buf = xmalloc(12 + TPM_FILE_MAX);
	struct msg_file_end end = {.file = TPM_FILE, .size = n};
	struct writer w = writer_of(buf, 12);
	XXH128_canonical_t digest;

	write_u32(&w, TPM_FILE);
	write_u64(&w, 0);
	memcpy(buf + 12, bytes, n);
	XXH128_canonicalFromHash(&digest, XXH3_128bits(buf + 4, 8 + n));
	if (n)
		channel_post(t->part.a->control, MSG_FILE_DATA, buf, 12 + n);
	memcpy(end.digest, digest.digest, sizeof(end.digest));
	w = writer_of(buf, 64);
	msg_file_end_encode(&w, &end);
	channel_post(t->part.a->control, MSG_FILE_END, buf, writer_len(&w));
}

int tpm_send(struct tpm *t, struct err *e)
{
	AUTO_FREE uint8_t *bytes = t->kept ? xmalloc(TPM_FILE_MAX + 1) : NULL;
	ssize_t n = t->kept ? read_kept(t, bytes, e) : 0;

	if (n < 0)
		return -e->code;
	if (t->kept)
		send_kept(t, bytes, (size_t)n);
	return 0;
}

int tpm_take(struct tpm *t, struct err *e)
{
	AUTO_FREE uint8_t *bytes = t->kept ? xmalloc(TPM_FILE_MAX + 1) : NULL;
	ssize_t n = t->kept ? read_kept(t, bytes, e) : 0;

	if (t->kept && !n) /* a swtpm has written it by the time that its QEMU speaks to it */
		n = err_set(e, ENOENT, "what the guest's TPM keeps is not in %s, and a run from a point would begin with an empty one",
			    t->kept);
	free(t->taken);
	t->taken = n > 0 ? hex_format(bytes, (size_t)n, xmalloc(2 * (size_t)n + 1)) : NULL;
	return n < 0 ? -e->code : 0;
}

json_t *tpm_taken(const struct tpm *t)
{
	return t->kept ? json_pack("{s:s*}", "kept", t->taken) : NULL;
}

static bool differ(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec || a->tv_nsec != b->tv_nsec;
}

int tpm_unchanged(const struct tpm *t, struct err *e)
{
	struct stat st = {.st_ino = 0};

	if (!t->kept || (stat(t->kept, &st) && errno == ENOENT && !t->sent.st_ino))
		return 0;
	return st.st_ino != t->sent.st_ino || differ(&st.st_mtim, &t->sent.st_mtim) || differ(&st.st_ctim, &t->sent.st_ctim)
		       ? err_set(e, ESTALE, "what the guest's TPM keeps, %s, was changed while the guest was moved", t->kept)
		       : 0;
}

static void tell(const struct part *p, enum part_tale tale, json_t *out)
{
	const struct tpm *t = container_of(p, const struct tpm, part);

	json_t *left;

	if (tale != TELL_RESULT || !t->socket || t->src->libvirt.goes_plain || p->a->handoff.state != HO_SRC_RELEASED)
		return;
	left = json_pack("{s:s*}", "dir", t->swtpm.state && text_is_utf8(t->swtpm.state) ? t->swtpm.state : NULL);
	if (!t->swtpm.terminates && t->pid)
		json_object_set_new(left, "pid", json_integer(t->pid));
	json_object_set_new(out, "tpm_left", left);
}

static void fini(struct part *p)
{
	free(tpm_of(p)->socket);
	free(tpm_of(p)->kept);
	free(tpm_of(p)->taken);
	swtpm_fini(&tpm_of(p)->swtpm);
}

static const struct part_ops ops =
	{.name = "tpm", .apart = true, .examine = examine, .describe = describe, .agree = agree, .tell = tell, .fini = fini};

void tpm_init(struct tpm *t, struct source *src)
{
	*t = (struct tpm){.part = {&ops, src->part.a}, .src = src};
}
