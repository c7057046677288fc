/* ova.c: see ova.h. The format of tar: POSIX.1-2008, pax; "base-256" sizes are GNU's. */
#include "ova.h"
#include "bundle-tar.h"
#include "hex.h"
#include "pax.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define BLOCK	     512u
#define NAME_MAX_LEN 255
#define MANIFEST_MAX (1u << 20)
#define READ_BYTES   (1u << 20)

bool plain_file_name(const char *name)
{
	const unsigned char *p;

	if (!*name || strlen(name) > NAME_MAX_LEN || !strcmp(name, ".") || !strcmp(name, "..") || !text_is_utf8(name))
		return false;
	for (p = (const unsigned char *)name; *p; p++)
		if (*p < 0x20 || *p == 0x7f || *p == '/' || *p == '\\' || *p == ':')
			return false;
	return true;
}

bool file_name_below(const char *name)
{
	AUTO_FREE char *copy = xstrdup(name);
	char *part = copy, *slash;

	if (strlen(name) > NAME_MAX_LEN)
		return false;
	for (; (slash = strchr(part, '/')); part = slash + 1) {
		*slash = '\0';
		if (!plain_file_name(part))
			return false;
	}
	return plain_file_name(part);
}

/* ---- tar ---- */

struct tar {
	int fd;
	uint64_t at, end;
	/* a pax header gives these for the next member */
	char *name;
	bool has_size;
	uint64_t size;
};

