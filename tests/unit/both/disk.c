/*
 * disk.c: the guest's disk in the source QEMU that is played: what the guest writes, its dirty bitmaps, and the NBD server that exports it
 * (read-only, one context a connection). It has data, zeros that are written, and holes.
 */
#include "both.h"
#include "util.h"

#include "../../lib/nbd-wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BITMAPS_MAX 4
#define EXPORTS_MAX 4
#define CLIENTS_MAX 4
#define READ_MAX    (256 * 1024)
#define CONTEXT_ID  7
#define NBD_EPERM   1
#define NBD_EIO	    5

static struct bitmap {
	char name[48];
	bool recording, dirty[BOTH_DISK_GRAINS];
} bitmaps[BITMAPS_MAX];
static unsigned bitmap_count;

static struct export
{
	char id[48];
}
exports[EXPORTS_MAX];
static unsigned export_count;

static struct client {
	int fd;
	enum { GREETED, OPTIONS, REQUESTS } state;
	unsigned char in[4096];
	size_t n;
	struct wire *out;
	size_t sent;
	const struct bitmap *bitmap; /* the bitmap whose dirty grains the client asks for; NULL: allocated grains */
} clients[CLIENTS_MAX];
static unsigned client_count;

static int door = -1;
static unsigned wrote; /* number of writes */

static void count_ours(void)
{
	both->disk.ours = bitmap_count + export_count + (door >= 0);
}

static uint32_t grain_bytes(unsigned i)
{
	return MIN(BOTH_DISK_GRAIN, BOTH_DISK_BYTES - i * BOTH_DISK_GRAIN);
}

/* ---- what is written ---- */

static void fill(unsigned grain, unsigned at, unsigned bytes, uint8_t with)
{
	uint8_t *p = both_disk + grain * BOTH_DISK_GRAIN;
	unsigned i;

	for (i = at; i < MIN(at + bytes, grain_bytes(grain)); i++)
		p[i] = with ? (uint8_t)(with + i / 512 + i) : 0;
}

static void mark(unsigned grain)
{
	unsigned i;

	for (i = 0; i < bitmap_count; i++)
		bitmaps[i].dirty[grain] |= bitmaps[i].recording;
}

static void put(unsigned grain, unsigned at, unsigned bytes, uint8_t with)
{
	fill(grain, at, bytes, with);
	both->disk.allocated[grain] = true;
	mark(grain);
}

static void discard(unsigned grain)
{
	fill(grain, 0, BOTH_DISK_GRAIN, 0);
	both->disk.allocated[grain] = false;
	mark(grain);
}

void both_disk_begin(void)
{
	static const unsigned data[] = {0, 31, 32, BOTH_DISK_GRAINS - 1};
	unsigned i;

	memset(both_disk, 0, BOTH_DISK_BYTES);
	for (i = 0; i < ARRAY_LEN(data); i++) {
		fill(data[i], 0, BOTH_DISK_GRAIN, (uint8_t)(1 + i));
		both->disk.allocated[data[i]] = true;
	}
	both->disk.allocated[1] = true; /* allocated, and zero */
}

void both_disk_write(bool last)
{
	static const unsigned much[] = {0, 5, 6, 32, BOTH_DISK_GRAINS - 1}; /* enough for a round while the guest runs */
	unsigned i;

	if (last) {
		put(0, 0, BOTH_DISK_GRAIN, 0);
		put(32, 4096, 512, 99);
	} else if (wrote == 0 && both->disk.rounds == 1) {
		for (i = 0; i < ARRAY_LEN(much); i++)
			put(much[i], 1024, 2048, (uint8_t)(20 + i));
		wrote++;
	} else if (wrote == 1 && both->disk.rounds > 1) {
		put(5, 8192, 8192, 77);
		put(9, 0, 512, 78);
		discard(31);
		wrote++;
	}
}

/* ---- the image ---- */

