/*
 * bench-ssh.c: the other host of a bench, reached by SSH.
 *
 * Theory of operation. vmferry-bench-dst is sent there and takes orders (agent-dst/bench/bench-host.h), one at a time: folders, images, QEMUs.
 * Unix sockets there are reached by one more SSH channel each, with a copy of it at the other end. When our end of the first
 * channel is gone, whatever the reason, everything there is ended and removed by that process.
 *
 * The first side is this machine without any namespace. Its guests are in QEMU's user network, as those there: nothing of either
 * host's network is changed, and nobody needs to be root.
 */
#include "bench.h"
#include "json-text.h"
#include "net.h"
#include "process.h"
#include "room.h"
#include "shell-quote.h"
#include "ssh-bootstrap.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define REPLY_MS       60000 /* time for a line of the other end */
#define PIECE_BYTES    65536
#define LINE_MAX_BYTES 65536
#define BEAT_MS	       10000
#define HEAR_MS	       3000
#define CLEAR_MS       60000
#define QEMU_MS	       20000

struct there {
	struct bench *b;
	struct ssh *ssh;
	struct ssh_proc *proc;
	int fd;					  /* orders and answers; -1: none */
	json_t *hello, *found;			  /* answers of the other end; the members below point into these */
	const char *dir, *client, *server, *qemu; /* client, server: addresses of SSH's connection */
	char *address, *interface;
	unsigned first_port, last_port;
	uint64_t beat_ns;
	bool lost;
};

/* ---- orders ---- */

static int lost(struct there *t, struct err *e)
{
	t->lost = true;
	return err_set(e, EPIPE, "the connection with %s was lost; what was there is being removed", t->b->host);
}

static int put(struct there *t, const char *text, size_t n, struct err *e)
{
	ssize_t sent;

	while (n) {
		sent = send(t->fd, text, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR && !bench_stop)
			continue;
		if (sent <= 0)
			return lost(t, e);
		text += sent;
		n -= (size_t)sent;
	}
	t->beat_ns = now_ns();
	return 0;
}

/* Reads one line: the answer to the last request, as the peer sends nothing else. */
static int get(struct there *t, json_t **out, struct err *e)
{
	uint64_t until_ns = now_ns() + REPLY_MS * 1000000ULL;
	struct pollfd p = {.fd = t->fd, .events = POLLIN};
	AUTO_FREE char *line = xmalloc(LINE_MAX_BYTES + 1);
	size_t n = 0;
	ssize_t got;

	while (!n || line[n - 1] != '\n') {
		if (now_ns() >= until_ns || n == LINE_MAX_BYTES)
			return lost(t, e);
		if (poll(&p, 1, 1000) <= 0)
			continue;
		got = read(t->fd, line + n, LINE_MAX_BYTES - n);
		if (got <= 0)
			return lost(t, e);
		n += (size_t)got;
	}
	line[n] = '\0';
	*out = json_loads(line, 0, NULL);
	return *out ? 0 : err_set(e, EPROTO, "%s answers with what is none: %.80s", t->b->host, line);
}

/* answer may be NULL. {error} is an error. */
static int answered(struct there *t, json_t **answer, struct err *e)
{
	json_t *a;
	int r = get(t, &a, e);

	if (r)
		return r;
	if (json_text(a, "error"))
		r = err_set(e, EREMOTEIO, "%s: %s", t->b->host, json_text(a, "error"));
	if (!r && answer)
		*answer = a;
	else
		json_decref(a);
	return r;
}

/* The order's reference is taken. */
static int send_order(struct there *t, json_t *order, struct err *e)
{
	AUTO_FREE char *text = json_dumps(order, JSON_COMPACT), *line = xasprintf("%s\n", text ? text : "");

	json_decref(order);
	if (t->lost)
		return lost(t, e);
	return put(t, line, strlen(line), e);
}

static int order(struct there *t, json_t *words, json_t **answer, struct err *e)
{
	return send_order(t, words, e) ?: answered(t, answer, e);
}

int there_beat(struct there *t, struct err *e)
{
	if (t->lost)
		return lost(t, e);
	return t->fd < 0 || now_ns() < t->beat_ns + BEAT_MS * 1000000ULL ? 0 : put(t, "\n", 1, e);
}

/* A path there as orders have it. */
static const char *relative(const struct there *t, const char *path)
{
	return path + strlen(t->dir) + 1;
}

/* An order about a path. */
static int order_path(struct side *s, const char *verb, const char *path, uint64_t bytes, json_t **answer, struct err *e)
{
	return order(s->there, json_pack("{s:s,s:s,s:I}", "order", verb, "path", relative(s->there, path), "bytes", (json_int_t)bytes),
		     answer, e);
}

