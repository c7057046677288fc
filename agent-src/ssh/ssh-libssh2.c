/* ssh-libssh2.c: opens a session of our own and checks the host's key. See ssh-session.h. */
#include "log.h"
#include "net.h"
#include "ssh-session.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define KNOWN_HOSTS_MAX (8 * MIB)
#define OUT_LIMIT	(8 * MIB)
#define FREE_TRIES	1000
#define RSA_TYPES	"rsa-sha2-512,rsa-sha2-256"
#define OTHER_TYPES	"ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521"

/* Algorithms that servers of the last ten years have and that no one doubts. Those that this libssh2 lacks are left out. */
static const struct {
	int method;
	const char *algorithms;
} preferred[] = {
	{LIBSSH2_METHOD_KEX, "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,"
			     "ecdh-sha2-nistp521,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
			     "diffie-hellman-group14-sha256,ext-info-c,kex-strict-c-v00@openssh.com"},
	{LIBSSH2_METHOD_CRYPT_CS, "aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes256-ctr,aes192-ctr"},
	{LIBSSH2_METHOD_CRYPT_SC, "aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes128-ctr,aes256-ctr,aes192-ctr"},
	{LIBSSH2_METHOD_MAC_CS, "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512"},
	{LIBSSH2_METHOD_MAC_SC, "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512"},
};

const char *session_why(struct ssh_session *s)
{
	char *text = NULL;

	libssh2_session_last_error(s->lib, &text, NULL, 0);
	return text && *text ? text : "no reason given";
}

bool session_has_rsa_sha2(void)
{
	return libssh2_version(0x010b00) != NULL;
}

int session_read_file(const char *path, size_t max, char **text, size_t *bytes)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t have = 0, room = 4096;
	struct stat st;
	ssize_t r;
	char *p;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode)) /* a FIFO without a writer looks like an empty file */
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	p = xmalloc(room);
	while (have <= max && ((r = read(fd, p + have, room - have - 1)) > 0 || (r < 0 && errno == EINTR))) {
		have += r > 0 ? (size_t)r : 0;
		if (have == room - 1)
			p = xrealloc(p, room *= 2);
	}
	r = have > max ? -EFBIG : r < 0 ? -errno : 0;
	if (r) {
		free(p);
		return (int)r;
	}
	p[have] = '\0';
	*text = p;
	*bytes = have;
	return 0;
}

/* ---- the socket ---- */

static ssize_t take(struct ssh_session *s, const void *data, size_t n)
{
	if (s->out_n + n > OUT_LIMIT) /* answers that a server asks for and does not read */
		return -ENOBUFS;
	if (s->out_at && s->out_at + s->out_n + n > s->out_room) {
		memmove(s->out, s->out + s->out_at, s->out_n);
		s->out_at = 0;
	}
	if (s->out_n + n > s->out_room) {
		s->out_room = (s->out_n + n) * 2;
		s->out = xrealloc(s->out, s->out_room);
	}
	memcpy(s->out + s->out_at + s->out_n, data, n);
	s->out_n += n;
	return (ssize_t)n;
}

/* A login that is made again asks an agent, too, which may ask somebody who is not there: libssh2 waits for that without an end. */
static bool is_late(const struct ssh_session *s, int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	uint64_t now = now_ns();

	if (!s->until_ns)
		return false;
	return poll(&p, 1, now < s->until_ns ? (int)((s->until_ns - now) / 1000000) + 1 : 0) == 0;
}

static LIBSSH2_SEND_FUNC(send_bytes)
{
	struct ssh_session *s = *abstract;
	ssize_t r;

	(void)flags;
	if (s->out)
		return take(s, buffer, length);
	if (is_late(s, socket, POLLOUT))
		return -ETIMEDOUT;
	r = send(socket, buffer, length, MSG_NOSIGNAL);
	return r < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : r;
}