static bool is_equal(int fd)
{
	static uint8_t got[BOTH_DISK_BYTES + 1];

	return pread(fd, got, sizeof(got), 0) == BOTH_DISK_BYTES && !memcmp(got, both_disk, BOTH_DISK_BYTES);
}

void both_disk_check(const char *when, bool durable)
{
	AUTO_CLOSE int fd = open(both->disk.image, O_RDONLY | O_CLOEXEC);

	if (!is_equal(fd))
		both_violation("%s, and the image %s", when, fd < 0 ? "is not there" : "is not what the guest wrote");
	else if (durable && both->disk.unsynced)
		both_violation("%s, and the image is not on stable storage", when);
}

/* ---- bitmaps and exports ---- */

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static struct bitmap *find_bitmap(const char *name)
{
	unsigned i;

	for (i = 0; i < bitmap_count; i++)
		if (!strcmp(bitmaps[i].name, name))
			return &bitmaps[i];
	return NULL;
}

static struct export *find_export(const char *id, size_t n)
{
	unsigned i;

	for (i = 0; i < export_count; i++)
		if (strlen(exports[i].id) == n && !memcmp(exports[i].id, id, n))
			return &exports[i];
	return NULL;
}

static const char *add_bitmap(const json_t *data)
{
	if (find_bitmap(text(data, "name")) || bitmap_count == BITMAPS_MAX)
		return "Bitmap already exists";
	bitmaps[bitmap_count] = (struct bitmap){.recording = true};
	snprintf(bitmaps[bitmap_count++].name, sizeof(bitmaps[0].name), "%s", text(data, "name"));
	return NULL;
}

/* A round begins: with new bitmaps, or, the last one, without. */
static const char *transaction(const json_t *actions, bool guest_runs)
{
	const char *error = NULL;
	unsigned added = 0;
	json_t *a;
	size_t i;

	json_array_foreach((json_t *)actions, i, a) {
		const json_t *data = json_object_get(a, "data");
		struct bitmap *b = find_bitmap(text(data, "name"));

		if (!strcmp(text(a, "type"), "block-dirty-bitmap-add") && ++added)
			error = error ?: add_bitmap(data);
		else if (b)
			b->recording = false;
		else
			error = error ?: "Dirty bitmap not found";
	}
	if (!added && guest_runs)
		both_violation("the last round of the disk begins while the guest runs");
	both->disk.rounds++;
	return error;
}

static const char *remove_bitmap(const json_t *args)
{
	struct bitmap *b = find_bitmap(text(args, "name"));

	if (!b)
		return "Dirty bitmap not found";
	*b = bitmaps[--bitmap_count];
	return NULL;
}

static json_t *list_bitmaps(void)
{
	json_t *list = json_array();
	unsigned i, k;

	for (i = 0; i < bitmap_count; i++) {
		json_int_t count = 0;

		for (k = 0; k < BOTH_DISK_GRAINS; k++)
			count += bitmaps[i].dirty[k] ? grain_bytes(k) : 0;
		json_array_append_new(list, json_pack("{s:s,s:I,s:b,s:b}", "name", bitmaps[i].name, "count", count, "recording",
						      bitmaps[i].recording, "busy", 0));
	}
	return list;
}

static json_t *list_exports(void)
{
	json_t *list = json_array();
	unsigned i;

	for (i = 0; i < export_count; i++)
		json_array_append_new(list, json_pack("{s:s,s:s}", "id", exports[i].id, "type", "nbd"));
	return list;
}

static const char *add_export(const json_t *args)
{
	const char *id = text(args, "id");

	if (door < 0 || export_count == EXPORTS_MAX || find_export(id, strlen(id)))
		return "it cannot be exported";
	snprintf(exports[export_count++].id, sizeof(exports[0].id), "%s", id);
	return NULL;
}

static void drop_clients(void)
{
	while (client_count) {
		close(clients[--client_count].fd);
		free(clients[client_count].out);
	}
}

