/* peer-accept.c: see peer-accept.h. */
#include "peer-accept.h"
#include "net.h"
#include "util.h"
#include "version.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#define EVENTS_MAX  32
#define ACCEPTS_MAX 8	/* number of new peers before those that are here are heard again */
#define PAUSE_MS    200 /* pause when no connection can be accepted: out of descriptors, say */
#define LINES_MAX   20	/* about refusals, in LINES_NS */
#define LINES_NS    (60 * 1000000000ULL)

enum step { SAYS_FIRST_BYTE, SHAKES_HANDS, SAYS_HELLO, PROVES, RESUMES };

/* Extent of what a peer has said: one who has said less goes first. With TLS it is understood when it has proved that it has a key. */
enum extent { NOTHING, BEGUN, UNDERSTOOD };

struct peer {
	struct peer *next;
	struct link link;
	uint64_t until_ns;
	uint8_t address[16]; /* the part of it that one user has */
	char *from;	     /* address, in words */
	enum extent said;
	enum step step;
	struct hello theirs, mine;
	struct hello_input in;
};

struct door {
	struct door_config cfg;
	int listen_fd, epoll_fd, timer_fd;
	struct peer *peers; /* the oldest first */
	unsigned count, lines;
	uint64_t paused_until_ns, lines_since_ns;
};

/* ---- who is there ---- */

static void forget(struct door *d, struct peer *p)
{
	struct peer **at = &d->peers;

	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	d->count--;
	link_forget(&p->link);
	free(p->from);
	free(p);
}

/* Removes a peer from epoll before its connection is closed or another's: epoll would know it for as long as any process has it. */
static void unwatch(struct door *d, struct peer *p)
{
	epoll_ctl(d->epoll_fd, EPOLL_CTL_DEL, p->link.fd, NULL);
}

/* Logs a line for each refusal, until there are too many. */
static void log_refusal(struct door *d, const struct peer *p, const char *why)
{
	if (now_ns() - d->lines_since_ns > LINES_NS) {
		if (d->lines > LINES_MAX)
			log_line(d->cfg.level, "%u more connections were refused", d->lines - LINES_MAX);
		d->lines = 0;
		d->lines_since_ns = now_ns();
	}
	if (d->lines++ < LINES_MAX)
		log_line(d->cfg.level, "a connection from %s was refused: %s%s", p->from, why,
			 d->lines == LINES_MAX ? " (more like this are only counted for a minute)" : "");
}

static void refuse(struct door *d, struct peer *p, const char *why)
{
	log_refusal(d, p, why);
	hello_refuse(&p->link, why);
	unwatch(d, p);
	forget(d, p);
}

static bool same_address(const struct peer *p, const uint8_t address[16])
{
	return !memcmp(p->address, address, 16);
}

/* The oldest of those that have said least; of this address if there is one. */
static struct peer *who_goes(const struct door *d, const uint8_t *address)
{
	struct peer *p, *least = NULL;

	for (p = d->peers; p; p = p->next) {
		if (address && !same_address(p, address))
			continue;
		if (!least || p->said < least->said)
			least = p;
	}
	return least;
}

static void make_room(struct door *d, const uint8_t address[16])
{
	struct peer *p;
	unsigned same = 0;

	for (p = d->peers; p; p = p->next)
		same += same_address(p, address);
	if (same < DOOR_SAME_MAX && d->count < DOOR_PEERS_MAX)
		return;
	p = who_goes(d, same >= DOOR_SAME_MAX ? address : NULL);
	log_refusal(d, p, "it was the oldest of too many that have not proved who they are");
	unwatch(d, p);
	forget(d, p);
}

/* IPv6: of a /64, which one user may have all of. */
static void address_of(const struct sockaddr_storage *ss, uint8_t out[16])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)ss;

	memset(out, 0, 16);
	if (ss->ss_family == AF_INET)
		memcpy(out + 12, &v4->sin_addr, 4);
	else if (ss->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		memcpy(out + 12, v6->sin6_addr.s6_addr + 12, 4);
	else if (ss->ss_family == AF_INET6)
		memcpy(out, &v6->sin6_addr, 8);
}

/* ---- what they say ---- */