static LIBSSH2_RECV_FUNC(receive_bytes)
{
	struct ssh_session *s = *abstract;
	size_t keep;
	ssize_t r;

	(void)flags;
	if (!s->out && is_late(s, socket, POLLIN))
		return -ETIMEDOUT;
	r = recv(socket, buffer, length, 0);
	if (r > 0 && s->first_n < sizeof(s->first)) {
		keep = MIN((size_t)r, sizeof(s->first) - s->first_n);
		memcpy(s->first + s->first_n, buffer, keep);
		s->first_n += keep;
	}
	return r < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : r;
}

static void set_callbacks(struct ssh_session *s)
{
#if LIBSSH2_VERSION_NUM >= 0x010b01
	libssh2_session_callback_set2(s->lib, LIBSSH2_CALLBACK_SEND, (libssh2_cb_generic *)send_bytes);
	libssh2_session_callback_set2(s->lib, LIBSSH2_CALLBACK_RECV, (libssh2_cb_generic *)receive_bytes);
#else
	/* object pointers are what that interface has */
	libssh2_session_callback_set(s->lib, LIBSSH2_CALLBACK_SEND, (void *)(uintptr_t)send_bytes);
	libssh2_session_callback_set(s->lib, LIBSSH2_CALLBACK_RECV, (void *)(uintptr_t)receive_bytes);
#endif
}

static int connect_socket(struct ssh_session *s, const char *address, struct err *e)
{
	char port[16];
	int r;

	snprintf(port, sizeof(port), "%u", s->port);
	r = net_connect(address ?: s->host, port, true, s->connect_ms, &s->fd, e);
	if (r == -EINVAL)
		return err_set(e, EINVAL, "cannot resolve '%s'; if it is an alias of your ssh configuration, say --ssh=openssh", s->host);
	if (r)
		return err_set(e, -r, "cannot connect to %s: %s%s", s->base.text, strerror(-r),
			       r == -ECONNREFUSED ? " (is an SSH server running there, at that port?)" : "");
	net_tune(s->fd);
	net_limit_silence(s->fd); /* an SSH server reads always: what it must not take yet is not sent */
	s->base.address = net_peer_address(s->fd);
	return 0;
}

/* ---- the host's key ---- */

struct host_key {
	char *files[2]; /* the first is where a new one is added */
	const char *shown[2];
	char *texts[2]; /* NULL: there is no such file */
	size_t bytes[2];
	char types[SSH_TYPES_MAX];
};

/* A file that is there and cannot be read whole is an error: its keys would count as unknown, its revoked ones as good. */
static int host_key_load(struct host_key *k, const struct ssh_config *cfg, const char *home, struct err *e)
{
	int r = 0;

	memset(k, 0, sizeof(*k));
	k->files[0] = cfg->known_hosts ? xstrdup(cfg->known_hosts) : xasprintf("%s/.ssh/known_hosts", home);
	k->files[1] = cfg->known_hosts ? NULL : xstrdup("/etc/ssh/ssh_known_hosts");
	for (size_t i = 0; i < ARRAY_LEN(k->files) && !r; i++) {
		r = k->files[i] ? session_read_file(k->files[i], KNOWN_HOSTS_MAX, &k->texts[i], &k->bytes[i]) : 0;
		if (r == -ENOENT)
			r = 0;
		else if (r == -EFBIG)
			err_set(e, EFBIG,
				"%s is longer than %llu MiB, so the key of %s cannot be looked up there; shorten it, or say --ssh=openssh",
				k->files[i], KNOWN_HOSTS_MAX / MIB, cfg->target.host);
		else if (r)
			err_sys(e, -r, "cannot read %s, so the key of %s cannot be looked up there", k->files[i], cfg->target.host);
	}
	return r;
}

static void host_key_fini(struct host_key *k)
{
	for (size_t i = 0; i < ARRAY_LEN(k->files); i++) {
		free(k->files[i]);
		free(k->texts[i]);
	}
}

/* The verdict over both files; *file is that of the line that decided. */
static struct known_hosts look(const struct host_key *k, const struct ssh_session *s, const void *key, size_t n, const char **file)
{
	struct known_hosts all = {.verdict = KNOWN_NOT};
	enum known before;

