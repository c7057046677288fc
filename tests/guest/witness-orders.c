/* Orders over the second serial port: one order per line, every answer ends with a line `ok`
 * or `err MESSAGE`. An order may be preceded by a word that begins with `@`; every line of
 * its answer is then preceded by the same word, so that a reader knows its own answer. */
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

enum { LINE_BYTES = 256 };

static int port = -1;
static char answer_tag[LINE_BYTES];

static void port_write(const char *text, size_t length)
{
	struct pollfd wait = {.fd = port, .events = POLLOUT};

	while (length > 0) {
		ssize_t put = write(port, text, length);

		if (put > 0) {
			text += put;
			length -= (size_t)put;
		} else if (put < 0 && errno != EAGAIN && errno != EINTR) {
			return;
		} else {
			poll(&wait, 1, 100);
		}
	}
}

static void __attribute__((format(printf, 1, 2))) answer(const char *format, ...)
{
	char line[LINE_BYTES * 2];
	int at = snprintf(line, LINE_BYTES, "%s%s", answer_tag, answer_tag[0] ? " " : "");
	va_list args;

	va_start(args, format);
	at += vsnprintf(line + at, sizeof line - (size_t)at - 1, format, args);
	va_end(args);
	if ((size_t)at > sizeof line - 2)
		at = sizeof line - 2;
	line[at++] = '\n';
	port_write(line, (size_t)at);
}

static void answer_result(int result)
{
	if (result == 0)
		answer("ok");
	else
		answer("err %s", strerror(-result));
}

/* --- the orders --- */

static void order_ping(const char *unused)
{
	static uint64_t sequence;

	(void)unused;
	answer("pong %" PRIu64, ++sequence);
	answer("ok");
}

static void order_verify(const char *unused)
{
	uint64_t pages = ram_verify(), blocks = disks_verify() + stills_verify() + db_verify();

	(void)unused;
	pthread_mutex_lock(&tally.lock);
	for (unsigned i = 0; i < tally.details; i++)
		answer("detail %s", tally.detail[i]);
	answer("verify pages_checked=%" PRIu64 " pages_wrong=%" PRIu64 " blocks_checked=%" PRIu64 " blocks_wrong=%" PRIu64, pages,
	       tally.pages_wrong, blocks, tally.blocks_wrong);
	pthread_mutex_unlock(&tally.lock);
	answer("ok");
}

static void set_number(_Atomic uint64_t *to, const char *text)
{
	uint64_t value;

	if (!parse_number(text, &value)) {
		answer("err a number is expected, not '%s'", text);
		return;
	}
	*to = value;
	answer("ok");
}

static void order_rate(const char *text)
{
	set_number(&load.rate_pages_s, text);
}

static void order_disk_rate(const char *text)
{
	set_number(&load.disk_rate_s, text);
}

/* KEY=VALUE...: all of them, or, when one is wrong, none. */
static void order_load(const char *text)
{
	uint64_t rate = load.rate_pages_s, disk_rate = load.disk_rate_s, db_rate = load.db_rate_s;
	enum pattern pattern = load.pattern;
	const struct {
		const char *key;
		uint64_t *to;
	} numbers[] = {
		{"rate", &rate},
		{"disk_rate", &disk_rate},
		{"db_rate", &db_rate},
	};
	char words[LINE_BYTES], *rest = words, *word;

	snprintf(words, sizeof words, "%s", text);
	while ((word = strsep(&rest, " ")) != NULL) {
		const char *key = strsep(&word, "=");
		bool right = word && strcmp(key, "pattern") == 0 && parse_pattern(word, &pattern);

		for (size_t i = 0; word && i < sizeof numbers / sizeof *numbers; i++)
			right = right || (strcmp(key, numbers[i].key) == 0 && parse_number(word, numbers[i].to));
		if (!right) {
			answer("err load: not '%s=%s'", key, word ? word : "");
			return;
		}
	}
	load.rate_pages_s = rate;
	load.disk_rate_s = disk_rate;
	load.db_rate_s = db_rate;
	load.pattern = pattern;
	answer("ok");
}

static int everything_sync(void)
{
	int disks = disks_sync(), database = db_sync();

	return disks != 0 ? disks : database;
}

static void order_start(const char *unused)
{
	(void)unused;
	load.running = true;
	answer("ok");
}

static void order_stop(const char *unused)
{
	(void)unused;
	load.running = false;
	ram_settle();
	answer_result(everything_sync());
}

static void order_stats(const char *unused)
{
	uint64_t ram_ops, ram_sum, disk_ops, disk_sum;

	(void)unused;
	ram_stats(&ram_ops, &ram_sum);
	disks_stats(&disk_ops, &disk_sum);
	answer("stats ram_ops=%" PRIu64 " ram_sum=%" PRIu64 " disk_ops=%" PRIu64 " disk_sum=%" PRIu64 " monotonic_ns=%" PRIu64, ram_ops,
	       ram_sum, disk_ops, disk_sum, monotonic_ns());
	answer("ok");
}

static void order_cache(const char *unused)
{
	uint64_t pages, present;

	(void)unused;
	cache_stats(&pages, &present);
	answer("cache pages=%" PRIu64 " present=%" PRIu64, pages, present);
	answer("ok");
}

static void order_corrupt(const char *what)
{
	if (strcmp(what, "page") == 0) {
		ram_corrupt();
		answer("ok");
	} else if (strcmp(what, "block") == 0) {
		answer_result(disks_corrupt());
	} else if (strcmp(what, "row") == 0) {
		answer_result(db_corrupt());
	} else {
		answer("err corrupt page, block or row?");
	}
}

