/* ssh-format.c: see ssh-format.h. */
#include "ssh-format.h"
#include "util.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define HASH_BYTES  20 /* HMAC-SHA1 of a hashed name */
#define MSG_KEXINIT 20

/* ---- a cursor over SSH's strings, RFC 4251, 5 ---- */

struct text {
	const uint8_t *p;
	size_t n;
};

static bool take_u32(struct text *c, uint32_t *v)
{
	if (c->n < 4)
		return false;
	*v = (uint32_t)c->p[0] << 24 | (uint32_t)c->p[1] << 16 | (uint32_t)c->p[2] << 8 | c->p[3];
	c->p += 4;
	c->n -= 4;
	return true;
}

static bool take_string(struct text *c, struct text *out)
{
	uint32_t n;

	if (!take_u32(c, &n) || n > c->n)
		return false;
	out->p = c->p;
	out->n = n;
	c->p += n;
	c->n -= n;
	return true;
}

/* A C string of printable characters. */
static bool as_name(const struct text *t, char *out, size_t room)
{
	if (!t->n || t->n >= room)
		return false;
	for (size_t i = 0; i < t->n; i++)
		if (t->p[i] <= ' ' || t->p[i] > '~')
			return false;
	memcpy(out, t->p, t->n);
	out[t->n] = '\0';
	return true;
}

/* Bytes of the base64 text, at most room; 0: it is none. */
static size_t unbase64(const char *text, size_t n, uint8_t *out, size_t room)
{
	AUTO_FREE uint8_t *all = NULL;
	size_t bytes;
	int r;

	if (!n || n % 4 || n / 4 * 3 > room + 2 || n > 4 * SSH_KEY_MAX)
		return 0;
	all = xmalloc(n / 4 * 3 + 1);
	r = EVP_DecodeBlock(all, (const unsigned char *)text, (int)n);
	if (r < 0)
		return 0;
	bytes = (size_t)r - (text[n - 1] == '=') - (text[n - 2] == '=');
	if (bytes > room)
		return 0;
	memcpy(out, all, bytes);
	return bytes;
}

/* ---- public keys ---- */

bool ssh_key_type(const uint8_t *key, size_t n, char type[64])
{
	struct text c = {key, n}, name;

	return take_string(&c, &name) && as_name(&name, type, 64);
}

void ssh_fingerprint(const uint8_t *key, size_t n, char out[64])
{
	unsigned char sum[32];
	char text[48];

	EVP_Digest(key, n, sum, NULL, EVP_sha256(), NULL);
	EVP_EncodeBlock((unsigned char *)text, sum, sizeof(sum));
	text[strcspn(text, "=")] = '\0';
	snprintf(out, 64, "SHA256:%s", text);
}

/* ---- known_hosts ---- */

