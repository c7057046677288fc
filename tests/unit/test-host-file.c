/* test-host-file.c: which files of this host a destination may have. */
#include "host-file.h"
#include "util.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static bool travels(const struct move_options *o, const char *role, const char *path, bool read_only)
{
	json_t *entry = json_pack("{s:s,s:s,s:b}", "role", role, "path", path, "read_only", read_only);
	bool yes;

	host_file_look(o, entry, NULL);
	yes = host_file_travels(entry);
	json_decref(entry);
	return yes;
}

static void only_what_the_owner_lets_go_is_offered(void **state)
{
	char path[] = "/tmp/test-host-file-XXXXXX";
	struct move_options o = {.media = MEDIA_AUTO};
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_true(travels(&o, "media", path, true));
	assert_true(travels(&o, "kernel", path, true));
	assert_true(travels(&o, "backing", path, true));
	assert_false(travels(&o, "secret", path, true));
	assert_false(travels(&o, "disk", path, false));
	o.media = MEDIA_COPY;
	assert_true(travels(&o, "media", path, true));
	o.media = MEDIA_PATH;
	assert_false(travels(&o, "media", path, true));
	assert_false(travels(&o, "kernel", path, true));
	o.media = MEDIA_EJECT;
	assert_false(travels(&o, "media", path, true));
	assert_true(travels(&o, "kernel", path, true));
	o.disks.chain = CHAIN_TOP;
	assert_false(travels(&o, "backing", path, true));
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_the_owner_lets_go_is_offered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
