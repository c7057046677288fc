/*
 * fuzz-chardevs.c: libFuzzer on QEMU's answer to query-chardev (agent-dst/parts): which of its sockets are monitors, and where they listen.
 */
#include "../../agent-dst/parts/monitors.h"
#include "json-text.h"
#include "seed.h"

static char *line[] = {"qemu", "-mon", "chardev=m", "-serial", "mon:stdio", "-qmp", "chardev:q", "-gdb", "chardev:g", NULL};

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct args_result args = {.argv = line, .argc = ARRAY_LEN(line) - 1};
	json_t *chardevs = json_loadb((const char *)p, n, JSON_ALLOW_NUL, NULL), *one;
	struct chardev_socket s;
	size_t i;

	if (!chardevs)
		return -1;
	json_array_foreach(chardevs, i, one) {
		const char *label = json_text(one, "label"), *filename = json_text(one, "filename");

		if (label)
			monitors_has(&args, chardevs, label);
		if (filename && monitors_parse(filename, &s))
			require(*s.address && strstr(filename, s.address) && strlen(s.peer) < sizeof(s.peer) &&
				!(s.is_unix && s.is_websocket));
	}
	json_decref(chardevs);
	return 0;
}

static const char seed[] = "[{\"label\":\"m\",\"filename\":\"unix:/run/a.qmp,server=on\",\"frontend-open\":true},"
			   "{\"label\":\"compat_monitor0\",\"filename\":\"disconnected:tcp:127.0.0.1:4444,server=on\"},"
			   "{\"label\":\"q\",\"filename\":\"websocket:[::1]:4445,server=on <-> 127.0.0.1:53412\"},"
			   "{\"label\":\"n\",\"filename\":\"tcp:,server=on\"},"
			   "{\"label\":\"s-base\",\"filename\":\"stdio\"},{\"label\":\"s\",\"filename\":\"mux\"}]";

ONE_SEED(seed)
