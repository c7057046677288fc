/* hmp-reach.c: see hmp-reach.h. */
#include "hmp-reach.h"
#include "guest-ptys.h"
#include "json-text.h"
#include "process.h"
#include "pty-master.h"
#include "tcp-listener.h"
#include "unix-socket.h"
#include "util.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_MS	1000
#define GREETING_MS	3000
#define MUX_GREETING_MS 500  /* on a mux silence tells nothing */
#define PTY_GREETING_MS 2500 /* QEMU looks once a second whether somebody has opened it */

/* ---- where it is ---- */

static int find_pty(struct hmp_place *p, const struct guest *g, const struct args_hmp *on_line, struct err *e)
{
	p->at = guest_pty_of(g, on_line);
	return p->at ? 0
		     : err_set(e, ENOTSUP, "cannot tell which of QEMU's pseudo-terminals %s is (path= in the option would say)",
			       on_line->option);
}

static int fill(struct hmp_place *p, const struct guest *g, const struct args_hmp *on_line, struct err *e)
{
	p->kind = on_line->kind;
	p->telnet = on_line->telnet;
	p->escape = on_line->escape;
	switch (on_line->kind) {
	case HMP_NOWHERE:
		return err_set(e, ENOTSUP, "%s: %s", on_line->option, on_line->why);
	case HMP_PTY:
		return find_pty(p, g, on_line, e);
	case HMP_UNIX:
		p->at = guest_path(g, on_line->at);
		return 0;
	case HMP_TCP:
		p->at = xstrdup(on_line->at);
		return 0;
	}
	return -EINVAL;
}

static void name_it(struct hmp_place *p)
{
	p->name = xasprintf("%s%s%s", p->kind == HMP_TCP ? p->telnet ? "telnet port " : "TCP port " : "", p->at,
			    p->escape ? " (which the guest's console shares)" : "");
}

int hmp_locate(struct hmp_place *out, const struct guest *g, const struct args_hmp *on_line, struct err *e)
{
	int r;

	*out = (struct hmp_place){.at = NULL};
	if (on_line->mux && !on_line->escape)
		return err_set(e, ENOTSUP, "more than the guest's console share %s, so vmferry cannot tell which of them has the keyboard",
			       on_line->option);
	r = fill(out, g, on_line, e);
	if (r)
		hmp_place_fini(out);
	else
		name_it(out);
	return r;
}

void hmp_place_fini(struct hmp_place *p)
{
	free(p->at);
	free(p->name);
	*p = (struct hmp_place){.at = NULL};
}

json_t *hmp_place_json(const struct hmp_place *p)
{
	return json_pack("{s:i,s:s,s:b,s:i}", "kind", (int)p->kind, "at", p->at, "telnet", p->telnet, "escape", (int)p->escape);
}

bool hmp_place_load(struct hmp_place *p, const json_t *from)
{
	json_int_t kind = json_integer_value(json_object_get(from, "kind")), escape = json_integer_value(json_object_get(from, "escape"));
	const char *at = json_text(from, "at");

	*p = (struct hmp_place){.at = NULL};
	if (!at || kind <= HMP_NOWHERE || kind > HMP_PTY || escape < 0 || escape > 127)
		return false;
	*p = (struct hmp_place){.kind = (enum args_hmp_kind)kind,
				.at = xstrdup(at),
				.telnet = json_is_true(json_object_get(from, "telnet")),
				.escape = (char)escape};
	name_it(p);
	return true;
}

/* ---- connecting ---- */

static int is_not_its(const struct hmp_place *p, pid_t pid, struct err *e)
{
	return err_set(e, ESRCH, "the monitor %s is not served by the guest's QEMU (pid %d)", p->name, (int)pid);
}

static int is_taken(const struct hmp_place *p, struct err *e)
{
	return err_set(e, EBUSY, "another client is connected to the monitor %s, and it is not taken from that one", p->name);
}

