/* error-stop.c: see error-stop.h. */
#include "error-stop.h"
#include "util.h"

#include <string.h>

static const struct {
	const char *state, *cause, *event, *action;
} kinds[] = {
	{"io-error", "an I/O error (a file system that is full, say)", "BLOCK_IO_ERROR", "stop"},
	{"guest-panicked", "a panic of its own", "GUEST_PANICKED", "pause"},
	{"watchdog", "its watchdog", "WATCHDOG", "pause"},
	{"internal-error", "an internal error of QEMU's, or of KVM's", NULL, NULL},
};

const char *error_stop_announced(const char *event, const json_t *data)
{
	const char *action = json_string_value(json_object_get(data, "action"));
	size_t i;

	for (i = 0; action && i < ARRAY_LEN(kinds); i++)
		if (kinds[i].event && !strcmp(event, kinds[i].event) && !strcmp(action, kinds[i].action))
			return kinds[i].state;
	return NULL;
}

static size_t kind_of(const char *run_state)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(kinds) && strcmp(run_state, kinds[i].state); i++)
		;
	return i;
}

const char *error_stop_state(const char *run_state)
{
	size_t i = kind_of(run_state);

	return i < ARRAY_LEN(kinds) ? kinds[i].state : NULL;
}

const char *error_stop_cause(const char *run_state)
{
	size_t i = kind_of(run_state);

	return i < ARRAY_LEN(kinds) ? kinds[i].cause : "an error";
}
