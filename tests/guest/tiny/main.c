/* Options, start, the tally, orders over the second serial line as in ../witness-orders.c, and the loop. */
#include "tiny.h"

enum { LINE_BYTES = 256, CMDLINE_BYTES = 2048, LOADED_BY_MULTIBOOT = 0x2badb002, TOP_MEMORY_KIB = 3 << 20 };

struct multiboot {
	uint32_t flags, lower_kib, upper_kib, boot_device;
	const char *cmdline;
};

struct load load = {.rate_pages_s = 1000, .disk_rate_s = 20};

static struct options options = {.ram_mb = 64, .hot_mb = 8, .disk_mb = 64, .hb_ms = 100, .check = 1};
static struct {
	volatile uint32_t lock;
	uint64_t pages_wrong, blocks_wrong;
	char detail[MAX_DETAILS][TEXT_BYTES];
	unsigned details;
} tally;
static char answer_tag[LINE_BYTES];

void tiny_main(uint32_t magic, const struct multiboot *multiboot);

/* --- the tally --- */

static void tally_add(uint64_t *count, const char *format, va_list args)
{
	lock_take(&tally.lock);
	++*count;
	if (tally.details < MAX_DETAILS)
		text_format_list(tally.detail[tally.details++], TEXT_BYTES, format, args);
	lock_leave(&tally.lock);
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

/* --- options --- */

static bool parse_pattern(const char *text, volatile enum pattern *to)
{
	static const char *const words[] = {"random", "seq", "hot"};

	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(text, words[i]) == 0) {
			*to = (enum pattern)i;
			return true;
		}
	}
	return false;
}

static uint32_t count_disks(const char *names)
{
	uint32_t count = *names != '\0';

	for (; *names; names++)
		count += *names == ',';
	return count;
}

static void option_set(const char *key, const char *value)
{
	const struct {
		const char *key;
		volatile uint32_t *to;
	} numbers[] = {
		{"ram_mb", &options.ram_mb}, {"hot_mb", &options.hot_mb},   {"rate", &load.rate_pages_s},     {"check", &options.check},
		{"hb_ms", &options.hb_ms},   {"disk_mb", &options.disk_mb}, {"disk_rate", &load.disk_rate_s}, {"button", &options.button},
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		uint32_t number;

		if (strcmp(numbers[i].key, key) != 0)
			continue;
		if (!text_number(value, &number))
			give_up("%s=%s: a number is expected", key, value);
		*numbers[i].to = number;
		return;
	}
	if (strcmp(key, "disks") == 0)
		options.disks = count_disks(value);
	else if (strcmp(key, "pattern") != 0)
		give_up("unknown option %s", key);
	else if (!parse_pattern(value, &load.pattern))
		give_up("pattern=%s: random, seq or hot is expected", value);
}

static void options_read(const char *cmdline)
{
	static char text[CMDLINE_BYTES];
	char *rest = text, *word;

	if (text_format(text, sizeof text, "%s", cmdline) == sizeof text - 1)
		give_up("the command line is too long");
	while ((word = text_cut(&rest, ' ')) != NULL) {
		char *key;

		if (strncmp(word, "witness.", 8) != 0)
			continue;
		word += 8;
		key = text_cut(&word, '=');
		option_set(key, word ? word : "");
	}
}

/* --- orders --- */

static void __attribute__((format(printf, 1, 2))) answer(const char *format, ...)
{
	char line[LINE_BYTES * 2];
	size_t at = text_format(line, LINE_BYTES, "%s%s", answer_tag, answer_tag[0] ? " " : "");
	va_list args;

	va_start(args, format);
	at += text_format_list(line + at, sizeof line - at - 1, format, args);
	va_end(args);
	line[at++] = '\n';
	orders_write(line, at);
}

static void answer_result(bool right, const char *error)
{
	answer("%s%s", right ? "ok" : "err ", right ? "" : error);
}

static void order_ping(char *unused)
{
	static uint32_t sequence;

	(void)unused;
	answer("pong %u", ++sequence);
	answer("ok");
}

static void order_verify(char *unused)
{
	uint32_t pages = ram_verify(), blocks = disks_verify();

	(void)unused;
	for (unsigned i = 0; i < tally.details; i++)
		answer("detail %s", tally.detail[i]);
	answer("verify pages_checked=%u pages_wrong=%llu blocks_checked=%u blocks_wrong=%llu", pages, tally.pages_wrong, blocks,
	       tally.blocks_wrong);
	answer("ok");
}

static void order_rate(char *text)
{
	uint32_t rate;
	bool right = text_number(text, &rate);

	if (right)
		load.rate_pages_s = rate;
	answer_result(right, "a number is expected");
}

static void order_disk_rate(char *text)
{
	uint32_t rate;
	bool right = text_number(text, &rate);

	if (right)
		load.disk_rate_s = rate;
	answer_result(right, "a number is expected");
}