/* ---- the side ---- */

static int there_folder(struct side *s, const char *path, struct err *e)
{
	return order_path(s, "folder", path, 0, NULL, e);
}

static int there_file(struct side *s, const char *path, const char *text, struct err *e)
{
	struct there *t = s->there;
	int r = send_order(t, json_pack("{s:s,s:s,s:I}", "order", "file", "path", relative(t, path), "bytes", (json_int_t)strlen(text)), e);

	return r ?: put(t, text, strlen(text), e) ?: answered(t, NULL, e);
}

static int there_image(struct side *s, const char *path, uint64_t bytes, bool *direct, struct err *e)
{
	json_auto_t *answer = NULL;
	int r = order_path(s, "image", path, bytes, &answer, e);

	if (r)
		return r;
	*direct = json_is_true(json_object_get(answer, "direct"));
	return 0;
}

static uint64_t there_allocated(struct side *s, const char *path)
{
	uint64_t bytes;
	json_t *answer;
	struct err e;

	if (order_path(s, "allocated", path, 0, &answer, &e))
		return 0;
	bytes = (uint64_t)json_integer_value(json_object_get(answer, "bytes"));
	json_decref(answer);
	return bytes;
}

static void there_tail(struct side *s, const char *path, char *text, size_t room)
{
	json_auto_t *answer = NULL;
	struct err e;

	if (order_path(s, "tail", path, 0, &answer, &e))
		answer = NULL;
	snprintf(text, room, "%s", json_text(answer, "text") ?: "");
	text_make_printable(text, true);
}

static int there_spawn(struct side *s, char *const *argv, int out_fd, const char *log, pid_t *pid, struct err *e)
{
	json_t *words = json_array(), *answer;
	int r;

	(void)out_fd;
	for (; *argv; argv++)
		json_array_append_new(words, json_string(*argv));
	r = order(s->there, json_pack("{s:s,s:o,s:s}", "order", "spawn", "argv", words, "log", relative(s->there, log)), &answer, e);
	if (r)
		return r;
	*pid = (pid_t)json_integer_value(json_object_get(answer, "pid"));
	json_decref(answer);
	return 0;
}

static int there_reach(struct side *s, const char *path, int *fd, struct err *e)
{
	AUTO_FREE char *quoted = shell_quote(path), *program = shell_quote(s->there->dir);
	AUTO_FREE char *command = xasprintf("%s/vmferry-bench-dst --reach %s", program, quoted);
	struct ssh_proc *proc;
	int r = s->there->lost ? lost(s->there, e) : ssh_exec(s->there->ssh, command, &proc, fd, e);

	if (r)
		return err_prefix(e, "reaching %s at %s", path, s->there->b->host);
	ssh_proc_free(proc);
	return 0;
}

static int there_port(struct side *s, unsigned usual, unsigned *port, struct err *e)
{
	json_auto_t *answer = NULL;
	int r = order(s->there,
		      json_pack("{s:s,s:i,s:i}", "order", "port", "first", (int)s->there->first_port, "last", (int)s->there->last_port),
		      &answer, e);

	(void)usual;
	if (r)
		return r;
	*port = (unsigned)json_integer_value(json_object_get(answer, "port"));
	return 0;
}

static void there_remove(struct side *s, pid_t pid, const char *folder)
{
	struct err e;

	(void)pid; /* whoever names the folder is ended */
	if (folder)
		order_path(s, "remove", folder, 0, NULL, &e);
}

static const struct side_ops side_there = {
	.spawn = there_spawn,
	.folder = there_folder,
	.file = there_file,
	.image = there_image,
	.allocated = there_allocated,
	.tail = there_tail,
	.reach = there_reach,
	.port = there_port,
	.remove = there_remove,
};

/* ---- getting there ---- */

static int log_in(struct there *t, const struct dest_config *dest, struct err *e)
{
	struct ssh_config sc = {.backend = dest->openssh ? SSH_OPENSSH : SSH_LIBSSH2,
				.identity = dest->identity,
				.accept_new = dest->ssh_accept_new,
				.batch = true};
	int r = ssh_target_parse(dest->where, &sc.target, e);

	if (r)
		return r;
	if (dest->ssh_port) {
		free(sc.target.port);
		sc.target.port = xstrdup(dest->ssh_port);
	}
	r = ssh_open(&t->ssh, &sc, e);
	if (!r)
		t->address = xstrdup(dest->via ? dest->via : ssh_peer_address(t->ssh) ? ssh_peer_address(t->ssh) : sc.target.host);
	else if (e->code == EACCES)
		err_set(e, EACCES,
			"%s. Each move by vmferry logs in once more, so that must go without a question: with a key or an SSH agent",
			e->msg);
	ssh_target_fini(&sc.target);
	return r;
}

