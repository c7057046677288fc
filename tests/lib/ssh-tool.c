/*
 * ssh-tool.c: the SSH client of the source agent on its own, for tests/e2e/over-ssh.
 *
 *   ssh-tool [OPTION...] TARGET exec COMMAND            our stdin, stdout and exit status are the command's
 *   ssh-tool [OPTION...] TARGET close COMMAND           starts it, reads one line of it, closes the connection
 *   ssh-tool [OPTION...] TARGET forward HOST PORT STREAMS MIB   to a `serve`: there and back, checked; prints MB/s
 *   ssh-tool [OPTION...] TARGET send HOST PORT STREAMS MIB      the same, there only
 *   ssh-tool [OPTION...] TARGET bulk HOST PORT STREAMS MIB      the same, only back
 *   ssh-tool [OPTION...] TARGET stuck HOST PORT         a stream that nobody reads holds up no other
 *   ssh-tool [OPTION...] TARGET ends HOST PORT          the end of a stream there is seen here
 *   ssh-tool [OPTION...] TARGET bootstrap yes|no BINARY [ARGUMENT...]    yes: keep it
 *   ssh-tool serve PORT                                 the other end of forward, send, bulk, stuck and ends
 *
 * Options: -i KEY, -n (accept new hosts), -b (batch), -2 (logs in, and once more in batch), -o (OpenSSH), -k KNOWN_HOSTS, -t CONNECT_MS, -v.
 * Errors: "ssh-tool: …" on stderr, status 99.
 */
#include "log.h"
#include "ssh-bootstrap.h"
#include "ssh.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#define CHUNK	    (64 * KIB)
#define STREAMS_MAX 16
#define WAIT_MS	    30000

static int sorry(const struct err *e)
{
	fprintf(stderr, "ssh-tool: %s\n", e->msg);
	return 99;
}

static int sorry_that(const char *what)
{
	fprintf(stderr, "ssh-tool: %s\n", what);
	return 99;
}

/* ---- a stream of numbers that is the same each time ---- */

struct numbers {
	uint64_t state;
	uint64_t chunk[CHUNK / 8];
};

static void numbers_next(struct numbers *g)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(g->chunk); i++) {
		g->state ^= g->state << 13;
		g->state ^= g->state >> 7;
		g->state ^= g->state << 17;
		g->chunk[i] = g->state;
	}
}

static bool write_all(int fd, const void *data, size_t n)
{
	const char *at = data;

	while (n) {
		ssize_t r = send(fd, at, n, MSG_NOSIGNAL);

		if (r <= 0)
			return false;
		at += r;
		n -= (size_t)r;
	}
	return true;
}

static bool read_all(int fd, void *data, size_t n)
{
	char *at = data;

	while (n) {
		ssize_t r = recv(fd, at, n, 0);

		if (r <= 0)
			return false;
		at += r;
		n -= (size_t)r;
	}
	return true;
}

static bool write_numbers(int fd, uint64_t seed, uint64_t chunks)
{
	AUTO_FREE struct numbers *g = xmalloc(sizeof(*g));

	g->state = seed;
	for (; chunks; chunks--) {
		numbers_next(g);
		if (!write_all(fd, g->chunk, sizeof(g->chunk)))
			return false;
	}
	return true;
}

static bool read_numbers(int fd, uint64_t seed, uint64_t chunks)
{
	AUTO_FREE struct numbers *g = xmalloc(sizeof(*g));
	AUTO_FREE uint8_t *got = xmalloc(CHUNK);

	g->state = seed;
	for (; chunks; chunks--) {
		numbers_next(g);
		if (!read_all(fd, got, CHUNK) || memcmp(got, g->chunk, CHUNK))
			return false;
	}
	return true;
}

/* ---- the other end: "e" echo, "s" check what comes, "b" send, "c" close at once ---- */

struct order {
	char what;
	uint64_t seed, chunks;
} __attribute__((packed));

static void *serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	AUTO_FREE char *data = xmalloc(CHUNK);
	struct order o;
	ssize_t r;

	if (!read_all(fd, &o, sizeof(o)))
		o.what = 'c';
	printf("begun\n");
	fflush(stdout);
	if (o.what == 's' && write_all(fd, read_numbers(fd, o.seed, o.chunks) ? "y" : "n", 1))
		o.what = 'c';
	else if (o.what == 'b')
		write_numbers(fd, o.seed, o.chunks);
	while (o.what == 'e' && (r = recv(fd, data, CHUNK, 0)) > 0 && write_all(fd, data, (size_t)r))
		;
	close(fd);
	return NULL;
}

