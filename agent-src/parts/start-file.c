/* start-file.c: see start-file.h. */
#include "start-file.h"
#include "durable-file.h"
#include "json-text.h"
#include "util.h"

#include <errno.h>
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>

static struct start_file *start_file_of(struct part *p)
{
	return container_of(p, struct start_file, part);
}

static int examine(struct part *p, struct err *e)
{
	const struct start_file *s = start_file_of(p);
	AUTO_FREE char *copy = s->path ? xstrdup(s->path) : NULL;

	if (!s->path)
		return 0;
	if (!text_is_utf8(s->path))
		return err_set(e, EILSEQ, "the name of the script %s is not UTF-8 text", s->path);
	return access(dirname(copy), W_OK) ? err_sys(e, errno, "the script %s is to have another name once the guest has gone", s->path)
					   : 0;
}

int start_file_set_aside(struct start_file *s, struct err *e)
{
	char id[2 * ATTEMPT_ID_LEN + 1];
	int r;

	if (!s->path)
		return 0;
	s->aside = xasprintf("%s.moved-%.8s", s->path, attempt_id_format(s->part.a->id, id));
	r = attempt_own(s->part.a, "start-script", json_pack("{s:s,s:s}", "path", s->path, "aside", s->aside), e);
	if (r)
		return r;
	r = rename_new(s->path, s->aside);
	return r ? err_sys(e, -r, "cannot give %s the name %s, under which nobody starts it", s->path, s->aside)
		 : sync_parent_dir(s->path, e);
}

/* Whoever has its place meanwhile keeps it. */
static int undo_aside(struct part *p, const json_t *detail, struct err *e)
{
	const char *path = json_text(detail, "path"), *aside = json_text(detail, "aside");
	struct stat st;
	int r;

	if (p->a->handoff.state == HO_SRC_RELEASED)
		return 0;
	if (!path || !aside)
		return err_set(e, EBADMSG, "the journal does not say which");
	if (lstat(aside, &st))
		return errno == ENOENT ? 0 : err_sys(e, errno, "cannot look at %s", aside);
	r = rename_new(aside, path);
	return r ? err_sys(e, -r, "cannot give %s its name %s back", aside, path) : sync_parent_dir(path, e);
}

static void tell(const struct part *p, enum part_tale tale, json_t *out)
{
	const struct start_file *s = container_of(p, const struct start_file, part);

	if (tale == TELL_RESULT && s->aside && p->a->handoff.state == HO_SRC_RELEASED)
		json_object_set_new(out, "set_aside", json_pack("{s:s,s:s}", "from", s->path, "to", s->aside));
}

static void fini(struct part *p)
{
	free(start_file_of(p)->path);
	free(start_file_of(p)->aside);
}

static const struct part_undo undo[] = {{"start-script", "the name of the script that starts it", undo_aside}, {NULL, NULL, NULL}};

static const struct part_ops ops = {.name = "start-file", .examine = examine, .undo = undo, .tell = tell, .fini = fini};

void start_file_init(struct start_file *s, struct attempt *a)
{
	*s = (struct start_file){.part = {&ops, a}};
}