static int start_helper(struct there *t, struct err *e)
{
	static const char *const args[] = {"--host", NULL};
	struct bootstrap_config bc = {.binary = t->b->helper, .args = args};
	int r = ssh_bootstrap(t->ssh, &bc, &t->proc, &t->fd, NULL, e) ?: answered(t, &t->hello, e);

	if (r)
		return r;
	t->dir = json_text(t->hello, "dir");
	t->client = json_text(t->hello, "client");
	t->server = json_text(t->hello, "server");
	return t->dir && t->client && t->server ? 0 : err_set(e, EPROTO, "vmferry-bench-dst at %s does not say where it works", t->b->host);
}

static int send_file(struct there *t, const char *name, struct err *e)
{
	AUTO_FREE char *path = xasprintf("%s/%s", t->b->opt.guest_dir, name), *piece = xmalloc(PIECE_BYTES);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	off_t left;
	ssize_t n;
	int r;

	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, errno, "cannot open %s", path);
	r = send_order(t, json_pack("{s:s,s:s,s:I}", "order", "file", "path", name, "bytes", (json_int_t)st.st_size), e);
	for (left = st.st_size; left > 0 && !r; left -= n) {
		n = read(fd, piece, (size_t)MIN(left, PIECE_BYTES));
		r = n <= 0 ? err_set(e, EIO, "cannot read %s", path) : put(t, piece, (size_t)n, e);
	}
	t->lost |= r != 0;
	r = r ?: answered(t, NULL, e);
	return r ? err_prefix(e, "sending the guest's %s", name) : 0;
}

/* ---- QEMU and the network ---- */

static bool has_line(const char *text, const char *line)
{
	const char *at = text;
	size_t n = strlen(line);

	while ((at = strstr(at, line))) {
		if ((at == text || at[-1] == '\n') && (at[n] == '\n' || !at[n]))
			return true;
		at += n;
	}
	return false;
}

static int no_user_network(const char *qemu, const char *host, struct err *e)
{
	return err_set(e, ENOTSUP, "%s at %s has no user network (-netdev user), which the guest needs: take one that was built with slirp",
		       qemu, host);
}

static int check_here(const struct bench *b, struct err *e)
{
	char *argv[] = {(char *)b->opt.qemu, "-netdev", "help", NULL};
	struct process_output said;
	int r = process_run(argv, QEMU_MS, &said, e);

	return r ? r : has_line(said.text, "user") ? 0 : no_user_network(b->opt.qemu, "this host", e);
}

/* The same program as here, if it is there: vmferry-dst looks for it in the same places. */
static int find_qemu(struct there *t, struct err *e)
{
	json_t *names = json_pack("[s,s,s,s,s,s]", t->b->opt.qemu, "qemu-system-x86_64", "/usr/libexec/qemu-system-x86_64",
				  "/usr/local/bin/qemu-system-x86_64", "/usr/lib/qemu/qemu-system-x86_64", "/usr/libexec/qemu-kvm");
	int r = order(t, json_pack("{s:s,s:o}", "order", "qemu", "names", names), &t->found, e);

	if (r)
		return err_prefix(e, "looking for QEMU (package qemu-system-x86)");
	t->qemu = json_text(t->found, "path");
	if (!t->qemu || !json_text(t->found, "version") || !json_text(t->found, "netdevs"))
		return err_set(e, EPROTO, "%s does not say which QEMU it has", t->b->host);
	return has_line(json_text(t->found, "netdevs"), "user") ? 0 : no_user_network(t->qemu, t->b->host, e);
}

static int check_room(struct there *t, struct err *e)
{
	struct room there;
	json_t *answer;
	int r = order(t, json_pack("{s:s}", "order", "room"), &answer, e);

	if (r)
		return err_prefix(e, "asking for the room there");
	there = (struct room){.memory = (uint64_t)json_integer_value(json_object_get(answer, "memory")),
			      .disk = (uint64_t)json_integer_value(json_object_get(answer, "disk")),
			      .disk_is_memory = json_is_true(json_object_get(answer, "disk_is_memory"))};
	json_decref(answer);
	return plan_fits(&t->b->plan, 1, &there, t->b->host, e);
}

/* The address that we have on the way to that one. */
static int own_address(const char *to, struct sockaddr_storage *own, struct err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *found;
	socklen_t length = sizeof(*own);
	int fd, r = getaddrinfo(to, "9", &hints, &found);

	if (r)
		return err_set(e, EHOSTUNREACH, "%s: %s", to, gai_strerror(r));
	fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r = fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) || getsockname(fd, (struct sockaddr *)own, &length)
		    ? err_sys(e, errno, "there is no way to %s", to)
		    : 0;
	if (fd >= 0)
		close(fd);
	freeaddrinfo(found);
	return r;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr *b)
{
	if (!b || b->sa_family != a->ss_family)
		return false;
	if (b->sa_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr == ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	return b->sa_family == AF_INET6 &&
	       !memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr));
}

