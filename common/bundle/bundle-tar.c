/* bundle-tar.c: see bundle-tar.h. The format: POSIX.1-2008, pax, "ustar Interchange Format"; base-256 is GNU tar's. */
#include "bundle-tar.h"
#include "bundle.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Offsets of a header's fields. */
enum {
	AT_NAME = 0,
	AT_MODE = 100,
	AT_UID = 108,
	AT_GID = 116,
	AT_SIZE = 124,
	AT_MTIME = 136,
	AT_SUM = 148,
	AT_TYPE = 156,
	AT_MAGIC = TAR_MAGIC_AT,
	AT_PREFIX = 345
};

#define OCTAL_MAX (8ULL << 30) /* first size that 11 octal digits cannot say */

static unsigned sum_of(const uint8_t h[TAR_BLOCK])
{
	unsigned sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= AT_SUM && i < AT_SUM + 8 ? ' ' : h[i];
	return sum;
}

static void put_number(uint8_t *field, uint64_t v)
{
	char text[24];

	if (v < OCTAL_MAX) {
		snprintf(text, sizeof(text), "%011llo", (unsigned long long)v);
		memcpy(field, text, 12);
		return;
	}
	memset(field, 0, 12);
	field[0] = 0x80;
	for (size_t i = 0; i < 8; i++)
		field[11 - i] = (uint8_t)(v >> 8 * i);
}

void tar_header(uint8_t out[TAR_BLOCK], const char *name, uint64_t size, uint64_t mtime)
{
	char sum[16];

	memset(out, 0, TAR_BLOCK);
	memcpy(out + AT_NAME, name, strnlen(name, TAR_NAME_MAX));
	memcpy(out + AT_MODE, "0000600", 8);
	memcpy(out + AT_UID, "0000000", 8);
	memcpy(out + AT_GID, "0000000", 8);
	put_number(out + AT_SIZE, size);
	put_number(out + AT_MTIME, mtime);
	out[AT_TYPE] = '0';
	memcpy(out + AT_MAGIC,
	       "ustar\0"
	       "00",
	       8);
	snprintf(sum, sizeof(sum), "%06o", sum_of(out));
	memcpy(out + AT_SUM, sum, 7);
	out[AT_SUM + 7] = ' ';
}

bool tar_number(const uint8_t *field, size_t n, uint64_t *out)
{
	uint64_t v = 0;
	size_t i = 0;

	if (field[0] & 0x80) {
		for (i = 0; i < n; i++) {
			if (v >> 55)
				return false;
			v = v << 8 | (i ? field[i] : field[i] & 0x7f);
		}
		*out = v;
		return true;
	}
	while (i < n && field[i] == ' ')
		i++;
	if (i == n || field[i] < '0' || field[i] > '7')
		return false;
	for (; i < n && field[i] >= '0' && field[i] <= '7'; i++) {
		if (v >> 60)
			return false;
		v = v << 3 | (uint64_t)(field[i] - '0');
	}
	*out = v;
	return i == n || field[i] == ' ' || !field[i];
}

int tar_header_read(const uint8_t h[TAR_BLOCK], struct tar_member *m)
{
	static const uint8_t zeros[TAR_BLOCK];
	uint64_t sum;

	if (!memcmp(h, zeros, TAR_BLOCK))
		return 0;
	if (memcmp(h + AT_MAGIC, "ustar", 5) || !tar_number(h + AT_SUM, 8, &sum) || sum != sum_of(h) ||
	    !tar_number(h + AT_SIZE, 12, &m->size))
		return -EINVAL;
	memcpy(m->name, h + AT_NAME, TAR_NAME_MAX);
	m->name[TAR_NAME_MAX] = '\0';
	snprintf(m->prefix, sizeof(m->prefix), "%.*s", h[AT_MAGIC + 5] ? 0 : TAR_PREFIX_MAX, (const char *)h + AT_PREFIX);
	m->type = (char)h[AT_TYPE];
	return 1;
}

int tar_header_parse(const uint8_t h[TAR_BLOCK], struct tar_member *m, struct err *e)
{
	int r = tar_header_read(h, m);

	if (r <= 0)
		return r ? err_set(e, EINVAL, "it is not a tar archive, or is damaged") : 0;
	if (h[AT_PREFIX] || !bundle_name_is_plain(m->name))
		return err_set(e, EINVAL, "it has a member whose name is none of a file in a bundle");
	if (m->type != '0' && m->type)
		return err_set(e, EINVAL, "its member %s is not a regular file", m->name);
	if (m->size > BUNDLE_BYTES_MAX)
		return err_set(e, EINVAL, "its member %s is too large", m->name);
	return 1;
}

unsigned tar_padding(uint64_t size)
{
	return (unsigned)(-size & (TAR_BLOCK - 1));
}
