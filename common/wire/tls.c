/* tls.c: see tls.h. OpenSSL reads and writes through a BIO that consists of this object's two buffers. */
#include "tls.h"
#include "util.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <string.h>

#define INPUT_BYTES (256 * 1024)
#define FIRST_BYTES (5 + TLS_RECORD_MAX) /* until the peer is known: a record */

/* RFC 8446, B.4: that suite's number, as OpenSSL wants it. */
static const unsigned char suite_id[2] = {0x13, 0x01};

struct tls {
	SSL *ssl;
	const struct tls_key *keys; /* a server's, while it shakes hands */
	size_t key_count;
	struct tls_key key; /* the client's; at a server that of the peer */
	bool done;
	uint8_t *in;
	size_t in_start, in_end, in_cap;
	struct buffer {
		uint8_t *p;
		size_t start, end, cap;
	} out, flight; /* added to; being sent */
	uint64_t since_rekey, rekey_after;
	unsigned rekeys;
};

/* ---- the BIO ---- */

static int bio_read(BIO *b, char *p, size_t cap, size_t *n)
{
	struct tls *t = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	*n = MIN(cap, t->in_end - t->in_start);
	if (!*n) {
		BIO_set_retry_read(b);
		return 0;
	}
	memcpy(p, t->in + t->in_start, *n);
	t->in_start += *n;
	if (t->in_start == t->in_end)
		t->in_start = t->in_end = 0;
	return 1;
}

static int bio_write(BIO *b, const char *p, size_t len, size_t *n)
{
	struct tls *t = BIO_get_data(b);

	if (t->out.end + len > t->out.cap) {
		t->out.cap = MAX(t->out.end + len, 2 * t->out.cap);
		t->out.p = xrealloc(t->out.p, t->out.cap);
	}
	memcpy(t->out.p + t->out.end, p, len);
	t->out.end += len;
	*n = len;
	return 1;
}

static long bio_ctrl(BIO *b, int command, long num, void *ptr)
{
	(void)b, (void)num, (void)ptr;
	return command == BIO_CTRL_FLUSH;
}

/* ---- the key ---- */

static SSL_SESSION *session_of(SSL *ssl, const struct tls_key *key)
{
	const SSL_CIPHER *suite = SSL_CIPHER_find(ssl, suite_id);
	SSL_SESSION *s = SSL_SESSION_new();

	if (!s || !suite || !SSL_SESSION_set1_master_key(s, key->secret, TLS_SECRET_BYTES) || !SSL_SESSION_set_cipher(s, suite) ||
	    !SSL_SESSION_set_protocol_version(s, TLS1_3_VERSION)) {
		SSL_SESSION_free(s);
		return NULL;
	}
	return s;
}

static int use_key(SSL *ssl, const EVP_MD *md, const unsigned char **name, size_t *n, SSL_SESSION **session)
{
	struct tls *t = SSL_get_app_data(ssl);

	(void)md;
	*session = session_of(ssl, &t->key);
	*name = (const unsigned char *)t->key.name;
	*n = strlen(t->key.name);
	return *session != NULL;
}

static int find_key(SSL *ssl, const unsigned char *name, size_t n, SSL_SESSION **session)
{
	struct tls *t = SSL_get_app_data(ssl);

	*session = NULL;
	for (size_t i = 0; i < t->key_count; i++) {
		if (strlen(t->keys[i].name) != n || memcmp(t->keys[i].name, name, n))
			continue;
		t->key = t->keys[i];
		*session = session_of(ssl, &t->key);
		break;
	}
	return 1; /* without a session: an unknown peer, whose handshake fails as there is no certificate */
}

/* ---- life ---- */

/* Objects that all connections share, made once and constant from then on. */
static SSL_CTX *contexts[2]; /* contexts of clients and of servers */
static BIO_METHOD *method;

static SSL_CTX *new_context(const SSL_METHOD *kind)
{
	SSL_CTX *ctx = SSL_CTX_new(kind);

	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) || !SSL_CTX_set_ciphersuites(ctx, TLS_SUITE) ||
	    !SSL_CTX_set_num_tickets(ctx, 0))
		abort(); /* out of memory, or an OpenSSL without TLS 1.3 */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_psk_use_session_callback(ctx, use_key);
	SSL_CTX_set_psk_find_session_callback(ctx, find_key);
	return ctx;
}

static void make_common(void)
{
	contexts[0] = new_context(TLS_client_method());
	contexts[1] = new_context(TLS_server_method());
	method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "vmferry");
	if (!method)
		abort();
	BIO_meth_set_read_ex(method, bio_read);
	BIO_meth_set_write_ex(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
}

static struct tls *tls_new(bool server)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct tls *t = xcalloc(1, sizeof(*t));
	BIO *bio;

	pthread_once(&once, make_common);
	t->rekey_after = TLS_REKEY_BYTES;
	t->in_cap = FIRST_BYTES;
	t->in = xmalloc(t->in_cap);
	t->ssl = SSL_new(contexts[server]);
	bio = BIO_new(method);
	if (!t->ssl || !bio)
		abort();
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	SSL_set_app_data(t->ssl, t);
	return t;
}

