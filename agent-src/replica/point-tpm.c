/* point-tpm.c: the TPM of a guest that runs from a point of its replica: a swtpm of its own, which begins with what the primary's kept at that point. See point-run.h. */
#include "hex.h"
#include "json-text.h"
#include "point-run.h"
#include "swtpm-here.h"
#include "unit-text.h"
#include "util.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define END_MS 10000

static const json_t *described(const struct run *r)
{
	return json_object_get(json_object_get(r->point->json, "guest"), "tpm");
}

/* A trial's goes with its overlays. The guest's own stays with it, as its disks do: its name is of this pair and term alone. */
static char *place(const struct run *r)
{
	AUTO_FREE char *plain = unit_plain_name(r->guest);

	return strcmp(r->kind, "test") ? xasprintf("%s/%s.tpm-%.6s%02llx", r->home, plain, json_text(r->store.replica, "pair") ?: "",
						   (unsigned long long)r->term + 1)
				       : xasprintf("%s/tpm", r->dir);
}

int run_plan_tpm(struct run *r, struct err *e)
{
	const json_t *said = described(r);
	const char *locality = json_text(said, "locality"), *seccomp = json_text(said, "seccomp");

	if (!said)
		return 0;
	if ((locality && !swtpm_locality_is_known(locality)) || (seccomp && !swtpm_seccomp_is_known(seccomp)))
		return err_set(e, EBADMSG, "the point's description of the guest's TPM cannot be understood");
	r->tpm_exe = swtpm_program();
	if (!r->tpm_exe)
		return err_set(
			e, ENOENT,
			"the guest has a TPM, and there is no swtpm here that could be it: install it (on Debian: apt install swtpm)");
	r->tpm = (struct swtpm){.tpm2 = json_is_true(json_object_get(said, "tpm2")),
				.state = place(r),
				.locality = locality ? xstrdup(locality) : NULL,
				.seccomp = seccomp ? xstrdup(seccomp) : NULL};
	r->tpm.socket = xasprintf("%s/socket", r->tpm.state);
	if (strchr(r->tpm.state, ',') || strlen(r->tpm.socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return err_set(e, EINVAL, "the guest's TPM cannot be at %s: the name is too long for a socket, or has a comma in it",
			       r->tpm.socket);
	return access(r->tpm.state, F_OK)
		       ? 0
		       : err_set(e, EEXIST, "%s is there already: is it a TPM of this guest? Move it away first", r->tpm.state);
}

static int fill(const struct run *r, struct err *e)
{
	const char *kept = json_text(json_object_get(r->point->json, "tpm"), "kept");
	size_t n = kept ? strlen(kept) / 2 : 0;
	AUTO_FREE uint8_t *bytes = xmalloc(n + 1);

	if (n && !hex_parse(kept, bytes, n))
		return err_set(e, EBADMSG, "what the guest's TPM kept at point %llu cannot be read", (unsigned long long)r->point->number);
	if (mkdir(r->tpm.state, 0700))
		return err_sys(e, errno, "cannot make %s", r->tpm.state);
	return n ? swtpm_fill(&r->tpm, bytes, n, e) : 0;
}

/* A swtpm is noted before it is one, as its QEMU is. */
static int note(void *ctx, const struct qemu_proc *p, struct err *e)
{
	struct run *r = ctx;
	const json_t *had = json_object_get(r->store.replica, r->kind);
	json_t *run = had ? json_copy((json_t *)(uintptr_t)had) : json_object();
	AUTO_FREE char *boot = boot_id();

	json_object_set_new(run, "tpm",
			    json_pack("{s:s,s:i,s:I,s:s*}", "dir", r->tpm.state, "pid", (int)p->pid, "start_time",
				      (json_int_t)p->start_time, "boot_id", boot));
	return points_set(&r->store, r->kind, run, e);
}

int run_start_tpm(struct run *r, struct loop *l, struct err *e)
{
	return r->tpm.socket ? fill(r, e) ?: swtpm_begin(&r->tpm_proc, &r->tpm, r->tpm_exe, NULL, note, r, l, e) : 0;
}

char **run_tpm_line(const struct run *r)
{
	return r->tpm.socket ? swtpm_line(&r->tpm, r->tpm_exe, true) : NULL;
}

void run_end_tpm(struct run *r)
{
	if (r->tpm_proc.pid)
		qemu_end(&r->tpm_proc);
}

int run_remove_tpm(const json_t *run, struct err *e)
{
	const json_t *tpm = json_object_get(run, "tpm");
	const char *dir = json_text(tpm, "dir");
	pid_t pid = run_pid_of(tpm);
	int k = pid ? process_end(pid, (uint64_t)json_integer_value(json_object_get(tpm, "start_time")), END_MS, e) : 0;

	return k || !dir ? k : swtpm_dir_remove(dir, e);
}
