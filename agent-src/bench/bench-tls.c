/*
 * bench-tls.c: what QEMU's own migration and NBD need for TLS: a key that both ends have. One for the whole run, in a directory of
 * its own at each side, which goes with all the others there.
 */
#include "bench.h"
#include "hex.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEY_FILE  "keys.psk" /* name that QEMU expects */
#define USER	  "qemu"     /* user as which its clients come, unless they are told otherwise */
#define KEY_BYTES 32
#define TRIAL_MS  10000
#define MORE_MS	  1000 /* after its first words */

static const struct tool *first_with_tls(const struct bench_plan *p)
{
	for (unsigned i = 0; i < p->tool_count; i++)
		if (p->tools[i].tls && p->tools[i].kind != TOOL_VMFERRY)
			return &p->tools[i];
	return NULL;
}

/* A QEMU is to take a key from where none is yet, and ends at once. Only one that has TLS misses the file. */
static int trial(struct bench *b, struct side *s, const struct tool *t, struct err *e)
{
	AUTO_FREE char *object = xasprintf("tls-creds-psk,id=tls,endpoint=client,dir=%s", s->keys), *log = xasprintf("%s/log", s->keys);
	char *argv[] = {(char *)s->qemu, "-machine", "none", "-nodefaults", "-display", "none", "-object", object, NULL};
	uint64_t until_ns = now_ns() + TRIAL_MS * 1000000ULL;
	char said[600] = "";
	bool heard = false;
	pid_t pid;
	int r = s->ops->spawn(s, argv, -1, log, &pid, e);

	if (r)
		return r;
	while (!r && !strstr(said, KEY_FILE)) {
		r = bench_step(b, until_ns, 20, e);
		s->ops->tail(s, log, said, sizeof(said));
		if (*said && !heard)
			until_ns = MIN(until_ns, now_ns() + MORE_MS * 1000000ULL);
		heard = *said;
	}
	s->ops->remove(s, pid, NULL);
	if (r != -ETIMEDOUT)
		return r;
	return err_set(e, ENOTSUP, "%s needs TLS with a key (tls-creds-psk, of GnuTLS), which %s at %s does not have%s%s", t->text, s->qemu,
		       s->there ? b->host : "this host", *said ? "; it said: " : "", said);
}

int key_make(const char *user, char text[KEY_TEXT_MAX], struct err *e)
{
	uint8_t key[KEY_BYTES];
	char hex[2 * KEY_BYTES + 1];

	if (getentropy(key, sizeof(key)))
		return err_sys(e, errno, "cannot make a key");
	hex_format(key, sizeof(key), hex);
	snprintf(text, KEY_TEXT_MAX, "%s:%s\n", user, hex);
	return 0;
}

int tls_prepare(struct bench *b, struct err *e)
{
	const struct tool *t = first_with_tls(&b->plan);
	char text[KEY_TEXT_MAX];
	int r;

	if (!t)
		return 0;
	r = key_make(USER, text, e);
	for (unsigned i = 0; i < ARRAY_LEN(b->sides) && !r; i++) {
		struct side *s = &b->sides[i];

		s->keys = bench_folder(b, i, e);
		r = s->keys ? trial(b, s, t, e) : -e->code;
		if (!r) {
			AUTO_FREE char *path = xasprintf("%s/" KEY_FILE, s->keys);

			r = s->ops->file(s, path, text, e);
		}
	}
	return r;
}

void tls_fini(struct bench *b)
{
	for (unsigned i = 0; i < ARRAY_LEN(b->sides); i++)
		free(b->sides[i].keys);
}
