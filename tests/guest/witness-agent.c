/* An agent that answers like qemu-ga when a client freezes the guest's file systems, over the same port and in the same words: it stops
 * the pair between two numbers. */
#include "witness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES = 512, DEVICES = 32 };

static int port = -1;

static void say(const char *text, size_t length)
{
	while (length > 0) {
		ssize_t put = write(port, text, length);

		if (put <= 0)
			return;
		text += put;
		length -= (size_t)put;
	}
}

static void answer(bool delimited, const char *value)
{
	char text[LINE_BYTES];
	int length = snprintf(text, sizeof text, "%s{\"return\": %s}\n", delimited ? "\xff" : "", value);

	say(text, (size_t)length);
}

static void command(const char *line)
{
	const char *id = strstr(line, "\"id\":");
	char number[32];

	if (strstr(line, "guest-sync")) {
		snprintf(number, sizeof number, "%lld", id ? strtoll(id + 5, NULL, 10) : 0);
		answer(strstr(line, "guest-sync-delimited") != NULL, number);
	} else if (strstr(line, "guest-fsfreeze-status")) {
		answer(false, pair_is_frozen() ? "\"frozen\"" : "\"thawed\"");
	} else if (strstr(line, "guest-fsfreeze-freeze")) {
		pair_freeze(true);
		answer(false, "1");
	} else if (strstr(line, "guest-fsfreeze-thaw")) {
		pair_freeze(false);
		answer(false, "1");
	} else {
		static const char no[] = "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"not known\"}}\n";

		say(no, sizeof no - 1);
	}
}

static void *agent_run(void *unused)
{
	char line[LINE_BYTES];
	size_t length = 0;

	for (;;) {
		char byte;
		ssize_t got = read(port, &byte, 1);

		if (got <= 0) { /* the host's end is not connected */
			sleep_until_ns(monotonic_ns() + 10000000);
		} else if (byte == '\n') {
			line[length] = '\0';
			if (length > 0)
				command(line);
			length = 0;
		} else if (byte != '\xff' && length < sizeof line - 1) {
			line[length++] = byte;
		}
	}
	return unused;
}

/* The port's number is the virtio device's, among all. */
static int port_open(void)
{
	uint64_t deadline_ns = monotonic_ns() + UINT64_C(20000000000);

	while (monotonic_ns() < deadline_ns) {
		for (int i = 0; i < DEVICES; i++) {
			char path[32];
			int fd;

			snprintf(path, sizeof path, "/dev/vport%dp1", i);
			fd = open(path, O_RDWR | O_CLOEXEC);
			if (fd >= 0)
				return fd;
		}
		sleep_until_ns(monotonic_ns() + 10000000);
	}
	give_up("there is no port for the agent");
}

void agent_start(const struct options *options)
{
	if (!options->agent)
		return;
	port = port_open();
	start_thread(agent_run, NULL);
}
