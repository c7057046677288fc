/* bench-host.c: takes the orders of a bench on another host, and leaves nothing there. See bench-host.h. */
#include "bench-host.h"
#include "hex.h"
#include "json-text.h"
#include "process.h"
#include "room.h"
#include "same-file.h"
#include "scratch.h"
#include "util.h"

#include "bench-host-clear.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PARENT_DIR     "/var/tmp"
#define LINE_MAX_BYTES 65536
#define SILENCE_S      300
#define QEMU_MS	       20000
#define PORTS_TRIED    1000
#define ARGS_MAX       128
#define BEATS	       20
#define BEAT_BYTES     48
#define TOKEN_BYTES    16u /* bytes among these, the last, that are the token */
#define FILE_MAX_BYTES (1024 * MIB)

struct host {
	char *dir;
	char line[LINE_MAX_BYTES + 1]; /* bytes that were read and not used yet */
	size_t length;
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	stopped = number;
}

static json_t *failed(const char *what)
{
	return json_pack("{s:o}", "error", json_sprintf("%s: %s", what, strerror(errno)));
}

static json_t *wrong(const char *what)
{
	return json_pack("{s:s}", "error", what);
}

/* ---- input ---- */

/* Reads more input; false: the input has ended, or we are to end. */
static bool hear(struct host *h)
{
	struct pollfd p = {.fd = 0, .events = POLLIN};
	ssize_t n;

	if (h->length == LINE_MAX_BYTES || stopped || poll(&p, 1, SILENCE_S * 1000) <= 0)
		return false;
	n = read(0, h->line + h->length, LINE_MAX_BYTES - h->length);
	if (n <= 0)
		return false;
	h->length += (size_t)n;
	h->line[h->length] = '\0';
	return true;
}

static void used(struct host *h, size_t n)
{
	h->length -= n;
	memmove(h->line, h->line + n, h->length + 1);
}

/* ---- files ---- */

/* The full path, malloc'ed; NULL: it is none within the directory. */
static char *within(const struct host *h, const json_t *order, const char *key)
{
	const char *path = json_text(order, key);

	if (!path || !*path || *path == '/' || strstr(path, ".."))
		return NULL;
	return xasprintf("%s/%s", h->dir, path);
}

static uint64_t number(const json_t *order, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(order, key));

	return n < 0 ? 0 : (uint64_t)n;
}

static json_t *order_folder(struct host *h, const json_t *order, const char *path)
{
	(void)h, (void)order;
	return mkdir(path, 0700) ? failed(path) : json_object();
}

/* Reads all the bytes that were announced, also if the file cannot be written, so that the next order is found behind them. */
static json_t *order_file(struct host *h, const json_t *order, const char *path)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uint64_t left = number(order, "bytes");
	int code = fd < 0 ? errno : 0;
	size_t n;

	if (left > FILE_MAX_BYTES)
		return wrong("that file is too large");
	while (left) {
		if (!h->length && !hear(h))
			return wrong("the file is not complete");
		n = MIN(h->length, left);
		if (!code && write(fd, h->line, n) != (ssize_t)n)
			code = errno ? errno : ENOSPC;
		used(h, n);
		left -= n;
	}
	errno = code;
	return code ? failed(path) : json_object();
}

static json_t *order_image(struct host *h, const json_t *order, const char *path)
{
	bool direct;
	int r = scratch_image(path, number(order, "bytes"), &direct);

	(void)h;
	errno = -r;
	return r ? failed(path) : json_pack("{s:b}", "direct", direct);
}

static json_t *order_allocated(struct host *h, const json_t *order, const char *path)
{
	(void)h, (void)order;
	return json_pack("{s:I}", "bytes", (json_int_t)path_allocated(path));
}

static json_t *order_tail(struct host *h, const json_t *order, const char *path)
{
	char text[1024];

	(void)h, (void)order;
	scratch_tail(path, text, sizeof(text));
	text_make_utf8(text);
	return json_pack("{s:s}", "text", text);
}

static json_t *order_remove(struct host *h, const json_t *order, const char *path)
{
	(void)h, (void)order;
	processes_end(path);
	folder_remove(path);
	return json_object();
}

static json_t *order_room(struct host *h, const json_t *order, const char *path)
{
	struct room room;
	int r = room_get(h->dir, &room);

	(void)order, (void)path;
	errno = -r;
	return r ? failed(h->dir)
		 : json_pack("{s:I,s:I,s:b}", "memory", (json_int_t)room.memory, "disk", (json_int_t)room.disk, "disk_is_memory",
			     room.disk_is_memory);
}

/* ---- programs and the network ---- */

static json_t *order_port(struct host *h, const json_t *order, const char *path)
{
	uint64_t first = number(order, "first"), last = MIN(number(order, "last"), first + PORTS_TRIED), port;

	(void)h, (void)path;
	for (port = first; port <= last && port <= UINT16_MAX; port++) {
		AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
		socklen_t length = sizeof(at);
		int one = 1;

		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)); /* QEMU sets it, too: a port that was used just now will do */
		if (fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof(at)) && !getsockname(fd, (struct sockaddr *)&at, &length))
			return json_pack("{s:i}", "port", (int)ntohs(at.sin_port));
	}
	return wrong("no TCP port is free");
}