static int find_interface(struct there *t, struct err *e)
{
	struct sockaddr_storage own;
	struct ifaddrs *all, *one;
	int r = own_address(t->address, &own, e);

	if (r)
		return r;
	if (getifaddrs(&all))
		return err_sys(e, errno, "cannot list the network interfaces");
	for (one = all; one && !t->interface; one = one->ifa_next)
		if (same_address(&own, one->ifa_addr))
			t->interface = xstrdup(one->ifa_name);
	freeifaddrs(all);
	return t->interface ? 0 : err_set(e, ENODEV, "no network interface leads to %s", t->address);
}

/* Datagrams of the guest must find their way from there to our collector. */
static int check_collector(struct there *t, struct err *e)
{
	struct bench *b = t->b;
	uint64_t until_ns;
	struct in_addr address;
	int r;

	if (!b->opt.collector)
		b->opt.collector = t->client;
	if (inet_pton(AF_INET, b->opt.collector, &address) != 1)
		return err_set(e, EINVAL, "the guest's heartbeat needs an IPv4 address of this host, and '%s' is none: --collector ADDRESS",
			       b->opt.collector);
	collector_clear(b->collector);
	r = order(t,
		  json_pack("{s:s,s:s,s:i,s:s}", "order", "beat", "address", b->opt.collector, "port", (int)collector_port(b->collector),
			    "token", collector_token(b->collector)),
		  NULL, e);
	until_ns = now_ns() + HEAR_MS * 1000000ULL;
	while (!r && !collector_heard(b->collector))
		r = bench_step(b, until_ns, 10, e);
	if (r == -EREMOTEIO)
		return err_set(e, EHOSTUNREACH,
			       "%s, where the guest's heartbeat would go: --collector ADDRESS says another address of this host", e->msg);
	if (r != -ETIMEDOUT)
		return r;
	return err_set(e, EHOSTUNREACH,
		       "no datagram from %s comes to %s, UDP port %u, here, where the guest's heartbeat would: a firewall? "
		       "--collector ADDRESS says another address of this host",
		       b->host, b->opt.collector, collector_port(b->collector));
}

/* ---- beginning and end ---- */

static void make_sides(struct bench *b, struct there *t)
{
	setenv("VMFERRY_DST_DIR", t->dir, 1); /* each vmferry that we start has it: that host keeps the journals of its own moves */
	b->sides[0] = (struct side){.ops = &side_here,
				    .interface = t->interface,
				    .work = b->work,
				    .qemu = b->opt.qemu,
				    .guest_dir = b->opt.guest_dir};
	b->sides[1] = (struct side){.ops = &side_there,
				    .there = t,
				    .address = t->address,
				    .listen = *t->server ? t->server : t->address,
				    .work = t->dir,
				    .qemu = t->qemu,
				    .guest_dir = t->dir};
}

int there_open(struct bench *b, struct err *e)
{
	const struct dest_config *dest = &b->dest;
	struct there *t = b->there = xcalloc(1, sizeof(*t));
	struct net_ports ports = {0};
	int r = check_here(b, e);

	t->b = b;
	t->fd = -1;
	if (!r && dest->data_ports)
		r = net_parse_ports(dest->data_ports, &ports, e);
	t->first_port = ports.first;
	t->last_port = ports.last;
	r = r ?: log_in(t, dest, e) ?: start_helper(t, e) ?: check_room(t, e) ?: find_qemu(t, e) ?: find_interface(t, e);
	r = r ?: check_collector(t, e) ?: send_file(t, "vmlinuz", e) ?: send_file(t, "initrd.img", e);
	if (!r)
		make_sides(b, t);
	return r;
}

const char *there_qemu_version(const struct there *t)
{
	return json_text(t->found, "version");
}

void there_close(struct bench *b)
{
	struct there *t = b->there;
	struct err e;
	int status;

	if (!t)
		return;
	if (t->fd >= 0) {
		shutdown(t->fd, SHUT_WR);
		if (!t->lost && ssh_wait(t->proc, CLEAR_MS, &status, &e))
			fprintf(stderr, "vmferry bench: %s does not say that all is removed there: look for %s\n", b->host, t->dir);
		close(t->fd);
	}
	ssh_proc_free(t->proc);
	ssh_close(t->ssh);
	json_decref(t->hello);
	json_decref(t->found);
	FREE_ALL(t->address, t->interface, t);
	b->there = NULL;
}