static const char *remove_export(const json_t *args)
{
	struct export *x = find_export(text(args, "id"), strlen(text(args, "id")));

	if (!x)
		return "Export is not found";
	*x = exports[--export_count];
	drop_clients(); /* "mode": "hard" */
	return NULL;
}

static const char *start_server(const json_t *args)
{
	const char *path = text(json_object_get(json_object_get(args, "addr"), "data"), "path");
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	if (door >= 0)
		return "NBD server already running";
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	door = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(door, (struct sockaddr *)&at, sizeof(at)) || listen(door, CLIENTS_MAX))
		abort();
	return NULL;
}

static const char *stop_server(void)
{
	if (door < 0)
		return "NBD server not running";
	drop_clients();
	close(door);
	door = -1;
	export_count = 0;
	return NULL;
}

json_t *both_disk_command(const char *command, const json_t *args, bool guest_runs, const char **error)
{
	if (!strcmp(command, "query-block"))
		return json_pack("[{s:s,s:{s:s,s:s,s:{s:i},s:o}}]", "device", "vda", "inserted", "node-name", "node", "file", "/disk",
				 "image", "virtual-size", BOTH_DISK_BYTES, "dirty-bitmaps", list_bitmaps());
	if (!strcmp(command, "query-named-block-nodes"))
		return json_pack("[{s:s,s:o}]", "node-name", "node", "dirty-bitmaps", list_bitmaps());
	if (!strcmp(command, "query-block-exports"))
		return list_exports();
	if (!strcmp(command, "transaction"))
		*error = transaction(json_object_get(args, "actions"), guest_runs);
	else if (!strcmp(command, "block-dirty-bitmap-remove"))
		*error = remove_bitmap(args);
	else if (!strcmp(command, "block-export-add"))
		*error = add_export(args);
	else if (!strcmp(command, "block-export-del"))
		*error = remove_export(args);
	else if (!strcmp(command, "nbd-server-start"))
		*error = start_server(args);
	else if (!strcmp(command, "nbd-server-stop"))
		*error = stop_server();
	else
		return NULL;
	count_ours();
	return json_object();
}

/* ---- its NBD server ---- */

/* The context it asks for: a dirty bitmap, or base:allocation. */
static void take_context(struct client *c, const unsigned char *p)
{
	static const char dirty[] = "qemu:dirty-bitmap:";
	uint32_t at = 4 + nbd_u32(p) + 4, n = nbd_u32(p + at);
	char name[100];

	snprintf(name, sizeof(name), "%.*s", (int)n, (const char *)p + at + 4);
	c->bitmap = strncmp(name, dirty, strlen(dirty)) ? NULL : find_bitmap(name + strlen(dirty));
	w_context(c->out, CONTEXT_ID, name);
	w_option(c->out, NBD_OPT_CONTEXT, NBD_REP_ACK, 0);
}

static void take_go(struct client *c, const unsigned char *p)
{
	if (!find_export((const char *)p + 4, nbd_u32(p))) {
		w_option(c->out, NBD_OPT_GO, NBD_REP_UNKNOWN, 0);
		return;
	}
	w_export(c->out, BOTH_DISK_BYTES, 1 | 2); /* read-only */
	w_option(c->out, NBD_OPT_GO, NBD_REP_ACK, 0);
	c->state = REQUESTS;
}

static bool is_on(const struct client *c, unsigned grain)
{
	return c->bitmap ? c->bitmap->dirty[grain] : both->disk.allocated[grain];
}

static void tell_status(struct client *c, const struct asked *a)
{
	unsigned grain = (unsigned)(a->offset / BOTH_DISK_GRAIN), end = grain;
	uint32_t bytes, flags;

	while (end < BOTH_DISK_GRAINS && is_on(c, end) == is_on(c, grain))
		end++;
	bytes = MIN(end * BOTH_DISK_GRAIN, BOTH_DISK_BYTES) - (uint32_t)a->offset;
	flags = c->bitmap ? is_on(c, grain) : is_on(c, grain) ? 0 : 3 /* a hole that reads as zero */;
	w_chunk(c->out, a->cookie, true, NBD_CHUNK_STATUS, 12);
	w32(c->out, CONTEXT_ID);
	w32(c->out, MIN(bytes, a->len));
	w32(c->out, flags);
}