char *known_hosts_name(const char *host, unsigned port)
{
	char *name = port == 22 ? xstrdup(host) : xasprintf("[%s]:%u", host, port), *p;

	for (p = name; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return name;
}

char *known_hosts_line(const char *host, unsigned port, const uint8_t *key, size_t n)
{
	AUTO_FREE char *name = known_hosts_name(host, port);
	AUTO_FREE char *text = xmalloc(n / 3 * 4 + 8);
	char type[64];

	EVP_EncodeBlock((unsigned char *)text, key, (int)n);
	return xasprintf("%s %s %s\n", name, ssh_key_type(key, n, type) ? type : "unknown", text);
}

/* '*' and '?', in time bounded by the product of the lengths. */
static bool matches(const char *pattern, size_t n, const char *name)
{
	const char *end = pattern + n, *star = NULL, *resume = NULL;

	while (*name) {
		if (pattern < end && *pattern == '*') {
			star = ++pattern;
			resume = name;
		} else if (pattern < end && (*pattern == '?' || tolower((unsigned char)*pattern) == *name)) {
			pattern++;
			name++;
		} else if (star) {
			pattern = star;
			name = ++resume;
		} else {
			return false;
		}
	}
	while (pattern < end && *pattern == '*')
		pattern++;
	return pattern == end;
}

/* |1|SALT|HASH */
static bool matches_hash(const char *field, size_t n, const char *name)
{
	const char *salt_text = field + 3, *bar;
	uint8_t salt[64], hash[HASH_BYTES + 2], mine[EVP_MAX_MD_SIZE];
	size_t salt_n;
	unsigned mine_n;

	if (n < 4 || strncmp(field, "|1|", 3))
		return false;
	bar = memchr(salt_text, '|', n - 3);
	if (!bar)
		return false;
	salt_n = unbase64(salt_text, (size_t)(bar - salt_text), salt, sizeof(salt));
	if (!salt_n || unbase64(bar + 1, (size_t)(field + n - bar - 1), hash, sizeof(hash)) != HASH_BYTES)
		return false;
	if (!HMAC(EVP_sha1(), salt, (int)salt_n, (const unsigned char *)name, strlen(name), mine, &mine_n))
		return false;
	return mine_n == HASH_BYTES && !memcmp(mine, hash, HASH_BYTES);
}

/* A comma-separated list; a negated pattern that matches decides. */
static bool names_host(const char *field, size_t n, const char *name)
{
	const char *end = field + n;
	bool found = false;

	if (*field == '|')
		return matches_hash(field, n, name);
	while (field < end) {
		const char *comma = memchr(field, ',', (size_t)(end - field)), *stop = comma ? comma : end;
		bool negated = *field == '!';

		if (matches(field + negated, (size_t)(stop - field) - negated, name)) {
			if (negated)
				return false;
			found = true;
		}
		field = stop + 1;
	}
	return found;
}

static void add_type(char types[SSH_TYPES_MAX], const char *type)
{
	size_t have = strlen(types), n = strlen(type);
	const char *p;

	for (p = types; (p = strstr(p, type)); p += n)
		if ((p == types || p[-1] == ',') && (p[n] == ',' || !p[n]))
			return;
	if (have + n + 2 <= SSH_TYPES_MAX)
		snprintf(types + have, SSH_TYPES_MAX - have, "%s%s", have ? "," : "", type);
}

/* The next word of a line, and where the one after it begins. */
static size_t word(const char **at, const char *end, const char **next)
{
	const char *p = *at;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	*at = p;
	while (p < end && *p != ' ' && *p != '\t' && *p != '\r')
		p++;
	*next = p;
	return (size_t)(p - *at);
}

struct entry {
	const char *marker, *hosts, *type, *key;
	size_t marker_n, hosts_n, type_n, key_n;
};

static bool split_line(const char *line, const char *end, struct entry *en)
{
	const char *next = line;

	memset(en, 0, sizeof(*en));
	en->hosts = line;
	en->hosts_n = word(&en->hosts, end, &next);
	if (en->hosts_n && *en->hosts == '@') {
		en->marker = en->hosts;
		en->marker_n = en->hosts_n;
		en->hosts = next;
		en->hosts_n = word(&en->hosts, end, &next);
	}
	if (!en->hosts_n || *en->hosts == '#')
		return false;
	en->type = next;
	en->type_n = word(&en->type, end, &next);
	en->key = next;
	en->key_n = word(&en->key, end, &next);
	return en->type_n && en->key_n;
}

static void judge(struct known_hosts *out, enum known verdict, unsigned line)
{
	static const int weight[] = {[KNOWN_NOT] = 0, [KNOWN_CHANGED] = 1, [KNOWN_SAME] = 2, [KNOWN_REVOKED] = 3};

	if (weight[verdict] > weight[out->verdict]) {
		out->verdict = verdict;
		out->line = line;
	}
}

static void look_at_line(const char *line, const char *end, unsigned number, const char *name, const uint8_t *key, size_t n,
			 struct known_hosts *out)
{
	AUTO_FREE uint8_t *theirs = NULL;
	size_t theirs_n;
	struct entry en;
	char type[64];
	bool revoked, same;

	if (!split_line(line, end, &en) || !names_host(en.hosts, en.hosts_n, name))
		return;
	revoked = en.marker_n == 8 && !memcmp(en.marker, "@revoked", 8);
	if (en.marker_n && !revoked)
		return;
	theirs = xmalloc(SSH_KEY_MAX);
	theirs_n = unbase64(en.key, en.key_n, theirs, SSH_KEY_MAX);
	if (!ssh_key_type(theirs, theirs_n, type) || strlen(type) != en.type_n || memcmp(type, en.type, en.type_n))
		return;
	same = key && theirs_n == n && !memcmp(theirs, key, n);
	if (revoked && same)
		judge(out, KNOWN_REVOKED, number);
	if (revoked)
		return;
	add_type(out->types, type);
	if (key)
		judge(out, same ? KNOWN_SAME : KNOWN_CHANGED, number);
}

void known_hosts_look(const char *text, size_t bytes, const char *host, unsigned port, const uint8_t *key, size_t n,
		      struct known_hosts *out)
{
	AUTO_FREE char *name = known_hosts_name(host, port);
	const char *end = text + bytes, *line, *next;
	unsigned number = 0;

	for (line = text; line < end; line = next + 1) {
		next = memchr(line, '\n', (size_t)(end - line)) ?: end;
		look_at_line(line, line + strnlen(line, (size_t)(next - line)), ++number, name, key, n, out);
	}
}

/* ---- private keys ---- */

/* Base64 between two lines of dashes, its white space left out. */
static size_t armored(const char *text, uint8_t *out, size_t room)
{
	const char *end = strstr(text, "-----END");
	AUTO_FREE char *packed = NULL;
	size_t n = 0;

	if (!end || (size_t)(end - text) > 2 * SSH_KEY_MAX)
		return 0;
	packed = xmalloc((size_t)(end - text) + 1);
	for (; text < end; text++)
		if (!isspace((unsigned char)*text))
			packed[n++] = *text;
	return unbase64(packed, n, out, room);
}

/* openssh-key-v1, OpenSSH's PROTOCOL.key: the public key is outside of what is encrypted. */
static bool look_openssh(const char *body, struct private_key *out)
{
	static const char magic[] = "openssh-key-v1";
	AUTO_FREE uint8_t *data = xmalloc(2 * SSH_KEY_MAX);
	struct text c = {data, armored(body, data, 2 * SSH_KEY_MAX)}, cipher, skipped, key;
	uint32_t count;

	if (c.n < sizeof(magic) || memcmp(c.p, magic, sizeof(magic)))
		return false;
	c.p += sizeof(magic);
	c.n -= sizeof(magic);
	if (!take_string(&c, &cipher) || !take_string(&c, &skipped) || !take_string(&c, &skipped) || !take_u32(&c, &count) || count != 1 ||
	    !take_string(&c, &key) || key.n > SSH_KEY_MAX)
		return false;
	out->encrypted = !(cipher.n == 4 && !memcmp(cipher.p, "none", 4));
	memcpy(out->public_key, key.p, key.n);
	out->public_bytes = key.n;
	return ssh_key_type(key.p, key.n, out->type);
}

bool private_key_look(const char *text, struct private_key *out)
{
	const char *p;

	memset(out, 0, sizeof(*out));
	p = strstr(text, "-----BEGIN ");
	if (!p)
		return false;
	p += 11;
	if (!strncmp(p, "OPENSSH PRIVATE KEY-----", 24))
		return look_openssh(p + 24, out);
	if (!strncmp(p, "RSA PRIVATE KEY-----", 20))
		snprintf(out->type, sizeof(out->type), "ssh-rsa");
	else if (strncmp(p, "EC PRIVATE KEY-----", 19) && strncmp(p, "PRIVATE KEY-----", 16) &&
		 strncmp(p, "ENCRYPTED PRIVATE KEY-----", 26))
		return false;
	out->encrypted = !strncmp(p, "ENCRYPTED", 9) || strstr(p, "Proc-Type: 4,ENCRYPTED");
	return true;
}

/* ---- KEXINIT ---- */

void kexinit_host_keys(const uint8_t *data, size_t n, char out[SSH_TYPES_MAX])
{
	struct text c = {data, n}, packet, list;
	const uint8_t *nl;

	out[0] = '\0';
	for (;;) { /* lines before the one that begins with SSH- are allowed (RFC 4253, 4.2) */
		bool banner = c.n >= 4 && !memcmp(c.p, "SSH-", 4);

		nl = memchr(c.p, '\n', c.n);
		if (!nl)
			return;
		c.n -= (size_t)(nl + 1 - c.p);
		c.p = nl + 1;
		if (banner)
			break;
	}
	if (!take_string(&c, &packet) || packet.n < 18 || packet.p[1] != MSG_KEXINIT)
		return;
	c = (struct text){packet.p + 18, packet.n - 18}; /* padding length, type, cookie */
	if (take_string(&c, &list) && take_string(&c, &list))
		as_name(&list, out, SSH_TYPES_MAX);
}