struct tls *tls_conn_client(const struct tls_key *key)
{
	struct tls *t = tls_new(false);

	t->key = *key;
	SSL_set_verify(t->ssl, SSL_VERIFY_PEER, NULL); /* no certificate is accepted */
	SSL_set_connect_state(t->ssl);
	return t;
}

struct tls *tls_conn_server(const struct tls_key *keys, size_t count)
{
	struct tls *t = tls_new(true);

	t->keys = keys;
	t->key_count = count;
	SSL_set_accept_state(t->ssl);
	return t;
}

void tls_conn_free(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	OPENSSL_cleanse(&t->key, sizeof(t->key));
	FREE_ALL(t->in, t->out.p, t->flight.p, t);
}

/* ---- handshake ---- */

static int fail(struct err *e, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);
	int r = err_set(e, EPROTO, "%s%s%s", what, reason ? ": " : "", reason ? reason : "");

	ERR_clear_error();
	return r;
}

int tls_conn_handshake(struct tls *t, struct err *e)
{
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(t->ssl);
	if (r == 1) {
		/* "reused" is what OpenSSL calls a session from a key known before: there is no other way in */
		if (!SSL_session_reused(t->ssl))
			return err_set(e, EPERM, "TLS: the peer did not prove that it has the key");
		t->keys = NULL;
		t->key_count = 0;
		t->done = true;
		return 1;
	}
	if (SSL_get_error(t->ssl, r) == SSL_ERROR_WANT_READ)
		return 0;
	fail(e, "TLS handshake failed (do both ends have the same key?)");
	e->code = EPERM;
	return -EPERM;
}

bool tls_conn_has_key(const struct tls *t)
{
	return SSL_session_reused(t->ssl);
}

/* ---- contents ---- */

uint8_t *tls_conn_input(struct tls *t, size_t *cap)
{
	if (t->in_start) {
		memmove(t->in, t->in + t->in_start, t->in_end - t->in_start);
		t->in_end -= t->in_start;
		t->in_start = 0;
	}
	if (t->done && t->in_cap < INPUT_BYTES) {
		t->in_cap = INPUT_BYTES;
		t->in = xrealloc(t->in, t->in_cap);
	}
	*cap = t->in_cap - t->in_end;
	return t->in + t->in_end;
}

void tls_conn_input_add(struct tls *t, size_t n)
{
	t->in_end += n;
}

size_t tls_conn_input_bytes(const struct tls *t)
{
	return t->in_end - t->in_start;
}

ssize_t tls_conn_decrypt(struct tls *t, uint8_t *p, size_t cap, struct err *e)
{
	size_t done = 0, n;
	int r, why;

	while (done < cap) {
		ERR_clear_error();
		r = SSL_read_ex(t->ssl, p + done, cap - done, &n);
		if (r) {
			done += n;
			continue;
		}
		why = SSL_get_error(t->ssl, r);
		if (done || why == SSL_ERROR_WANT_READ)
			break; /* an error shows again at the next call */
		if (why == SSL_ERROR_ZERO_RETURN)
			return err_set(e, EPIPE, "the peer closed the connection");
		return fail(e, "the peer sent data that is not a TLS record of this connection");
	}
	return (ssize_t)done;
}

int tls_conn_encrypt(struct tls *t, const uint8_t *p, size_t n, struct err *e)
{
	size_t done;

	if (t->since_rekey >= t->rekey_after) {
		t->since_rekey = 0;
		if (!SSL_key_update(t->ssl, SSL_KEY_UPDATE_NOT_REQUESTED))
			return fail(e, "TLS: the keys cannot be changed");
		t->rekeys++;
	}
	t->since_rekey += n;
	ERR_clear_error();
	if (n && (!SSL_write_ex(t->ssl, p, n, &done) || done != n))
		return fail(e, "TLS: cannot encrypt");
	return 0;
}

size_t tls_conn_output_bytes(const struct tls *t)
{
	return t->out.end + t->flight.end - t->flight.start;
}

const uint8_t *tls_conn_output(struct tls *t, size_t *n)
{
	struct buffer sent = t->flight;

	if (sent.start == sent.end) {
		t->flight = t->out;
		t->out = (struct buffer){.p = sent.p, .cap = sent.cap};
	}
	*n = t->flight.end - t->flight.start;
	return *n ? t->flight.p + t->flight.start : NULL;
}

void tls_conn_output_sent(struct tls *t, size_t n)
{
	t->flight.start += n;
}

void tls_conn_end(struct tls *t)
{
	if (t->done)
		SSL_shutdown(t->ssl);
	ERR_clear_error();
}

void tls_conn_rekey_after(struct tls *t, uint64_t bytes)
{
	t->rekey_after = bytes;
}

unsigned tls_conn_rekeys(const struct tls *t)
{
	return t->rekeys;
}