	for (size_t i = 0; i < ARRAY_LEN(k->files); i++) {
		before = all.verdict;
		if (k->texts[i])
			known_hosts_look(k->texts[i], k->bytes[i], s->host, s->port, key, n, &all);
		if (all.verdict != before)
			*file = k->files[i];
	}
	return all;
}

static bool in_list(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *p;

	for (p = list; (p = strstr(p, word)); p += n)
		if ((p == list || p[-1] == ',') && (p[n] == ',' || !p[n]))
			return true;
	return false;
}

/* Sets the wanted algorithms that this libssh2 has, in their order. The filter of libssh2 1.10 itself copies over its own buffer. */
static int prefer(struct ssh_session *s, int method, const char *wanted)
{
	AUTO_FREE char *copy = xstrdup(wanted);
	AUTO_FREE char *list = xcalloc(1, strlen(wanted) + 2);
	int i, n;
	const char **have;
	char *name, *state = NULL;

	n = libssh2_session_supported_algs(s->lib, method, &have);
	if (n <= 0)
		return -ENOTSUP;
	for (name = strtok_r(copy, ",", &state); name; name = strtok_r(NULL, ",", &state))
		for (i = 0; i < n; i++)
			if (!strcmp(have[i], name)) {
				strcat(list, *list ? "," : "");
				strcat(list, name);
				break;
			}
	libssh2_free(s->lib, have);
	return *list && !libssh2_session_method_pref(s->lib, method, list) ? 0 : -ENOTSUP;
}

