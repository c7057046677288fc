/* bench-file.c: the file of results: begun, taken up again, saved after each move. docs/bench.md describes it. */
#include "bench.h"
#include "durable-file.h"
#include "json-text.h"
#include "util.h"
#include "version.h"

#include <errno.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DIGITS 13 /* digits of real numbers: seconds since 1970 to the millisecond */

int bench_load(struct bench *b, const char *path, struct err *e)
{
	json_error_t wrong;
	const char *where, *accel;

	b->opt.out = path;
	b->run = json_load_file(path, 0, &wrong);
	if (!b->run)
		return err_set(e, EINVAL, "cannot read %s: line %d: %s", path, wrong.line, wrong.text);
	where = json_text(json_object_get(b->run, "environment"), "where");
	if (json_integer_value(json_object_get(b->run, "schema")) != 1 || !json_is_array(json_object_get(b->run, "moves")))
		return err_set(e, EINVAL, "%s is not a vmferry bench file, or was written by a newer version", path);
	if (where && strcmp(where, b->host ? b->host : "lab"))
		return err_set(e, EINVAL, "%s is of another place: --resume it with %s", path, strcmp(where, "lab") ? where : "--lab");
	accel = json_text(json_object_get(b->run, "environment"), "accel");
	if (!b->opt.accel && accel && (!strcmp(accel, "kvm") || !strcmp(accel, "tcg")))
		b->opt.accel = accel;
	plan_fini(&b->plan);
	b->plan = (struct bench_plan){0};
	return plan_from_json(&b->plan, json_object_get(b->run, "plan"), e) ? err_prefix(e, "%s", path) : 0;
}

int bench_check_same(const struct bench *b, const json_t *now, struct err *e)
{
	static const char *const members[] = {"cpu", "cores", "kernel", "qemu", "qemu_there", "libvirt", "accel", "tcp_congestion"};
	const json_t *then = json_object_get(b->run, "environment");
	const char *software = json_text(b->run, "software");

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const json_t *was = json_object_get(then, members[i]), *is = json_object_get(now, members[i]);
		AUTO_FREE char *was_text = json_dumps(was, JSON_ENCODE_ANY), *is_text = json_dumps(is, JSON_ENCODE_ANY);

		if (!json_equal(was, is) && (was || is))
			return err_set(e, EINVAL, "%s was begun with another environment (%s: %s, now %s): measure it anew", b->opt.out,
				       members[i], was_text ? was_text : "none", is_text ? is_text : "none");
	}
	if (!software || strcmp(software, VMFERRY_VERSION))
		return err_set(e, EINVAL, "%s was begun by vmferry %s, this is " VMFERRY_VERSION ": measure it anew", b->opt.out,
			       software ? software : "?");
	return 0;
}

int bench_check_output(const char *path, struct err *e)
{
	AUTO_FREE char *copy = xstrdup(path);
	struct stat st;
	json_auto_t *old = NULL;
	bool empty;

	if (access(dirname(copy), W_OK))
		return err_sys(e, errno, "cannot write %s", path);
	if (stat(path, &st) || (S_ISREG(st.st_mode) && !st.st_size))
		return 0;
	old = json_load_file(path, 0, NULL);
	empty = json_is_array(json_object_get(old, "moves")) && !json_array_size(json_object_get(old, "moves"));
	return empty ? 0
		     : err_set(e, EEXIST,
			       "%s is there already, and would be overwritten: --resume %s goes on with results in it; else choose "
			       "another name",
			       path, path);
}

char *bench_default_output(void)
{
	char text[64];
	time_t now = time(NULL);
	struct tm t;

	localtime_r(&now, &t);
	strftime(text, sizeof(text), "bench-%Y%m%d-%H%M%S.json", &t);
	return xstrdup(text);
}

int bench_save(const struct bench *b, struct err *e)
{
	AUTO_FREE char *text = json_dumps(b->run, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));

	if (!text)
		return err_set(e, EINVAL, "cannot write %s: a result is not JSON", b->opt.out);
	return replace_file(b->opt.out, text, strlen(text), e);
}