/* KEY=VALUE...: all of them, or, when one is wrong, none. */
static void order_load(char *text)
{
	uint32_t rate = load.rate_pages_s, disk_rate = load.disk_rate_s;
	enum pattern pattern = load.pattern;
	char *word;

	while ((word = text_cut(&text, ' ')) != NULL) {
		const char *key = text_cut(&word, '=');

		if (!word || !((strcmp(key, "rate") == 0 && text_number(word, &rate)) ||
			       (strcmp(key, "disk_rate") == 0 && text_number(word, &disk_rate)) ||
			       (strcmp(key, "pattern") == 0 && parse_pattern(word, &pattern)))) {
			answer("err load: not '%s=%s'", key, word ? word : "");
			return;
		}
	}
	load.rate_pages_s = rate;
	load.disk_rate_s = disk_rate;
	load.pattern = pattern;
	answer("ok");
}

static void order_start(char *unused)
{
	(void)unused;
	load.running = true;
	answer("ok");
}

static bool load_rest(void)
{
	load.running = false;
	ram_settle();
	return disks_sync();
}

static void order_stop(char *unused)
{
	(void)unused;
	answer_result(load_rest(), "a disk failed");
}

static void order_stats(char *unused)
{
	uint64_t ram_ops, ram_sum, disk_ops, disk_sum;

	(void)unused;
	ram_stats(&ram_ops, &ram_sum);
	disks_stats(&disk_ops, &disk_sum);
	answer("stats ram_ops=%llu ram_sum=%llu disk_ops=%llu disk_sum=%llu monotonic_ns=%llu", ram_ops, ram_sum, disk_ops, disk_sum,
	       monotonic_ns());
	answer("ok");
}

static void order_corrupt(char *what)
{
	if (strcmp(what, "page") == 0) {
		ram_corrupt();
		answer("ok");
	} else if (strcmp(what, "block") == 0) {
		answer_result(disks_corrupt(), "there is no disk, or it failed");
	} else {
		answer("err corrupt page or block?");
	}
}

/* To RAM. Firmware wakes it, and has nowhere to go back to: what is seen of it from outside is all. */
static void order_suspend(char *unused)
{
	(void)unused;
	answer("ok");
	suspend();
}

static void order_poweroff(char *unused)
{
	(void)unused;
	load_rest();
	answer("ok");
	power_off();
}

static const struct {
	const char *name;
	void (*run)(char *argument);
} orders[] = {
	{"ping", order_ping}, {"verify", order_verify},	  {"rate", order_rate},		{"disk_rate", order_disk_rate},
	{"stop", order_stop}, {"quiesce", order_stop},	  {"start", order_start},	{"stats", order_stats},
	{"load", order_load}, {"corrupt", order_corrupt}, {"poweroff", order_poweroff}, {"suspend", order_suspend},
};

static void order_run(char *line)
{
	char *name;

	answer_tag[0] = '\0';
	if (line[0] == '@') {
		text_format(answer_tag, sizeof answer_tag, "%s", text_cut(&line, ' '));
		line = line ? line : answer_tag + strlen(answer_tag);
	}
	name = text_cut(&line, ' ');
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
		if (strcmp(orders[i].name, name) == 0) {
			orders[i].run(line ? line : name + strlen(name));
			return;
		}
	}
	answer("err no such order: %s", name);
}

/* A line that is too long is dropped whole; its rest does not pass for an order. */
static void orders_work(void)
{
	static char line[LINE_BYTES];
	static size_t length;
	int byte;

	while ((byte = orders_read()) >= 0) {
		if (byte != '\n') {
			if (length < sizeof line)
				line[length++] = (char)byte;
		} else if (length == sizeof line) {
			answer("err the order is too long");
			length = 0;
		} else if (length > 0) {
			line[length] = '\0';
			length = 0;
			order_run(line);
		}
	}
}

/* --- the loop --- */

void on_tick(uint32_t tick)
{
	static uint32_t sequence;
	char line[TEXT_BYTES];

	if (options.hb_ms == 0 || tick % ((options.hb_ms * TICKS_S + 999) / 1000) != 0)
		return;
	text_format(line, sizeof line, "hb %u %llu", sequence++, monotonic_ns());
	console_line(line);
}

void ap_run(unsigned cpu)
{
	ram_work(cpu);
}

void tiny_main(uint32_t magic, const struct multiboot *multiboot)
{
	uint32_t upper_kib = multiboot->upper_kib < TOP_MEMORY_KIB ? multiboot->upper_kib : TOP_MEMORY_KIB;
	unsigned cpus;

	machine_start((1024 + upper_kib) * 1024);
	if (magic != LOADED_BY_MULTIBOOT || (multiboot->flags & 5) != 5)
		give_up("not loaded as multiboot says");
	options_read(multiboot->cmdline);
	if (options.button == 1)
		power_button_listen();
	if (options.button == 0)
		refuse_reset();
	tag_start();
	cpus = cpus_start();
	ram_open(&options, cpus);
	disks_open(&options);
	load.running = true;
	cpus_release(cpus);
	console_line("witness ready");
	for (;;) {
		ram_work(0);
		disks_work();
		orders_work();
		if (options.button == 1 && power_button_pressed()) {
			load_rest();
			power_off();
		}
		idle();
	}
}