/* Asks for the types that known_hosts has for this host, so that another key cannot take the place of the known one. */
static int prefer_known_types(struct ssh_session *s, struct host_key *k, struct err *e)
{
	static const char *const others[] = {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"};
	const char *file = NULL;
	struct known_hosts known = look(k, s, NULL, 0, &file);
	char types[SSH_TYPES_MAX] = "";
	bool rsa = session_has_rsa_sha2();

	memcpy(k->types, known.types, sizeof(k->types));
	if (!*known.types) {
		snprintf(types, sizeof(types), "%s%s", OTHER_TYPES, rsa ? "," RSA_TYPES : "");
	} else {
		for (size_t i = 0; i < ARRAY_LEN(others); i++)
			if (in_list(known.types, others[i]))
				snprintf(types + strlen(types), sizeof(types) - strlen(types), "%s,", others[i]);
		if (rsa && in_list(known.types, "ssh-rsa"))
			snprintf(types + strlen(types), sizeof(types) - strlen(types), RSA_TYPES ",");
		if (*types)
			types[strlen(types) - 1] = '\0';
	}
	if (!*types)
		return err_set(e, EACCES,
			       "known_hosts has only a key of type %s for %s, which libssh2 %s cannot check: say --ssh=openssh, or "
			       "add its ed25519 key once (ssh-keyscan -t ed25519 -p %u %s, compared with what the host itself "
			       "says)",
			       known.types, s->host, libssh2_version(0), s->port, s->host);
	if (prefer(s, LIBSSH2_METHOD_HOSTKEY, types))
		return err_set(e, EOPNOTSUPP, "libssh2 %s has none of these types of host keys: %s", libssh2_version(0), types);
	return 0;
}

/* Sets the reason for a failed key exchange: perhaps the hosts have no type of host key in common. */
static int handshake_failed(struct ssh_session *s, const struct host_key *k, struct err *e)
{
	char offered[SSH_TYPES_MAX], list[SSH_TYPES_MAX], *type, *state = NULL;
	bool usable = false, only_rsa = true;

	kexinit_host_keys(s->first, s->first_n, offered);
	memcpy(list, offered, sizeof(list));
	for (type = strtok_r(list, ",", &state); type; type = strtok_r(NULL, ",", &state)) {
		bool rsa = in_list(RSA_TYPES ",ssh-rsa", type);

		usable = usable || in_list(*k->types ? k->types : OTHER_TYPES, type) ||
			 (rsa && session_has_rsa_sha2() && (!*k->types || in_list(k->types, "ssh-rsa")));
		only_rsa = only_rsa && rsa;
	}
	if (*offered && !usable && only_rsa && !session_has_rsa_sha2())
		return err_set(e, EACCES,
			       "%s has only an RSA host key, which libssh2 %s cannot check in the way that is safe today: say "
			       "--ssh=openssh, or give the host an ed25519 key (ssh-keygen -A there)",
			       s->base.text, libssh2_version(0));
	if (*offered && !usable && *k->types)
		return err_set(e, EACCES,
			       "%s no longer shows a key of a type that %s has for it (%s), but offers %s: it may be another host. "
			       "If it is not: ssh-keygen -f %s -R '%s', and then ssh %s once",
			       s->base.text, k->files[0], k->types, offered, k->files[0], s->host, s->host);
	if (libssh2_session_last_errno(s->lib) == LIBSSH2_ERROR_TIMEOUT)
		return err_set(e, ETIMEDOUT, "%s does not answer as an SSH server within %u s", s->base.text, (s->connect_ms + 999) / 1000);
	return err_set(e, EPROTO, "%s: the key exchange failed: %s%s%s", s->base.text, session_why(s),
		       *offered ? "; it offers host keys of type " : "", offered);
}

static int make_parent(const char *path)
{
	AUTO_FREE char *dir = xstrdup(path);
	char *slash = strrchr(dir, '/');

	if (!slash || slash == dir)
		return 0;
	*slash = '\0';
	return mkdir(dir, 0700) && errno != EEXIST ? -errno : 0;
}

/* Appends the key in one write, after a newline if the file's last line has none. */
static int add_key(const struct host_key *k, const struct ssh_session *s, const void *key, size_t n, struct err *e)
{
	bool in_line = k->bytes[0] && k->texts[0][k->bytes[0] - 1] != '\n';
	AUTO_FREE char *line = known_hosts_line(s->host, s->port, key, n);
	AUTO_FREE char *text = xasprintf("%s%s", in_line ? "\n" : "", line);
	int r = make_parent(k->files[0]);
	AUTO_CLOSE int fd = r ? -1 : open(k->files[0], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return err_sys(e, r ? -r : errno, "cannot add the key of %s to %s", s->host, k->files[0]);
	log_info("the key of %s was added to %s", s->host, k->files[0]);
	return 0;
}

static int refuse_unknown(const struct ssh_session *s, const char *type, const char *print, struct err *e)
{
	AUTO_FREE char *port = s->port == 22 ? xstrdup("") : xasprintf("-p %u ", s->port);

	return err_set(e, EACCES,
		       "the key of %s is not known: %s %s. Compare it with what the host itself says (ssh-keygen -lf "
		       "/etc/ssh/ssh_host_*_key.pub there), then log in once with: ssh %s%s, or say --ssh-accept-new",
		       s->base.text, type, print, port, s->host);
}

static int check_host_key(struct ssh_session *s, const struct host_key *k, const struct ssh_config *cfg, struct err *e)
{
	AUTO_FREE char *name = known_hosts_name(s->host, s->port);
	const char *key, *file = NULL;
	struct known_hosts known;
	char type[64], print[64];
	int lib_type;
	size_t n;

	key = libssh2_session_hostkey(s->lib, &n, &lib_type);
	if (!key || n > SSH_KEY_MAX || !ssh_key_type((const uint8_t *)key, n, type))
		return err_set(e, EPROTO, "%s shows no host key", s->base.text);
	ssh_fingerprint((const uint8_t *)key, n, print);
	known = look(k, s, key, n, &file);
	switch (known.verdict) {
	case KNOWN_SAME:
		return 0;
	case KNOWN_REVOKED:
		return err_set(e, EACCES, "the key of %s (%s %s) is marked as revoked in line %u of %s", s->base.text, type, print,
			       known.line, file);
	case KNOWN_CHANGED:
		return err_set(e, EACCES,
			       "the key of %s has CHANGED: it shows %s %s, but line %u of %s has another. It may be another host "
			       "that answers in its place. If the change is right: ssh-keygen -f %s -R '%s'",
			       s->base.text, type, print, known.line, file, file, name);
	case KNOWN_NOT:
		break;
	}
	return cfg->accept_new ? add_key(k, s, key, n, e) : refuse_unknown(s, type, print, e);
}

/* ---- opening ---- */

static int shake_hands(struct ssh_session *s, const struct ssh_config *cfg, const char *home, struct err *e)
{
	struct host_key k;
	int r = host_key_load(&k, cfg, home, e);

	for (size_t i = 0; i < ARRAY_LEN(preferred); i++)
		if (prefer(s, preferred[i].method, preferred[i].algorithms))
			log_info("ssh: this libssh2 has none of %s", preferred[i].algorithms);
	libssh2_session_set_blocking(s->lib, 1);
	libssh2_session_set_timeout(s->lib, s->connect_ms);
	r = r ?: prefer_known_types(s, &k, e);
	if (!r && libssh2_session_handshake(s->lib, s->fd))
		r = handshake_failed(s, &k, e);
	if (!r)
		log_debug("ssh: %s, %s, %s", libssh2_session_methods(s->lib, LIBSSH2_METHOD_HOSTKEY),
			  libssh2_session_methods(s->lib, LIBSSH2_METHOD_CRYPT_CS), libssh2_session_methods(s->lib, LIBSSH2_METHOD_MAC_CS));
	r = r ?: check_host_key(s, &k, cfg, e);
	host_key_fini(&k);
	return r;
}

static void session_close(struct ssh *ssh)
{
	struct ssh_session *s = container_of(ssh, struct ssh_session, base);

	if (s->pumping)
		pump_stop(s);
	if (s->fd >= 0)
		shutdown(s->fd, SHUT_RDWR); /* ends all waiting */
	for (int i = 0; s->lib && i < FREE_TRIES && libssh2_session_free(s->lib) == LIBSSH2_ERROR_EAGAIN; i++)
		;
	if (s->fd >= 0)
		close(s->fd);
	FREE_ALL(s->out, s->user, s->host, s);
}

static const struct ssh_ops libssh2_ops = {session_close, pump_exec, pump_forward};

static struct ssh_session *session_new(const struct ssh_config *cfg, struct err *e)
{
	const struct passwd *pw = cfg->target.user ? NULL : getpwuid(getuid());
	struct ssh_session *s;

	if (!cfg->target.user && !pw) {
		err_set(e, EINVAL, "this user has no name: say USER@%s", cfg->target.host);
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	s->base.ops = &libssh2_ops;
	s->fd = -1;
	s->connect_ms = cfg->connect_ms ? cfg->connect_ms : SSH_CONNECT_MS;
	s->silence_ms = cfg->silence_ms;
	s->user = xstrdup(pw ? pw->pw_name : cfg->target.user);
	s->host = xstrdup(cfg->target.host);
	s->port = cfg->target.port ? (unsigned)atoi(cfg->target.port) : 22;
	s->base.text = xasprintf(strchr(s->host, ':') ? "%s@[%s]:%u" : "%s@%s:%u", s->user, s->host, s->port);
	return s;
}

int ssh_libssh2_open(struct ssh **out, const struct ssh_config *cfg, struct err *e)
{
	const char *home = cfg->home ? cfg->home : getenv("HOME");
	struct ssh_session *s = session_new(cfg, e);
	int r;

	if (!s)
		return -e->code;
	r = connect_socket(s, cfg->address, e);
	if (!r && (libssh2_init(0) || !(s->lib = libssh2_session_init_ex(NULL, NULL, NULL, s))))
		r = err_set(e, ENOMEM, "libssh2 does not start");
	if (!r) {
		set_callbacks(s);
		r = shake_hands(s, cfg, home ? home : "/", e);
	}
	if (cfg->batch)
		s->until_ns = now_ns() + SSH_LOGIN_STEPS * s->connect_ms * 1000000ULL;
	r = r ?: session_log_in(s, cfg, home ? home : "/", e) ?: pump_start(s, e);
	if (r)
		ssh_close(&s->base);
	else
		*out = &s->base;
	return r;
}
