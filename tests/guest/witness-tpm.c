/* The guest's TPM (2.0): a PCR that is extended, which it forgets when it is started anew, and an NV index, which it does not. */
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* TPM 2.0 Library, part 2: structures, and part 3: commands */
enum {
	ST_SESSIONS = 0x8002,
	CC_NV_DEFINE_SPACE = 0x12a,
	CC_NV_WRITE = 0x137,
	CC_NV_READ = 0x14e,
	CC_PCR_EXTEND = 0x182,
	RH_OWNER = 0x40000001,
	RS_PW = 0x40000009,
	ALG_SHA256 = 0x0b,
	NV_INDEX = 0x01800001,
	NV_ATTRIBUTES = 0x02060006, /* read and written by the owner or its own empty password, no lockout */
	NV_BYTES = 32,
	RC_NV_DEFINED = 0x14c,
	HEADER_BYTES = 10,
};

struct command {
	uint8_t bytes[256];
	size_t n;
};

static void put(struct command *c, unsigned size, uint32_t value)
{
	while (size-- > 0)
		c->bytes[c->n++] = (uint8_t)(value >> (8 * size));
}

static void put_text(struct command *c, const char *text)
{
	strncpy((char *)c->bytes + c->n, text, NV_BYTES);
	c->n += NV_BYTES;
}

/* With an empty password. */
static struct command command_of(uint32_t code, uint32_t handle, uint32_t second)
{
	struct command c = {.n = 0};

	put(&c, 2, ST_SESSIONS);
	put(&c, 4, 0); /* size of the section */
	put(&c, 4, code);
	put(&c, 4, handle);
	if (second)
		put(&c, 4, second);
	put(&c, 4, 9);
	put(&c, 4, RS_PW);
	put(&c, 2, 0);
	put(&c, 1, 0);
	put(&c, 2, 0);
	return c;
}

/* Bytes of the answer, which takes its place; -errno, or -EPROTO and the TPM's own code in *code. */
static int run(struct command *c, uint32_t *code)
{
	int fd = open("/dev/tpm0", O_RDWR | O_CLOEXEC), r = -errno;
	size_t n = c->n;
	ssize_t got;

	*code = 0;
	if (fd < 0)
		return r;
	c->n = 2;
	put(c, 4, (uint32_t)n);
	got = write(fd, c->bytes, n) == (ssize_t)n ? read(fd, c->bytes, sizeof c->bytes) : -1;
	r = -errno;
	close(fd);
	if (got < 0)
		return r;
	if (got < HEADER_BYTES)
		return -EPROTO;
	*code = (uint32_t)c->bytes[6] << 24 | (uint32_t)c->bytes[7] << 16 | (uint32_t)c->bytes[8] << 8 | c->bytes[9];
	return *code == 0 ? (int)got : -EPROTO;
}

int tpm_extend(unsigned pcr, const char *text)
{
	struct command c = command_of(CC_PCR_EXTEND, pcr, 0);
	uint32_t code;
	int r;

	put(&c, 4, 1);
	put(&c, 2, ALG_SHA256);
	put_text(&c, text);
	r = run(&c, &code);
	return r < 0 ? r : 0;
}

static int define_space(void)
{
	struct command c = command_of(CC_NV_DEFINE_SPACE, RH_OWNER, 0);
	uint32_t code;
	int r;

	put(&c, 2, 0);
	put(&c, 2, 14);
	put(&c, 4, NV_INDEX);
	put(&c, 2, ALG_SHA256);
	put(&c, 4, NV_ATTRIBUTES);
	put(&c, 2, 0);
	put(&c, 2, NV_BYTES);
	r = run(&c, &code);
	return r < 0 && code != RC_NV_DEFINED ? r : 0;
}

int tpm_store(const char *text)
{
	struct command c = command_of(CC_NV_WRITE, RH_OWNER, NV_INDEX);
	uint32_t code;
	int r = define_space();

	if (r < 0)
		return r;
	put(&c, 2, NV_BYTES);
	put_text(&c, text);
	put(&c, 2, 0);
	r = run(&c, &code);
	return r < 0 ? r : 0;
}

int tpm_load(char text[static TEXT_BYTES])
{
	struct command c = command_of(CC_NV_READ, RH_OWNER, NV_INDEX);
	const int at = HEADER_BYTES + 4 + 2; /* sizes of the parameters and of the data */
	uint32_t code;
	int r;

	put(&c, 2, NV_BYTES);
	put(&c, 2, 0);
	r = run(&c, &code);
	if (r < 0)
		return r;
	if (r < at + NV_BYTES)
		return -EPROTO;
	snprintf(text, TEXT_BYTES, "%.*s", (int)NV_BYTES, (const char *)c.bytes + at);
	return 0;
}

int tpm_pcr(unsigned pcr, char text[static TEXT_BYTES])
{
	char path[64];
	ssize_t got;
	int fd, r;

	snprintf(path, sizeof path, "/sys/class/tpm/tpm0/pcr-sha256/%u", pcr);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = read(fd, text, TEXT_BYTES - 1);
	r = got < 0 ? -errno : 0;
	close(fd);
	text[got < 0 ? 0 : got] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return r;
}