static int serve(unsigned port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, c;
	pthread_t t;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, 64))
		return sorry_that("cannot listen");
	printf("listening\n");
	fflush(stdout);
	while ((c = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		if (!pthread_create(&t, NULL, serve_one, (void *)(intptr_t)c))
			pthread_detach(t);
	return 0;
}

/* ---- streams ---- */

struct stream {
	int fd;
	struct order order;
	bool wrote, read;
	pthread_t writer, reader;
};

static void *writer(void *arg)
{
	struct stream *st = arg;

	st->wrote = write_all(st->fd, &st->order, sizeof(st->order)) &&
		    (st->order.what == 'b' || write_numbers(st->fd, st->order.seed, st->order.chunks)) && !shutdown(st->fd, SHUT_WR);
	return NULL;
}

static void *reader(void *arg)
{
	struct stream *st = arg;
	char verdict = 'y';

	if (st->order.what == 's')
		st->read = read_all(st->fd, &verdict, 1) && verdict == 'y';
	else
		st->read = read_numbers(st->fd, st->order.seed, st->order.chunks);
	st->read = st->read && recv(st->fd, &verdict, 1, 0) == 0; /* the end of the stream comes next */
	return NULL;
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int run_streams(struct ssh *s, char what, char **args, struct err *e)
{
	unsigned port = (unsigned)atoi(args[1]), n = MIN((unsigned)atoi(args[2]), STREAMS_MAX), i;
	uint64_t chunks = (uint64_t)atoi(args[3]) * MIB / CHUNK, begin;
	struct stream st[STREAMS_MAX] = {{0}};
	double seconds;
	bool ok = true;

	for (i = 0; i < n; i++) {
		st[i].order = (struct order){what, 88172645463325252ULL + i, chunks};
		if (ssh_forward(s, args[0], port, &st[i].fd, e))
			return sorry(e);
	}
	begin = now_ns();
	for (i = 0; i < n; i++) {
		pthread_create(&st[i].writer, NULL, writer, &st[i]);
		pthread_create(&st[i].reader, NULL, reader, &st[i]);
	}
	for (i = 0; i < n; i++) {
		pthread_join(st[i].writer, NULL);
		pthread_join(st[i].reader, NULL);
		close(st[i].fd);
		ok = ok && st[i].wrote && st[i].read;
	}
	seconds = (double)(now_ns() - begin) / 1e9;
	printf("%s: %u streams, %.0f MB/s %s, %.2f s of CPU here for %.2f s\n", ok ? "same" : "DIFFERENT", n,
	       (double)(n * chunks * CHUNK) / 1e6 / seconds, what == 'e' ? "each way" : "one way", cpu_s(), seconds);
	return ok ? 0 : 1;
}

/* Fills one stream with data that nobody reads here, and one with data that nobody takes there; a third stream must work. */
static int stuck(struct ssh *s, char **args, struct err *e)
{
	unsigned port = (unsigned)atoi(args[1]);
	struct order bulk = {'b', 1, 1000}, echo = {'e', 1, 0};
	char *third[] = {args[0], args[1], (char *)"1", (char *)"16"};
	AUTO_FREE char *zeros = xcalloc(1, CHUNK);
	int fds[2];

	if (ssh_forward(s, args[0], port, &fds[0], e) || ssh_forward(s, args[0], port, &fds[1], e))
		return sorry(e);
	write_all(fds[0], &bulk, sizeof(bulk));
	write_all(fds[1], &echo, sizeof(echo));
	while (send(fds[1], zeros, CHUNK, MSG_DONTWAIT | MSG_NOSIGNAL) > 0 || !poll(NULL, 0, 300))
		if (send(fds[1], zeros, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
	return run_streams(s, 'e', third, e);
}

/* Closed there: the end is read here though we could still write. */
static int ends(struct ssh *s, char **args, struct err *e)
{
	struct order close_it = {'c', 0, 0};
	struct pollfd p = {.events = POLLIN};
	char c;

	if (ssh_forward(s, args[0], (unsigned)atoi(args[1]), &p.fd, e))
		return sorry(e);
	write_all(p.fd, &close_it, sizeof(close_it));
	if (poll(&p, 1, WAIT_MS) != 1 || recv(p.fd, &c, 1, 0) != 0)
		return sorry_that("the end of the stream is not seen");
	printf("end seen\n");
	return 0;
}

/* ---- commands ---- */

static void *carry_stdin(void *arg) /* the thread is cancelled while it reads */
{
	int fd = (int)(intptr_t)arg;
	static char data[CHUNK];
	ssize_t r;

	while ((r = read(0, data, CHUNK)) > 0 && write_all(fd, data, (size_t)r))
		;
	shutdown(fd, SHUT_WR);
	return NULL;
}

/* Our stdin to it, its stdout to ours, until that has ended. */
static void carry(int fd)
{
	AUTO_FREE char *data = xmalloc(CHUNK);
	struct stat st;
	pthread_t t;
	ssize_t r;

	pthread_create(&t, NULL, carry_stdin, (void *)(intptr_t)fd);
	while ((r = recv(fd, data, CHUNK, 0)) > 0 && write(1, data, (size_t)r) == r)
		;
	if (fstat(0, &st) || !S_ISREG(st.st_mode)) /* a file is sent whole while the peer reads */
		pthread_cancel(t);
	pthread_join(t, NULL);
}

static int finish(struct ssh_proc *proc, int fd, struct err *e)
{
	int status = 0, r;

	carry(fd);
	close(fd);
	r = ssh_wait(proc, WAIT_MS, &status, e);
	if (*ssh_stderr(proc))
		fprintf(stderr, "stderr: %s\n", ssh_stderr(proc));
	ssh_proc_free(proc);
	return r ? sorry(e) : status;
}

static int command(struct ssh *s, const char *text, struct err *e)
{
	struct ssh_proc *proc;
	int fd;

	return ssh_exec(s, text, &proc, &fd, e) ? sorry(e) : finish(proc, fd, e);
}

static int start_and_close(struct ssh *s, const char *text, struct err *e)
{
	struct ssh_proc *proc;
	char c = 0;
	int fd;

	if (ssh_exec(s, text, &proc, &fd, e))
		return sorry(e);
	while (c != '\n' && read(fd, &c, 1) == 1)
		if (write(1, &c, 1) < 0)
			break;
	ssh_proc_free(proc);
	close(fd);
	return 0;
}

static int bootstrap(struct ssh *s, char **args, struct err *e)
{
	struct bootstrap_config cfg = {.keep = !strcmp(args[0], "yes"), .binary = args[1], .args = (const char *const *)args + 2};
	struct ssh_proc *proc;
	AUTO_FREE char *where = NULL;
	int fd;

	if (ssh_bootstrap(s, &cfg, &proc, &fd, &where, e))
		return sorry(e);
	fprintf(stderr, "runs from %s\n", where);
	return finish(proc, fd, e);
}

static int act(struct ssh *s, char **args, int n, struct err *e)
{
	if (n == 2 && !strcmp(args[0], "exec"))
		return command(s, args[1], e);
	if (n == 2 && !strcmp(args[0], "close"))
		return start_and_close(s, args[1], e);
	if (n == 5 && !strcmp(args[0], "forward"))
		return run_streams(s, 'e', args + 1, e);
	if (n == 5 && !strcmp(args[0], "send"))
		return run_streams(s, 's', args + 1, e);
	if (n == 5 && !strcmp(args[0], "bulk"))
		return run_streams(s, 'b', args + 1, e);
	if (n == 3 && !strcmp(args[0], "stuck"))
		return stuck(s, args + 1, e);
	if (n == 3 && !strcmp(args[0], "ends"))
		return ends(s, args + 1, e);
	if (n >= 3 && !strcmp(args[0], "bootstrap"))
		return bootstrap(s, args + 1, e);
	return sorry_that("usage: see tests/lib/ssh-tool.c");
}

int main(int argc, char **argv)
{
	struct ssh_config cfg = {.connect_ms = 5000};
	enum log_level level = LOG_LEVEL_ERROR;
	bool twice = false;
	struct ssh *s;
	struct err e;
	int c, r;

	while ((c = getopt(argc, argv, "+i:nb2ok:t:v")) != -1) {
		if (c == 'i')
			cfg.identity = optarg;
		else if (c == 'n')
			cfg.accept_new = true;
		else if (c == 'b')
			cfg.batch = true;
		else if (c == '2')
			twice = true;
		else if (c == 'o')
			cfg.backend = SSH_OPENSSH;
		else if (c == 'k')
			cfg.known_hosts = optarg;
		else if (c == 't')
			cfg.connect_ms = (unsigned)atoi(optarg);
		else if (c == 'v')
			level = LOG_LEVEL_DEBUG;
		else
			return 2;
	}
	log_init("ssh", level, 2);
	argv += optind;
	argc -= optind;
	if (argc == 2 && !strcmp(argv[0], "serve"))
		return serve((unsigned)atoi(argv[1]));
	if (argc < 2)
		return sorry_that("usage: see tests/lib/ssh-tool.c");
	if (ssh_target_parse(argv[0], &cfg.target, &e))
		return sorry(&e);
	r = ssh_open(&s, &cfg, &e);
	if (!r && twice) {
		ssh_close(s);
		cfg.batch = true;
		r = ssh_open(&s, &cfg, &e);
	}
	ssh_target_fini(&cfg.target);
	if (r)
		return sorry(&e);
	fprintf(stderr, "connected: %s at %s\n", ssh_host_text(s), ssh_peer_address(s) ? ssh_peer_address(s) : "?");
	r = act(s, argv + 1, argc - 1, &e);
	ssh_close(s);
	return r;
}
