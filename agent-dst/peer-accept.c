/* peer-accept.c: see peer-accept.h. */
#include "peer-accept.h"
#include "net.h"
#include "util.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

/* Both kinds of agent must understand what the other says when only one of them speaks TLS. */
static int secure(struct link *link, const struct access *a, uint64_t deadline_ns, struct err *e)
{
	int tls = link_peek_tls(link, deadline_ns, e);

	if (tls < 0)
		return tls;
	if (tls && !a->key_count)
		return err_set(e, EPERM, "this vmferry-dst has no keys (it was started without --psk-file), but the source wants TLS");
	if (!tls && a->key_count)
		return err_set(e, EPERM, "this vmferry-dst speaks TLS only: give the source its key (--psk-file)");
	return tls ? link_secure(link, tls_conn_server(a->keys, a->key_count), deadline_ns, e) : 0;
}

/* Takes as long for one that is nearly right. */
static bool same_token(const char *theirs, const char *ours)
{
	size_t n = strlen(ours);

	return strlen(theirs) == n && !CRYPTO_memcmp(theirs, ours, n);
}

int peer_accept(int fd, const struct access *a, unsigned timeout_ms, struct link *out, struct hello *theirs, struct err *e)
{
	struct link link = {.fd = fd};
	int r;

	net_tune(fd);
	r = secure(&link, a, now_ns() + timeout_ms * 1000000ULL, e);
	if (!r)
		r = hello_receive(&link, theirs, timeout_ms, e);
	if (!r && !a->key_count && !same_token(theirs->token, a->token))
		r = err_set(e, EPERM, "the peer does not know this agent's token: it is in %s on this host; give vmferry a copy with --token-file",
			    a->token_origin);
	if (r) {
		hello_refuse(&link, e->msg);
		link_close(&link);
		return r;
	}
	*out = link;
	return 0;
}
