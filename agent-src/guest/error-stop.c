/* error-stop.c: see error-stop.h. */
#include "error-stop.h"
#include "util.h"
#include "words.h"

#include <string.h>

static const struct {
	const char *state, *cause, *event, *action;
} kinds[] = {
	{"io-error", "an I/O error (a file system that is full, say)", "BLOCK_IO_ERROR", "stop"},
	{"guest-panicked", "a panic of its own", "GUEST_PANICKED", "pause"},
	{"watchdog", "its watchdog", "WATCHDOG", "pause"},
	{"internal-error", "an internal error of QEMU's, or of KVM's", NULL, NULL},
	{"shutdown", "its own shutdown", NULL, NULL}, /* its QEMU stays (-no-shutdown) */
};

const char *error_stop_announced(const char *event, const json_t *data)
{
	const char *action = json_string_value(json_object_get(data, "action"));

	for (size_t i = 0; action && i < ARRAY_LEN(kinds); i++)
		if (kinds[i].event && !strcmp(event, kinds[i].event) && !strcmp(action, kinds[i].action))
			return kinds[i].state;
	return NULL;
}

const char *error_stop_state(const char *run_state)
{
	__auto_type kind = ROW_OF(kinds, state, run_state);

	return kind ? kind->state : NULL;
}

/* States other than "paused" in which a guest only waits for `cont`, and a notice for each. */
static const struct {
	const char *state, *notice;
} standing[] = {
	{"prelaunch", "nothing of the guest has run yet (-S); it is moved so, and waits for its first cont there"},
	{"io-error",
	 "a disk's error has stopped the guest; it is moved as it stands, with the requests that failed. See that they can succeed there "
	 "(room where its disks are, say), then let it go on (QMP cont)"},
	{"watchdog", "the guest's watchdog has stopped it; it is moved as it stands. Let it go on there (QMP cont), or reset it"},
};

bool run_state_stands(const char *run_state)
{
	return !strcmp(run_state, "paused") || ROW_OF(standing, state, run_state);
}

bool run_state_moves(const char *run_state)
{
	return !strcmp(run_state, "running") || run_state_stands(run_state);
}

const char *run_state_notice(const char *run_state)
{
	__auto_type row = ROW_OF(standing, state, run_state);

	return row ? row->notice : NULL;
}

const char *error_stop_cause(const char *run_state)
{
	__auto_type kind = ROW_OF(kinds, state, run_state);

	return kind ? kind->cause : "an error";
}

#define SHUT_DOWN "move it shut down (--how cold, by what starts it)"

const char *run_state_way_out(const char *state)
{
	static const char *const ways[][2] = {
		{"shutdown", "it has shut down, and its QEMU stays (-no-shutdown): end that (QMP quit) and " SHUT_DOWN},
		{"guest-panicked", "it has crashed: reset it (QMP system_reset, then cont), or end its QEMU and " SHUT_DOWN},
		{"internal-error", "QEMU could not go on with it: reset it (QMP system_reset, then cont), or end its QEMU and " SHUT_DOWN},
		{"suspended", "it sleeps: wake it (QMP system_wakeup)"},
		{"inmigrate", "it is still to come from another QEMU, which has it: wait for that move, or move it from there"},
		{"postmigrate", "it was migrated to another QEMU, and runs there, if anywhere: move it from there"},
		{"save-vm", "a snapshot of it is made: wait for that"},
		{"restore-vm", "a snapshot of it is loaded: wait for that"},
	};

	return PAIR_OF(ways, state) ?: "let it run (QMP cont), or pause it (QMP stop)";
}
