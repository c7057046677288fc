/* A guest whose state is saved, to be gone on from by others: it has a kernel and no drivers yet, and waits here until it finds itself in a QEMU with
 * another command line, which is then the guest's. QEMU tells that by its configuration device, whose ports are these (docs/specs/fw_cfg). */
#include "witness.h"

#ifdef __x86_64__
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>

enum { SELECTOR = 0x510, DATA = 0x511, CMDLINE_SIZE = 0x14, CMDLINE = 0x15, LINE_BYTES = 4096, TICK_NS = 5000000 };

static void selected_read(uint16_t what, void *to, size_t bytes)
{
	outw(what, SELECTOR);
	for (size_t i = 0; i < bytes; i++)
		((unsigned char *)to)[i] = inb(DATA);
}

static void line_read(char line[static LINE_BYTES])
{
	uint32_t bytes;

	selected_read(CMDLINE_SIZE, &bytes, sizeof bytes);
	if (bytes == 0 || bytes > LINE_BYTES)
		give_up("a command line of %u bytes", bytes);
	selected_read(CMDLINE, line, bytes);
	line[bytes - 1] = '\0';
}

int saved_wait(void)
{
	char first[LINE_BYTES], line[LINE_BYTES];

	if (iopl(3) != 0)
		give_up("I/O ports: %s", strerror(errno));
	line_read(first);
	console_line("witness waits");
	do {
		sleep_until_ns(monotonic_ns() + TICK_NS);
		line_read(line);
	} while (strcmp(line, first) == 0);
	puts(line);
	return 0;
}
#else
int saved_wait(void)
{
	give_up("a state is saved for guests of x86_64 alone");
}
#endif
