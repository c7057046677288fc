/* again.c: see again.h. */
#include "again.h"
#include "cmd.h"
#include "control.h"
#include "dest-options.h"
#include "journal.h"
#include "json-text.h"
#include "options.h"
#include "paths.h"
#include "recover-choice.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES_MAX (JOURNAL_PAYLOAD_MAX / 2) /* the rest is for what else a journal begins with */

/* ---- kept ---- */

json_t *again_new(void)
{
	char cwd[4096];

	return json_pack("{s:s*,s:[]}", "cwd", getcwd(cwd, sizeof(cwd)) && text_is_utf8(cwd) ? cwd : NULL, "words");
}

static void add(json_t *move, char *word /* stolen */)
{
	json_array_append_new(json_object_get(move, "words"), json_string(word));
	free(word);
}

char *again_path(const char *path)
{
	char cwd[4096];

	if (!path || path[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		return xstrdup(path);
	return xasprintf("%s/%s", cwd, path);
}

void again_option(json_t *move, const struct command_option *o, const char *arg)
{
	AUTO_FREE char *full = o->file ? again_path(arg) : NULL;

	if (!o->once)
		add(move, arg ? xasprintf("--%s=%s", o->name, full ?: arg) : xasprintf("--%s", o->name));
}

json_t *again_end(json_t *move, const char *vm, const char *dest)
{
	AUTO_FREE char *text = json_dumps(move, JSON_COMPACT);

	json_object_set_new(move, "vm", json_string(vm));
	json_object_set_new(move, "dest", json_string(dest));
	if (text && strlen(text) + strlen(vm) + strlen(dest) < BYTES_MAX)
		return move;
	json_decref(move);
	return NULL;
}

/* ---- given again ---- */

/* Appends the words, except options for another kind of destination than dest. */
static size_t put_words(const char **argv, size_t n, const json_t *words, const char *dest)
{
	json_t *word;
	size_t i;

	json_array_foreach(words, i, word) {
		const char *text = json_string_value(word);

		if (text && (!dest || !dest_option_is_odd(text, dest_kind(dest))))
			argv[n++] = text;
	}
	return n;
}

int again_run(const json_t *move, const struct again_change *change)
{
	const json_t *words = json_object_get(move, "words"), *way = json_object_get(change->way, "words");
	const char *cwd = json_string_value(json_object_get(move, "cwd"));
	AUTO_FREE const char **argv = xcalloc(json_array_size(words) + json_array_size(way) + 7, sizeof(*argv));
	size_t n = 0;

	if (!cwd || chdir(cwd)) {
		fprintf(stderr, "vmferry: the move was begun in %s, which cannot be entered: give its command again, with --keep-partial\n",
			cwd ? cwd : "a directory of unknown name");
		return EXIT_REFUSED;
	}
	argv[n++] = "migrate";
	n = put_words(argv, n, words, change->dest);
	n = put_words(argv, n, way, NULL);
	if (change->json)
		argv[n++] = "--json";
	if (change->verbose)
		argv[n++] = "--verbose";
	argv[n++] = change->vm ?: json_string_value(json_object_get(move, "vm"));
	argv[n++] = change->dest ?: json_string_value(json_object_get(move, "dest"));
	return migrate_again((int)n, (char **)(uintptr_t)argv);
}

/* ---- of a move that is finished ---- */

static struct timespec written(const char *path)
{
	struct stat st;

	return stat(path, &st) ? (struct timespec){0, 0} : st.st_mtim;
}

static bool is_later(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

static bool is_of(const struct journal *j, const char *vm)
{
	const json_t *begin = journal_begin(j);
	char id[2 * ATTEMPT_ID_LEN + 1];

	return handoff_state_of_role(journal_last_state(j), HO_SOURCE) && json_is_string(json_object_get(begin, "dest")) &&
	       recover_means(vm, json_string_value(json_object_get(begin, "guest")), (int)json_integer_value(json_object_get(begin, "pid")),
			     attempt_id_format(journal_attempt_id(j), id));
}

int again_find(json_t **begin, char **path, const char *state_dir, const char *vm, struct err *e)
{
	struct timespec last = {0, 0};
	AUTO_FREE char *last_path = NULL;
	json_t *found = NULL;
	char **paths;
	size_t n, i;
	int r = journal_list_finished(state_dir, &paths, &n, e);

	for (i = 0; !r && i < n; i++) {
		struct journal *j;
		struct err ignored;

		if (is_later(last, written(paths[i])) || journal_look(&j, paths[i], &ignored))
			continue;
		if (is_of(j, vm)) {
			json_decref(found);
			found = journal_last_state(j) == HO_SRC_ABORTED ? json_deep_copy(journal_begin(j)) : NULL;
			last = written(paths[i]);
			free(last_path);
			last_path = xstrdup(paths[i]);
		}
		journal_close(j);
	}
	if (!r)
		journal_list_free(paths, n);
	if (!r && !json_object_get(found, "keep_partial_s"))
		r = err_set(e, ENOENT,
			    "no move of %s from here was cut off or rolled back of which anything was to be kept (--keep-partial)", vm);
	if (r) {
		json_decref(found);
		return r;
	}
	*begin = found;
	if (path) {
		*path = last_path;
		last_path = NULL;
	}
	return 0;
}

void again_with_kept(struct move_options *o, const char *command)
{
	struct err ignored;
	json_t *begin;

	if (o->disks.keep.partial_s || o->disks.keep.none || !o->reconnect_ms || o->in_place ||
	    again_find(&begin, NULL, o->dirs.state, o->vm, &ignored))
		return;
	if (!strcmp(json_text(begin, "dest") ?: "", o->dest.where)) {
		o->disks.keep.partial_s = (unsigned)json_integer_value(json_object_get(begin, "keep_partial_s"));
		fprintf(stderr,
			"%s: anything that is still kept at %s of the guest's disks is used, if they go to the same places (--keep-partial "
			"no: it is not)\n",
			command, o->dest.where);
	}
	json_decref(begin);
}

/* ---- of a move that is not finished ---- */

/* An agent, or a guard, holds its journal. An agent that was killed has left its socket, at which nobody listens. */
static bool is_in_hand(const char *path, const json_t *begin, const char *runtime_dir)
{
	json_int_t pid = json_integer_value(json_object_get(begin, "pid"));
	struct journal *j;
	struct err e;
	int r = journal_open(&j, path, &e);
	AUTO_FREE pid_t *pids = NULL;
	size_t n, i;
	bool left = false;

	if (!r)
		journal_close(j);
	if (r != -EBUSY)
		return false;
	n = control_list(runtime_dir, &pids);
	for (i = 0; i < n; i++)
		left |= pids[i] == pid && !control_is_served(runtime_dir, pids[i]);
	return !left;
}

void again_tell_cut_off(FILE *f, const char *runtime_dir)
{
	AUTO_FREE char *dir = NULL;
	char id[2 * ATTEMPT_ID_LEN + 1];
	struct err e;
	json_t *begin;
	char **paths;
	size_t n, i;

	if (state_dir_get(&dir, NULL, &e) || journal_list(dir, &paths, &n, &e))
		return;
	for (i = 0; i < n; i++) {
		if (!journal_path_is(paths[i], true) || journal_peek(paths[i], id, &begin, &e))
			continue;
		if (!is_in_hand(paths[i], begin, runtime_dir)) {
			AUTO_FREE char *name = text_shown(json_text(begin, "guest") ?: id),
				       *to = text_shown(json_text(begin, "dest") ?: "?");

			fprintf(f, "not settled: the move of %s to %s was cut off: vmferry recover %s\n", name, to, name);
		}
		json_decref(begin);
	}
	journal_list_free(paths, n);
}