/* An inactive node cannot be read any more. */
static void tell_content(struct client *c, const struct asked *a, bool active)
{
	if (!active || both->disk.bad)
		w_error(c->out, a->cookie, active ? NBD_EIO : NBD_EPERM);
	else
		w_content(c->out, a->cookie, true, a->offset, a->len, both_disk + a->offset);
	both->disk.bad = false;
}

static bool take_request(struct client *c, bool active)
{
	struct asked a;

	asked_decode(&a, c->in);
	if (a.type == NBD_CMD_DISC || a.len > READ_MAX * 16 || a.offset + a.len > BOTH_DISK_BYTES)
		return false;
	if (a.type == NBD_CMD_STATUS)
		tell_status(c, &a);
	else if (a.type == NBD_CMD_READ && a.len <= READ_MAX)
		tell_content(c, &a, active);
	else
		return false;
	return true;
}

/* Bytes that the next thing takes that it says; 0: they are not all there. */
static size_t whole(const struct client *c)
{
	size_t n = c->state == GREETED ? 4 : c->state == REQUESTS ? NBD_REQUEST_BYTES : NBD_OPTION_HEAD;

	if (c->state == OPTIONS && c->n >= n)
		n += nbd_u32(c->in + 12);
	return n <= c->n ? n : 0;
}

static bool take_one(struct client *c, bool active)
{
	uint32_t option;

	if (c->state == REQUESTS)
		return take_request(c, active);
	if (c->state == GREETED) {
		c->state = OPTIONS;
		return true;
	}
	option = nbd_u32(c->in + 8);
	if (option == NBD_OPT_CONTEXT)
		take_context(c, c->in + NBD_OPTION_HEAD);
	else if (option == NBD_OPT_GO)
		take_go(c, c->in + NBD_OPTION_HEAD);
	else
		w_option(c->out, option, option == NBD_OPT_STRUCTURED ? NBD_REP_ACK : NBD_REP_UNSUPPORTED, 0);
	return true;
}

/* False: it has gone. */
static bool say_more(struct client *c, bool *busy)
{
	ssize_t n = c->sent < c->out->n ? send(c->fd, c->out->b + c->sent, c->out->n - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;

	if (n < 0)
		return errno == EAGAIN;
	*busy |= n > 0;
	c->sent += (size_t)n;
	if (c->sent == c->out->n)
		c->sent = c->out->n = 0;
	return true;
}

static bool serve(struct client *c, bool active, bool *busy)
{
	ssize_t n;
	size_t one;

	if (!say_more(c, busy))
		return false;
	n = recv(c->fd, c->in + c->n, sizeof(c->in) - c->n, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		return false;
	*busy |= n > 0;
	c->n += (size_t)MAX(n, 0);
	while (!c->out->n && (one = whole(c))) {
		if (!take_one(c, active))
			return false;
		c->n -= one;
		memmove(c->in, c->in + one, c->n);
		if (!say_more(c, busy))
			return false;
	}
	return true;
}

bool both_disk_serve(bool active)
{
	bool busy = false;
	unsigned i;
	int fd;

	while (door >= 0 && client_count < CLIENTS_MAX && (fd = accept4(door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		clients[client_count] = (struct client){.fd = fd, .out = xcalloc(1, sizeof(struct wire))};
		w_bytes(clients[client_count++].out, NBD_GREETING, 18);
		busy = true;
	}
	if (both->disk.cut && client_count) {
		drop_clients();
		both->disk.cut = false;
		busy = true;
	}
	for (i = 0; i < client_count; i++)
		if (!serve(&clients[i], active, &busy)) {
			busy = true;
			close(clients[i].fd);
			free(clients[i].out);
			clients[i--] = clients[--client_count];
		}
	return busy;
}
