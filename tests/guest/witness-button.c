/* The power button: pressed, everything comes to rest and the guest turns itself off, as acpid and an init would have it. */
#include "witness.h"

#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

enum { DEVICES = 8 };

static struct pollfd devices[DEVICES];

static void *button_run(void *unused)
{
	struct input_event event;

	for (;;) {
		poll(devices, DEVICES, -1);
		for (unsigned i = 0; i < DEVICES; i++)
			while (devices[i].revents & POLLIN && read(devices[i].fd, &event, sizeof event) == sizeof event)
				if (event.type == EV_KEY && event.code == KEY_POWER && event.value == 1)
					power_off();
	}
	return unused;
}

void button_start(const struct options *options)
{
	unsigned found = 0;
	char path[32];

	if (!options->button)
		return;
	for (unsigned i = 0; i < DEVICES; i++) {
		snprintf(path, sizeof path, "/dev/input/event%u", i);
		devices[i] = (struct pollfd){.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), .events = POLLIN};
		found += devices[i].fd >= 0;
	}
	if (found == 0)
		give_up("button=1: there is no input device");
	start_thread(button_run, NULL);
}