static json_t *order_qemu(struct host *h, const json_t *order, const char *path)
{
	struct process_output version, said;
	const json_t *name;
	struct err e;
	size_t i;

	(void)h, (void)path;
	json_array_foreach(json_object_get(order, "names"), i, name) {
		char *ask[] = {(char *)json_string_value(name), "--version", NULL}, *netdevs[] = {ask[0], "-netdev", "help", NULL};

		if (ask[0] && !process_run(ask, QEMU_MS, &version, &e) && !version.status && !process_run(netdevs, QEMU_MS, &said, &e)) {
			text_make_utf8(version.text);
			text_make_utf8(said.text);
			return json_pack("{s:O,s:s,s:s}", "path", name, "version", version.text, "netdevs", said.text);
		}
	}
	return wrong("there is no QEMU");
}

static json_t *order_spawn(struct host *h, const json_t *order, const char *path)
{
	AUTO_FREE char *log = within(h, order, "log");
	const json_t *words = json_object_get(order, "argv");
	char *argv[ARGS_MAX + 1] = {NULL};
	pid_t pid;

	(void)path;
	for (size_t i = 0; i < json_array_size(words) && i < ARGS_MAX; i++)
		argv[i] = (char *)json_string_value(json_array_get(words, i));
	if (!argv[0] || !log)
		return wrong("no program, or no log");
	pid = scratch_spawn(argv, -1, log);
	errno = pid < 0 ? -pid : 0;
	return pid < 0 ? failed(argv[0]) : json_pack("{s:i}", "pid", (int)pid);
}

static json_t *order_beat(struct host *h, const json_t *order, const char *path)
{
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number(order, "port"))};
	uint8_t beat[BEAT_BYTES] = {0};
	const char *address = json_text(order, "address"), *token = json_text(order, "token");
	int i, sent = 0;

	(void)h, (void)path;
	if (fd < 0 || !address || inet_pton(AF_INET, address, &to.sin_addr) != 1)
		return wrong("no address");
	if (!token || !hex_parse(token, beat + BEAT_BYTES - TOKEN_BYTES, TOKEN_BYTES))
		return wrong("no token");
	for (i = 0; i < BEATS; i++) {
		sent += sendto(fd, beat, sizeof(beat), 0, (struct sockaddr *)&to, sizeof(to)) > 0;
		poll(NULL, 0, 1);
	}
	return sent ? json_object() : failed(address);
}

/* ---- orders ---- */

static const struct {
	const char *name;
	json_t *(*run)(struct host *h, const json_t *order, const char *path);
	bool has_path;
} orders[] = {
	{"folder", order_folder, true}, {"file", order_file, true},	{"image", order_image, true}, {"allocated", order_allocated, true},
	{"tail", order_tail, true},	{"remove", order_remove, true}, {"port", order_port, false},  {"qemu", order_qemu, false},
	{"spawn", order_spawn, false},	{"beat", order_beat, false},	{"room", order_room, false},
};

static json_t *obey(struct host *h, const json_t *order)
{
	const char *name = json_text(order, "order");
	AUTO_FREE char *path = within(h, order, "path");

	for (size_t i = 0; name && i < ARRAY_LEN(orders); i++)
		if (!strcmp(orders[i].name, name))
			return orders[i].has_path && !path ? wrong("a path is not within the directory") : orders[i].run(h, order, path);
	return wrong("no such order");
}

static bool say(json_t *answer)
{
	AUTO_FREE char *text = json_dumps(answer, JSON_COMPACT), *line = xasprintf("%s\n", text ? text : "{}");
	size_t n = strlen(line);

	json_decref(answer);
	return write(1, line, n) == (ssize_t)n;
}

static void serve_orders(struct host *h)
{
	char *end;
	json_t *order;
	bool well = true;

	while (well && !stopped) {
		end = memchr(h->line, '\n', h->length);
		if (!end) {
			well = hear(h);
			continue;
		}
		*end = '\0';
		order = end > h->line ? json_loads(h->line, 0, NULL) : NULL;
		well = end == h->line || order;
		used(h, (size_t)(end + 1 - h->line));
		if (order)
			well = say(obey(h, order));
		json_decref(order);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}

/* ---- beginning and end ---- */

/* A copy of this program, for --reach: what was sent is removed when it runs. */
static int copy_self(const char *dir)
{
	AUTO_FREE char *path = xasprintf("%s/vmferry-bench-dst", dir);
	AUTO_CLOSE int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	ssize_t n;

	do
		n = from < 0 || to < 0 ? -1 : sendfile(to, from, NULL, MIB);
	while (n > 0);
	return n < 0 || access(path, X_OK) ? -errno : 0;
}

static json_t *greeting(const char *dir)
{
	const char *connection = getenv("SSH_CONNECTION");
	char client[64] = "", server[64] = "";

	if (!connection || sscanf(connection, "%63s %*s %63s", client, server) != 2)
		client[0] = server[0] = '\0';
	return json_pack("{s:s,s:s,s:s}", "dir", dir, "client", client, "server", server);
}

int bench_host(void)
{
	const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
	struct sigaction on = {.sa_handler = on_signal};
	struct host h = {.dir = xstrdup(PARENT_DIR "/vmferry-bench.XXXXXX")};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		sigaction(numbers[i], &on, NULL);
	umask(077);
	if (!mkdtemp(h.dir)) {
		say(failed("a directory under " PARENT_DIR));
		return 1;
	}
	if (copy_self(h.dir))
		say(failed("programs must be allowed to run under " PARENT_DIR));
	else if (say(greeting(h.dir)))
		serve_orders(&h);
	clear_all(h.dir);
	free(h.dir);
	return 0;
}
