/* test-point-net.c: where the network cards lead of a guest that runs from a point of its replica. */
#include "point-run.h"
#include "util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct err e;

/* "NIC=TO NIC=TO" of what a run is given, or "refused". */
static char *maps(const char *kind, const char *said, const char *added, const struct args_nic *nics, size_t count)
{
	struct point point = {.json = json_pack("{s:{s:{s:s*}}}", "guest", "map_net", "net0", added)};
	struct run r = {.kind = kind, .point = &point};
	struct replica_conf c = {.o.map_net.count = said != NULL};
	struct args_result looked = {.nics = (struct args_nic *)(uintptr_t)nics, .nic_count = count};
	AUTO_FREE struct args_net_map *out = NULL;
	char *text = xstrdup("");
	size_t n = 0, i;

	c.o.map_net.at[0] = (char *)(uintptr_t)said;
	if (run_map_nets(&r, &c, &looked, &out, &n, &e)) {
		free(text);
		text = xstrdup("refused");
		n = 0;
	}
	for (i = 0; i < n; i++) {
		char *more = xasprintf("%s%s%s=%s", text, *text ? " " : "", out[i].nic, out[i].to);

		free(text);
		text = more;
	}
	json_decref(point.json);
	return text;
}

static void cards_lead_where_somebody_has_said(void **state)
{
	static const struct args_nic two[] = {{.netdev = (char *)"net0"}, {.netdev = (char *)"net1", .mac = (char *)"52:54:00:12:34:56"}},
				     nameless[] = {{.type = (char *)"user"}};
	static const struct {
		const char *kind, *said, *added;
		const struct args_nic *nics;
		size_t count;
		const char *maps;
	} rows[] = {
		{"test", NULL, NULL, two, 2, "net0=none net1=none"},
		{"test", "net0=bridge:br-test", NULL, two, 2, "net0=bridge:br-test net1=none"},
		{"test", "52:54:00:12:34:56=user", "bridge:br9", two, 2,
		 "net0=none net1=user"}, /* options of the guest do not apply to a trial */
		{"test", "net7=user", NULL, two, 2, "refused"},
		{"test", NULL, NULL, nameless, 1, "refused"},
		{"run", NULL, NULL, two, 2, ""},
		{"run", NULL, NULL, nameless, 1, ""},
		{"run", NULL, "bridge:br9", two, 2, "net0=bridge:br9"},
		{"run", "net1=user", "bridge:br9", two, 2, "net0=bridge:br9 net1=user"},
		{"run", "net0=user", "bridge:br9", two, 2, "net0=user"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *is = maps(rows[i].kind, rows[i].said, rows[i].added, rows[i].nics, rows[i].count);

		assert_string_equal(is, rows[i].maps);
	}
}

static void named(const char *kind, const char *value, const char *expected)
{
	char *argv[] = {(char *)"q", (char *)"-nic", xstrdup(value), (char *)"-S"};
	struct run r = {.kind = kind, .argv = argv, .argc = ARRAY_LEN(argv)};

	run_name_nics(&r);
	assert_string_equal(argv[2], expected);
	free(argv[2]);
}

static void card_of_a_trial_gets_a_name(void **state)
{
	(void)state;
	named("test", "user", "user,id=trial1");
	named("test", "bridge,br=br0,model=virtio", "bridge,br=br0,model=virtio,id=trial1");
	named("test", "user,id=n", "user,id=n");
	named("test", "user,mac=52:54:00:12:34:56", "user,mac=52:54:00:12:34:56");
	named("test", "none", "none");
	named("run", "user", "user");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cards_lead_where_somebody_has_said),
		cmocka_unit_test(card_of_a_trial_gets_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