/* Reads a device, not the guest's memory, and reports its size in bytes and their hash (FNV-1a). */
static void order_sum(const char *path)
{
	static unsigned char block[1 << 16] __attribute__((aligned(PAGE_BYTES)));
	uint64_t hash = UINT64_C(0xcbf29ce484222325), bytes = 0;
	int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t got = -1;

	while (fd >= 0 && (got = read(fd, block, sizeof block)) > 0) {
		bytes += (uint64_t)got;
		for (ssize_t i = 0; i < got; i++)
			hash = (hash ^ block[i]) * UINT64_C(0x100000001b3);
	}
	if (got < 0) {
		answer("err %s: %s", path, strerror(errno));
	} else {
		answer("sum bytes=%" PRIu64 " fnv=%016" PRIx64, bytes, hash);
		answer("ok");
	}
	if (fd >= 0)
		close(fd);
}

static void come_to_rest(void)
{
	load.running = false;
	everything_sync();
	db_close();
}

void power_off(void)
{
	come_to_rest();
	reboot(RB_POWER_OFF);
}

static void order_poweroff(const char *unused)
{
	(void)unused;
	come_to_rest();
	answer("ok");
	tcdrain(port);
	reboot(RB_POWER_OFF);
}

static void order_pair(const char *unused)
{
	uint64_t found[2], written[2];

	(void)unused;
	if (!pair_numbers(found, written)) {
		answer("err there is no pair");
		return;
	}
	answer("pair found=%" PRIu64 ",%" PRIu64 " written=%" PRIu64 ",%" PRIu64 " frozen=%d", found[0], found[1], written[0], written[1],
	       pair_is_frozen());
	answer("ok");
}

enum { TEST_PCR = 16 };

static void order_tpm_extend(const char *text)
{
	answer_result(tpm_extend(TEST_PCR, text));
}

static void order_tpm_store(const char *text)
{
	answer_result(tpm_store(text));
}

static void order_tpm(const char *unused)
{
	char pcr[TEXT_BYTES], stored[TEXT_BYTES];
	int r = tpm_pcr(TEST_PCR, pcr);

	(void)unused;
	if (r == 0)
		r = tpm_load(stored);
	if (r == 0)
		answer("tpm pcr=%s stored=%s", pcr, stored);
	answer_result(r);
}

static void order_panic(const char *unused)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	(void)unused;
	answer("ok");
	tcdrain(port);
	if (fd < 0 || write(fd, "c", 1) != 1)
		answer("err %s", strerror(errno));
}

/* 32 hexadecimal digits. */
static void order_token(const char *text)
{
	uint64_t words[TOKEN_WORDS];
	unsigned char *bytes = (unsigned char *)words;
	size_t digits = strlen(text);

	for (size_t i = 0; digits == 2 * sizeof words && i < sizeof words; i++)
		if (sscanf(text + 2 * i, "%2hhx", &bytes[i]) != 1)
			digits = 0;
	if (digits != 2 * sizeof words) {
		answer("err %zu hexadecimal digits are expected", 2 * sizeof words);
		return;
	}
	for (unsigned i = 0; i < TOKEN_WORDS; i++)
		net_token[i] = words[i];
	answer("ok");
}

static const struct {
	const char *name;
	void (*run)(const char *argument);
} orders[] = {
	{"ping", order_ping},	      {"verify", order_verify},		{"rate", order_rate},
	{"stop", order_stop},	      {"disk_rate", order_disk_rate},	{"start", order_start},
	{"stats", order_stats},	      {"corrupt", order_corrupt},	{"quiesce", order_stop},
	{"poweroff", order_poweroff}, {"panic", order_panic},		{"sum", order_sum},
	{"load", order_load},	      {"cache", order_cache},		{"pair", order_pair},
	{"tpm", order_tpm},	      {"tpm-extend", order_tpm_extend}, {"tpm-store", order_tpm_store},
	{"token", order_token},
};

static void order_run(char *line)
{
	char *argument, *name;

	answer_tag[0] = '\0';
	if (line[0] == '@') {
		char *end = line + strcspn(line, " ");

		snprintf(answer_tag, sizeof answer_tag, "%.*s", (int)(end - line), line);
		line = *end ? end + 1 : end;
	}
	argument = line;
	name = strsep(&argument, " ");
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
		if (strcmp(orders[i].name, name) == 0) {
			orders[i].run(argument ? argument : "");
			return;
		}
	}
	answer("err no such order: %s", name);
}

/* --- the port --- */

void orders_open(void)
{
	struct termios settings;

	port = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (port < 0 || tcgetattr(port, &settings) != 0)
		return;
	cfmakeraw(&settings);
	settings.c_cflag |= CLOCAL | CREAD;
	cfsetspeed(&settings, B115200);
	tcsetattr(port, TCSANOW, &settings);
}

/* A line that is too long is dropped whole; its rest does not pass for an order. */
static void *orders_run(void *unused)
{
	struct pollfd wait = {.fd = port, .events = POLLIN};
	char line[LINE_BYTES], byte;
	size_t length = 0;

	for (;;) {
		if (read(port, &byte, 1) != 1) {
			poll(&wait, 1, 1000);
		} else if (byte != '\n') {
			if (length < sizeof line)
				line[length++] = byte;
		} else if (length == sizeof line) {
			answer("err the order is too long");
			length = 0;
		} else if (length > 0) {
			line[length] = '\0';
			length = 0;
			order_run(line);
		}
	}
	return unused;
}

void orders_start(void)
{
	if (port >= 0)
		start_thread(orders_run, NULL);
}