static int read_at(const struct tar *t, void *to, size_t n, uint64_t at, struct err *e)
{
	uint8_t *p = to;

	while (n) {
		ssize_t r = pread(t->fd, p, n, (off_t)at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return err_sys(e, errno, "cannot read it");
		if (r == 0)
			return err_set(e, EINVAL, "the archive ends in the middle of a member");
		p += r;
		n -= (size_t)r;
		at += (uint64_t)r;
	}
	return 0;
}

static int read_pax(struct tar *t, uint64_t size, struct err *e)
{
	AUTO_FREE char *text = NULL;
	const char *key, *value;
	char *p;
	int r;

	if (size > PAX_MAX)
		return err_set(e, EINVAL, "an extended header is longer than %u KiB", PAX_MAX >> 10);
	p = text = xcalloc(1, size + 1);
	r = read_at(t, text, size, t->at, e);
	while (!r && (r = pax_next(&p, text + size, &key, &value, e)) == 1) {
		r = 0;
		if (!strcmp(key, "path")) {
			free(t->name);
			t->name = xstrdup(value);
		} else if (!strcmp(key, "size")) {
			r = pax_number(value, &t->size, e);
			t->has_size = true;
		} else if (!strncmp(key, "GNU.sparse", 10)) {
			r = err_set(e, EINVAL, "the archive has a sparse member, which no OVA has");
		}
	}
	return r;
}

static char *name_of(struct tar *t, const struct tar_member *m)
{
	char *name = t->name;

	t->name = NULL;
	if (name)
		return name;
	return xasprintf("%s%s%s", m->prefix, *m->prefix ? "/" : "", m->name);
}

static int add_member(struct ova *o, struct tar *t, const struct tar_member *m, struct err *e)
{
	char *name = name_of(t, m), *plain = strncmp(name, "./", 2) ? name : name + 2;
	int r = 0;

	if (!*plain && m->type == '5') /* "./", as tar has it of a directory that is packed whole */
		;
	else if (!plain_file_name(plain))
		r = err_set(e, EINVAL, "the archive has a member '%.100s', which is not the name of a file beside the others", name);
	else if (m->type != '0' && m->type)
		r = err_set(e, EINVAL, "the member '%.100s' is not a regular file", name);
	else if (ova_find(o, plain))
		r = err_set(e, EINVAL, "the archive has two members '%.100s'", name);
	else if (o->n == OVA_MEMBERS_MAX)
		r = err_set(e, EINVAL, "the archive has more than %d members", OVA_MEMBERS_MAX);
	else
		o->members[o->n++] = (struct ova_member){xstrdup(plain), t->at, m->size};
	free(name);
	return r;
}

/* 1: the end of the archive. */
static int read_member(struct ova *o, struct tar *t, struct err *e)
{
	struct tar_member m;
	uint8_t h[BLOCK];
	int r = t->end - t->at < BLOCK ? err_set(e, EINVAL, "cut off") : read_at(t, h, BLOCK, t->at, e);

	if (r)
		return r;
	r = tar_header_read(h, &m);
	if (!r)
		return 1;
	if (r < 0)
		return err_set(e, EINVAL, "not a tar archive, or is damaged at byte %llu", (unsigned long long)t->at);
	t->at += BLOCK;
	if (m.type != 'x' && t->has_size)
		m.size = t->size;
	if (m.size > t->end - t->at)
		return err_set(e, EINVAL, "cut off: a member is longer than what is left of it");
	if (m.type == 'x') {
		r = read_pax(t, m.size, e);
	} else {
		r = add_member(o, t, &m, e);
		t->has_size = false;
	}
	m.size = (m.size + BLOCK - 1) / BLOCK * BLOCK;
	t->at += MIN(m.size, t->end - t->at);
	return r;
}

int ova_read(struct ova *o, int fd, struct err *e)
{
	struct tar t = {.fd = fd};
	struct stat st;
	int r;

	*o = (struct ova){.n = 0};
	if (fstat(fd, &st))
		return err_sys(e, errno, "cannot read it");
	t.end = (uint64_t)st.st_size;
	do
		r = read_member(o, &t, e);
	while (!r);
	free(t.name);
	return r == 1 ? 0 : r;
}

void ova_fini(struct ova *o)
{
	while (o->n)
		free(o->members[--o->n].name);
}

const struct ova_member *ova_find(const struct ova *o, const char *name)
{
	for (size_t i = 0; i < o->n; i++)
		if (!strcmp(o->members[i].name, name))
			return &o->members[i];
	return NULL;
}

/* ---- manifests ---- */

static const struct {
	const char *name;
	size_t bytes;
} digests[] = {{"SHA1", 20}, {"SHA256", 32}, {"SHA512", 64}};

static int parse_line(struct manifest_line *l, char *line, unsigned at, struct err *e)
{
	char *open = strchr(line, '('), *close = strrchr(line, ')'), *name, *hex;
	__typeof__(&digests[0]) digest;

	if (!open || !close || close < open)
		return err_set(e, EINVAL, "line %u is not DIGEST(FILE)= …", at);
	name = open + 1;
	*open = *close = '\0';
	while (open > line && open[-1] == ' ')
		*--open = '\0';
	digest = ROW_OF_ANY_CASE(digests, name, line);
	if (!digest)
		return err_set(e, EINVAL, "line %u has a digest that is not known ('%.20s')", at, line);
	hex = close + 1;
	hex += strspn(hex, " \t");
	if (*hex++ != '=')
		return err_set(e, EINVAL, "line %u is not DIGEST(FILE)= …", at);
	hex += strspn(hex, " \t");
	hex[strcspn(hex, " \t\r")] = '\0';
	l->digest = digest->name;
	l->bytes = digest->bytes;
	if (strlen(hex) != 2 * l->bytes || !hex_parse(hex, l->value, l->bytes))
		return err_set(e, EINVAL, "line %u has no digest of %zu bytes", at, l->bytes);
	name += strncmp(name, "./", 2) ? 0 : 2;
	if (!file_name_below(name))
		return err_set(e, EINVAL, "line %u names '%.100s', which is not a file beside it", at, name);
	l->name = xstrdup(name);
	return 0;
}

int manifest_parse(struct manifest *m, const char *text, size_t n, struct err *e)
{
	AUTO_FREE char *copy = NULL;
	char *line, *save = NULL;
	unsigned at = 0;
	int r = 0;

	*m = (struct manifest){.n = 0};
	if (n > MANIFEST_MAX || memchr(text, '\0', n))
		return err_set(e, EINVAL, "not a text of at most %u KiB", MANIFEST_MAX >> 10);
	copy = xasprintf("%.*s", (int)n, text);
	for (line = strtok_r(copy, "\n", &save); line && !r; line = strtok_r(NULL, "\n", &save)) {
		at++;
		if (!line[strspn(line, " \t\r")])
			continue;
		if (m->n == OVA_MEMBERS_MAX)
			return err_set(e, EINVAL, "the manifest has more than %d lines", OVA_MEMBERS_MAX);
		m->lines = xrealloc(m->lines, (m->n + 1) * sizeof(*m->lines));
		m->lines[m->n] = (struct manifest_line){.name = NULL};
		r = parse_line(&m->lines[m->n++], line, at, e);
	}
	return r;
}

void manifest_fini(struct manifest *m)
{
	while (m->n)
		free(m->lines[--m->n].name);
	free(m->lines);
	m->lines = NULL;
}

static int digest_of(const struct manifest_line *l, EVP_MD_CTX *md, int fd, uint64_t at, uint64_t left, digest_progress_fn progress,
		     void *ctx, struct err *e)
{
	AUTO_FREE uint8_t *buf = xmalloc(READ_BYTES);
	uint8_t value[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	while (left) {
		ssize_t r = pread(fd, buf, MIN(left, READ_BYTES), (off_t)at);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r ? err_sys(e, errno, "cannot read %s", l->name) : err_set(e, EIO, "%s became shorter", l->name);
		EVP_DigestUpdate(md, buf, (size_t)r);
		at += (uint64_t)r;
		left -= (uint64_t)r;
		if (progress && progress(ctx, (uint64_t)r) < 0)
			return err_set(e, ECANCELED, "interrupted");
	}
	EVP_DigestFinal_ex(md, value, &n);
	if (n != l->bytes || memcmp(value, l->value, n))
		return err_set(e, EBADMSG, "%s is damaged: its %s is not what the manifest says", l->name, l->digest);
	return 0;
}

int manifest_check(const struct manifest_line *l, int fd, uint64_t offset, uint64_t size, digest_progress_fn progress, void *ctx,
		   struct err *e)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int r;

	if (!md || !EVP_DigestInit_ex(md, EVP_get_digestbyname(l->digest), NULL))
		r = err_set(e, ENOTSUP, "OpenSSL has no %s", l->digest);
	else
		r = digest_of(l, md, fd, offset, size, progress, ctx, e);
	EVP_MD_CTX_free(md);
	return r;
}
