/* Options, the tally, the heartbeat on the console, and start. See witness.h. */
#include "witness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "witness."

enum { CMDLINE_BYTES = 4096 };

struct load load;
struct done done;
struct tally tally = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int console = -1;

/* --- time, pace, chance --- */

uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void sleep_until_ns(uint64_t ns)
{
	struct timespec until = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

uint64_t pace_due(uint64_t rate_s, uint64_t now_ns, uint64_t *last_ns)
{
	const uint64_t most_ns = 100000000;
	uint64_t due;

	if (rate_s == 0) {
		*last_ns = now_ns;
		return 0;
	}
	if (rate_s > 100000000)
		rate_s = 100000000;
	if (now_ns - *last_ns > most_ns && rate_s > 10)
		*last_ns = now_ns - most_ns;
	due = (now_ns - *last_ns) * rate_s / 1000000000;
	*last_ns += due * 1000000000 / rate_s;
	return due;
}

uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return x >> 8;
}

void start_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, argument) != 0)
		give_up("no thread");
	pthread_detach(thread);
}

/* --- the tally --- */

static void tally_add(uint64_t *count, const char *format, va_list args)
{
	pthread_mutex_lock(&tally.lock);
	++*count;
	if (tally.details < MAX_DETAILS)
		vsnprintf(tally.detail[tally.details++], TEXT_BYTES, format, args);
	pthread_mutex_unlock(&tally.lock);
}

void tally_page(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tally_add(&tally.pages_wrong, format, args);
	va_end(args);
}

void tally_block(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tally_add(&tally.blocks_wrong, format, args);
	va_end(args);
}

/* --- the console: never waited for --- */

static void console_open(void)
{
	struct termios settings;

	console = open("/dev/ttyS0", O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (console < 0 || tcgetattr(console, &settings) != 0)
		return;
	settings.c_oflag &= ~(tcflag_t)OPOST;
	settings.c_cflag |= CLOCAL;
	tcsetattr(console, TCSANOW, &settings);
}

/* A line goes out whole: the rest of one that did not fit goes before the next, and
 * lines that come while there is a rest are dropped. */
void console_line(const char *line)
{
	static char pending[TEXT_BYTES * 2];
	static size_t length;
	ssize_t put;

	if (length == 0) {
		snprintf(pending, sizeof pending, "%s\n", line);
		length = strlen(pending);
	}
	put = write(console, pending, length);
	if (put > 0) {
		length -= (size_t)put;
		memmove(pending, pending + put, length);
	}
}

static void heartbeat_run(uint64_t hb_ms)
{
	char line[TEXT_BYTES];

	for (uint64_t sequence = 0;; sequence++) {
		uint64_t now = monotonic_ns();

		snprintf(line, sizeof line, "hb %" PRIu64 " %" PRIu64, sequence, now);
		console_line(line);
		sleep_until_ns(now + hb_ms * 1000000);
	}
}

_Noreturn void give_up(const char *format, ...)
{
	char text[TEXT_BYTES], line[TEXT_BYTES * 2];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	snprintf(line, sizeof line, "witness failed: %s", text);
	console_line(line);
	tcdrain(console);
	exit(1);
}

/* --- options --- */

bool parse_number(const char *text, uint64_t *to)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (end == text || *end != '\0')
		return false;
	*to = value;
	return true;
}

/* The index of a word in a list that ends with NULL; -1: it is not there. */
static int parse_word(const char *text, const char *const *words)
{
	for (int i = 0; words[i]; i++)
		if (strcmp(text, words[i]) == 0)
			return i;
	return -1;
}

bool parse_pattern(const char *text, enum pattern *to)
{
	static const char *const words[] = {"random", "seq", "hot", NULL};
	int found = parse_word(text, words);

	if (found >= 0)
		*to = (enum pattern)found;
	return found >= 0;
}