/* Looks at the first byte: an agent with TLS and one without must each understand the other's refusal. */
static int first_byte(struct door *d, struct peer *p, struct err *e)
{
	const struct access *a = d->cfg.access;
	bool tls;
	int r = link_peek_tls(&p->link, &tls, e);

	if (r <= 0)
		return r;
	if (tls && !a->key_count)
		return err_set(e, EPERM, "this vmferry-dst has no keys (it was started without --psk-file), but the source wants TLS");
	if (!tls && a->key_count)
		return err_set(e, EPERM, "this vmferry-dst speaks TLS only: give the source its key (--psk-file)");
	if (tls)
		p->link.tls = tls_conn_server(a->keys, a->key_count);
	p->step = tls ? SHAKES_HANDS : SAYS_HELLO;
	return 1;
}

/* Checks a peer in clear: the source says by which way it has come, unless neither side minds. */
static int check_way(const struct door *d, const struct peer *p, struct err *e)
{
	AUTO_FREE char *way = net_way(p->link.fd, true);

	if (p->link.tls || (!*p->theirs.way && d->cfg.access->relayed))
		return 0;
	if (!*p->theirs.way)
		return err_set(e, EPERM, "the source was told --plaintext, this vmferry-dst was not");
	if (strcmp(p->theirs.way, way))
		return err_set(e, EPERM,
			       "the connection that the source has (%s) is not this one (%s): something stands between, and could "
			       "take over the move. If that is meant to be, say --plaintext on both sides",
			       p->theirs.way, way);
	return 0;
}

static int answer(struct door *d, struct peer *p, struct err *e)
{
	int r = check_way(d, p, e) ?: d->cfg.wanted(d->cfg.ctx, &p->theirs, e);

	if (r)
		return r;
	p->mine = (struct hello){.software = "vmferry-dst " VMFERRY_VERSION,
				 .channel = p->theirs.channel,
				 .generation = p->theirs.generation};
	memcpy(p->mine.session, p->theirs.session, 16);
	hello_begin(&p->mine);
	if (!p->link.tls) {
		p->mine.proves = true;
		hello_prove(HELLO_DESTINATION, d->cfg.access->token, &p->theirs, &p->mine, p->mine.proof);
	}
	return hello_send(&p->link, &p->mine, 0, e);
}

static void let_in(struct door *d, struct peer *p)
{
	struct link link = p->link;
	struct hello theirs = p->theirs;

	unwatch(d, p);
	p->link = LINK_NONE;
	forget(d, p);
	net_tune(link.fd);
	d->cfg.enter(d->cfg.ctx, &link, &theirs);
}

static int check_proof(struct door *d, struct peer *p, struct err *e)
{
	uint8_t proof[HELLO_PROOF_BYTES];
	int r = hello_receive_proof_more(&p->link, &p->in, proof, e);

	if (r > 0 && !hello_proof_is(proof, HELLO_SOURCE, d->cfg.access->token, &p->theirs, &p->mine))
		return err_set(e, EPERM, "the peer does not know this agent's token");
	return r;
}

/* Advances the handshake with the bytes received. 1: admitted, 0: needs more, -errno: refused. */
static int hear_more(struct door *d, struct peer *p, struct err *e)
{
	int r = 0;

	for (;;) {
		switch (p->step) {
		case SAYS_FIRST_BYTE:
			r = first_byte(d, p, e);
			break;
		case SHAKES_HANDS:
			r = link_secure_more(&p->link, e);
			if (r > 0)
				p->step = SAYS_HELLO;
			break;
		case SAYS_HELLO:
			r = hello_receive_more(&p->link, &p->in, &p->theirs, e);
			if (r > 0 && answer(d, p, e))
				r = -e->code;
			if (r > 0 && !p->link.tls)
				p->step = PROVES;
			else if (r > 0 && p->theirs.generation)
				p->step = RESUMES;
			else if (r > 0)
				return 1;
			break;
		case PROVES:
			r = check_proof(d, p, e);
			if (r > 0 && !p->theirs.generation)
				return 1;
			p->step = r > 0 ? RESUMES : PROVES;
			break;
		case RESUMES:
			return hello_receive_resume_more(&p->link, &p->in, &p->theirs, e);
		}
		if (r <= 0)
			return r;
	}
}

static enum extent has_said(const struct peer *p)
{
	if (p->step == SAYS_FIRST_BYTE)
		return NOTHING;
	if (p->link.tls)
		return tls_conn_has_key(p->link.tls) ? UNDERSTOOD : BEGUN;
	return p->step == SAYS_HELLO ? BEGUN : UNDERSTOOD;
}