static int connect_unix(const struct hmp_place *p, pid_t pid, struct err *e)
{
	int fd;

	if (!process_has_socket(pid, p->at))
		return is_not_its(p, pid, e);
	if (process_serves_client(pid, p->at))
		return is_taken(p, e);
	fd = unix_connect(p->at, SOCK_NONBLOCK);
	return fd == -EAGAIN ? is_taken(p, e) : fd < 0 ? err_sys(e, -fd, "cannot connect to the monitor %s", p->name) : fd;
}

static int wait_connected(int fd, const struct hmp_place *p, struct err *e)
{
	struct pollfd ready = {.fd = fd, .events = POLLOUT};
	socklen_t n = sizeof(int);
	int error = 0;

	if (poll(&ready, 1, CONNECT_MS) <= 0)
		return is_taken(p, e);
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) || error ? err_sys(e, error ?: errno, "cannot connect to the %s", p->name)
									 : 0;
}

static int connect_tcp(const struct hmp_place *p, pid_t pid, struct err *e)
{
	unsigned port = (unsigned)strtoul(p->at, NULL, 10);
	struct sockaddr_storage at;
	unsigned long before = tcp_listener_of(pid, port, &at);
	int fd, r;

	if (!before)
		return is_not_its(p, pid, e);
	if (tcp_serves_client(pid, port))
		return is_taken(p, e);
	fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(e, errno, "cannot connect to the %s", p->name);
	r = connect(fd, (struct sockaddr *)&at, tcp_address_bytes(&at)) && errno != EINPROGRESS
		    ? err_sys(e, errno, "cannot connect to the %s", p->name)
		    : wait_connected(fd, p, e);
	if (!r && tcp_listener_of(pid, port, &at) != before)
		r = is_not_its(p, pid, e);
	if (!r)
		return fd;
	close(fd);
	return r;
}

static int connect_pty(const struct hmp_place *p, pid_t pid, struct err *e)
{
	AUTO_FREE char *who = NULL;
	pid_t other;
	int fd;

	if (!process_sees(pid, p->at) || !pty_is_of(pid, p->at))
		return is_not_its(p, pid, e);
	other = process_that_opened(p->at, pid);
	who = process_text(other);
	if (other)
		return err_set(e, EBUSY, "%s has the monitor %s open, and it is not taken from that one", who, p->name);
	fd = pty_open(p->at);
	return fd < 0 ? err_sys(e, -fd, "cannot open the monitor %s", p->name) : fd;
}

int hmp_reach(struct hmp *h, const struct hmp_place *p, pid_t pid, struct err *e)
{
	static int (*const connects[])(const struct hmp_place *p, pid_t pid,
				       struct err *e) = {[HMP_UNIX] = connect_unix, [HMP_TCP] = connect_tcp, [HMP_PTY] = connect_pty};
	int fd = connects[p->kind](p, pid, e), r;

	*h = (struct hmp){.fd = -1,
			  .name = p->name,
			  .text.telnet = p->telnet,
			  .escape = p->escape,
			  .greeting_ms = p->kind == HMP_PTY ? PTY_GREETING_MS
					 : p->escape	    ? MUX_GREETING_MS
							    : GREETING_MS};
	if (fd < 0)
		return fd;
	r = hmp_begin(h, fd, e);
	if (r)
		hmp_end(h);
	return r;
}

int hmp_visit(const struct guest *g, const struct args_hmp *on_line,
	      int (*ask)(struct hmp *h, const struct hmp_place *p, void *ctx, struct err *e), void *ctx, struct err *e)
{
	struct hmp_place p;
	struct hmp h;
	int r = hmp_locate(&p, g, on_line, e);

	if (r)
		return r;
	r = hmp_reach(&h, &p, g->pid, e);
	if (!r) {
		r = ask(&h, &p, ctx, e);
		hmp_end(&h);
	}
	hmp_place_fini(&p);
	return r;
}