static bool parse_content(const char *text, enum content *to)
{
	static const char *const words[] = {"mixed", "compressible", "incompressible", "living", "zeros", NULL};
	int found = parse_word(text, words);

	if (found >= 0)
		*to = (enum content)found;
	return found >= 0;
}

static void option_set(struct options *options, const char *key, const char *value)
{
	const struct {
		const char *key;
		uint64_t *to;
	} numbers[] = {
		{"ram_mb", &options->ram_mb},
		{"hot_mb", &options->hot_mb},
		{"disk_mb", &options->disk_mb},
		{"cache_mb", &options->cache_mb},
		{"cache_rate", &options->cache_rate_s},
		{"still_mb", &options->still_mb},
		{"rate", &options->rate_pages_s},
		{"disk_rate", &options->disk_rate_s},
		{"discard", &options->discard},
		{"check", &options->check},
		{"db_rate", &options->db_rate_s},
		{"pair_rate", &options->pair_rate_s},
		{"bg_check", &options->bg_check_pages_s},
		{"hb_ms", &options->hb_ms},
		{"agent", &options->agent},
		{"button", &options->button},
	};
	const struct {
		const char *key;
		char *to;
	} texts[] = {
		{"disks", options->disks}, {"hb_udp", options->hb_udp}, {"net", options->net},	 {"tcp", options->tcp},
		{"db", options->db},	   {"gw", options->gw},		{"pair", options->pair},
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		if (strcmp(numbers[i].key, key) == 0) {
			if (!parse_number(value, numbers[i].to))
				give_up("%s=%s: a number is expected", key, value);
			return;
		}
	}
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		if (strcmp(texts[i].key, key) == 0) {
			snprintf(texts[i].to, TEXT_BYTES, "%s", value);
			return;
		}
	}
	if (strcmp(key, "pattern") == 0) {
		if (!parse_pattern(value, &options->pattern))
			give_up("pattern=%s: random, seq or hot is expected", value);
	} else if (strcmp(key, "content") == 0) {
		if (!parse_content(value, &options->content))
			give_up("content=%s: mixed, compressible, incompressible, living or zeros is expected", value);
	} else {
		give_up("unknown option %s", key);
	}
}

static void options_read(struct options *options)
{
	char text[CMDLINE_BYTES], *rest = text, *word;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (got < 0)
		give_up("/proc/cmdline: %s", strerror(errno));
	close(fd);
	text[got] = '\0';
	while ((word = strsep(&rest, " \n")) != NULL) {
		char *key;

		if (strncmp(word, PREFIX, strlen(PREFIX)) != 0)
			continue;
		word += strlen(PREFIX);
		key = strsep(&word, "=");
		option_set(options, key, word ? word : "");
	}
}

int main(int argc, char **argv)
{
	struct options options = {
		.ram_mb = 64,
		.hot_mb = 8,
		.disk_mb = 64,
		.hb_ms = 100,
		.rate_pages_s = 1000,
		.disk_rate_s = 20,
		.db_rate_s = 50,
		.pair_rate_s = 100,
		.bg_check_pages_s = 800,
		.discard = 1,
		.check = 1,
	};

	console_open();
	if (argc > 1 && strcmp(argv[1], "saved") == 0)
		return saved_wait();
	orders_open();
	options_read(&options);
	tag_start();
	load.rate_pages_s = options.rate_pages_s;
	load.disk_rate_s = options.disk_rate_s;
	load.db_rate_s = options.db_rate_s;
	load.pattern = options.pattern;
	load.running = true;
	disks_open(&options);
	pool_open(&options);
	ram_open(&options);
	stills_open(&options);
	db_open(&options);
	pair_open(&options);
	net_start(&options);
	probe_start(&options);
	ram_start();
	disks_start();
	stills_start();
	db_start();
	pair_start();
	agent_start(&options);
	button_start(&options);
	orders_start();
	console_line("witness ready");
	if (options.hb_ms == 0)
		for (;;)
			pause();
	heartbeat_run(options.hb_ms);
}
