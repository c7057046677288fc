/* attempt-id.c: see attempt-id.h. */
#include "attempt-id.h"
#include "hex.h"
#include "util.h"

#include <errno.h>
#include <sys/random.h>

int attempt_id_new(uint8_t id[ATTEMPT_ID_LEN], struct err *e)
{
	ssize_t n;

	do
		n = getrandom(id, ATTEMPT_ID_LEN, 0);
	while (n < 0 && errno == EINTR);
	return n == ATTEMPT_ID_LEN ? 0 : err_sys(e, n < 0 ? errno : EIO, "cannot get random bytes");
}

const char *attempt_id_format(const uint8_t id[ATTEMPT_ID_LEN], char buf[2 * ATTEMPT_ID_LEN + 1])
{
	return hex_format(id, ATTEMPT_ID_LEN, buf);
}

char *attempt_id_name(const uint8_t id[ATTEMPT_ID_LEN], const char *path)
{
	char buf[2 * ATTEMPT_ID_LEN + 1];

	return xasprintf("%s.vmferry-%.8s", path, attempt_id_format(id, buf));
}

bool attempt_id_parse(const char *s, uint8_t id[ATTEMPT_ID_LEN])
{
	return hex_parse(s, id, ATTEMPT_ID_LEN) && !s[2 * ATTEMPT_ID_LEN];
}