static void hear(struct door *d, struct peer *p)
{
	struct err e;
	int r = hear_more(d, p, &e);

	p->said = has_said(p);
	if (r < 0)
		refuse(d, p, e.msg);
	else if (r > 0)
		let_in(d, p);
}

/* ---- coming and going ---- */

static void watch_listener(struct door *d, bool yes)
{
	struct epoll_event ev = {.events = yes ? EPOLLIN : 0, .data.ptr = d};

	epoll_ctl(d->epoll_fd, EPOLL_CTL_MOD, d->listen_fd, &ev);
	d->paused_until_ns = yes ? 0 : now_ns() + PAUSE_MS * 1000000ULL;
}

static void welcome(struct door *d, int fd, const struct sockaddr_storage *from)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct peer *p = xcalloc(1, sizeof(*p)), **at = &d->peers;

	p->link = (struct link){.fd = fd};
	p->until_ns = now_ns() + d->cfg.timeout_ms * 1000000ULL;
	address_of(from, p->address);
	p->from = net_peer(fd);
	make_room(d, p->address);
	while (*at)
		at = &(*at)->next;
	*at = p;
	d->count++;
	ev.data.ptr = p;
	if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fd, &ev))
		forget(d, p);
	else
		hear(d, p); /* a part of HELLO may be here already: read it before more peers come */
}

static void accept_some(struct door *d)
{
	struct sockaddr_storage from;
	socklen_t len;
	unsigned i;
	int fd;

	for (i = 0; i < ACCEPTS_MAX; i++) {
		len = sizeof(from);
		fd = accept4(d->listen_fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);
		if (fd < 0)
			break;
		welcome(d, fd, &from);
	}
	if (i < ACCEPTS_MAX && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		watch_listener(d, false);
}

static void give_up_the_late(struct door *d)
{
	while (d->peers && d->peers->until_ns <= now_ns())
		refuse(d, d->peers, "no HELLO came in time");
}

static void set_timer(struct door *d)
{
	uint64_t at = d->peers ? d->peers->until_ns : 0;
	struct itimerspec t = {.it_value.tv_sec = 0};

	if (d->paused_until_ns && (!at || d->paused_until_ns < at))
		at = d->paused_until_ns;
	t.it_value.tv_sec = (time_t)(at / 1000000000);
	t.it_value.tv_nsec = (long)(at % 1000000000);
	timerfd_settime(d->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

void door_step(struct door *d)
{
	struct epoll_event ev[EVENTS_MAX];
	int n = epoll_wait(d->epoll_fd, ev, EVENTS_MAX, 0), i;
	bool more = false;

	for (i = 0; i < n; i++) {
		if (ev[i].data.ptr == d)
			more = true;
		else if (ev[i].data.ptr)
			hear(d, ev[i].data.ptr);
	}
	if (more)
		accept_some(d);
	give_up_the_late(d);
	if (d->paused_until_ns && d->paused_until_ns <= now_ns())
		watch_listener(d, true);
	set_timer(d);
}

int door_fd(const struct door *d)
{
	return d->epoll_fd;
}

int door_new(struct door **out, int listen_fd, const struct door_config *cfg, struct err *e)
{
	struct door *d = xcalloc(1, sizeof(*d));
	struct epoll_event listener = {.events = EPOLLIN, .data.ptr = d}, timer = {.events = EPOLLIN, .data.ptr = NULL};

	d->cfg = *cfg;
	d->listen_fd = listen_fd;
	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	d->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	d->lines_since_ns = now_ns();
	fcntl(listen_fd, F_SETFL, fcntl(listen_fd, F_GETFL) | O_NONBLOCK); /* a client that connected may have gone again */
	if (d->epoll_fd < 0 || d->timer_fd < 0 || epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, listen_fd, &listener) ||
	    epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->timer_fd, &timer)) {
		err_sys(e, errno, "cannot wait for connections");
		door_free(d);
		return -e->code;
	}
	*out = d;
	return 0;
}

void door_free(struct door *d)
{
	if (!d)
		return;
	while (d->peers) /* the peers stay in epoll, which after a fork is another process's, too */
		forget(d, d->peers);
	if (d->epoll_fd >= 0)
		close(d->epoll_fd);
	if (d->timer_fd >= 0)
		close(d->timer_fd);
	free(d);
}
