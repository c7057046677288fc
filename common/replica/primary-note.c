/* primary-note.c: see primary-note.h. */
#include "primary-note.h"
#include "config-file.h"
#include "durable-file.h"
#include "json-text.h"
#include "paths.h"
#include "points.h"
#include "util.h"
#include "whereabouts.h"
#include "words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *replica_path(const char *state_dir, const char *guest, const char *suffix)
{
	AUTO_FREE char *name = path_with_name("%n", guest);

	return xasprintf("%s/replica/%s.%s", state_dir, name, suffix);
}

/* Options that such settings have (agent-src/replica/replica-conf.c). */
static const char *const known[] =
	{"every",      "keep",		 "spool",	"freeze",   "start-alone",  "disk",	      "disk-dir",
	 "initial",    "map-net",	 "bwlimit",	"qemu",	    "max-downtime", "reuse",	      "reconnect-timeout",
	 "attach",     "state-dir",	 "runtime-dir", "channels", "codec",	    "identity",	      "port",
	 "ssh",	       "ssh-accept-new", "keep-agent",	"via",	    "data-ports",   "listen-address", "psk-file",
	 "token-file", "plaintext",	 "seconds",	"to",	    "pair",	    "term",	      "paused",
	 NULL};

/* Settings with a line of a newer vmferry's could neither be changed nor removed here. */
static bool are_known(const char *text)
{
	for (; text && *text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL) {
		AUTO_FREE char *word = xstrndup(text, strcspn(text, " \n"));

		if (*word && *word != '#' && word_index(known, word) < 0)
			return false;
	}
	return true;
}

/* The value behind that word in a line of its own; NULL: no line begins so. */
static const char *value_of(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (; text && *text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL)
		if (!strncmp(text, word, n) && text[n] == ' ')
			return text + n + 1;
	return NULL;
}

static bool is_lower(const char *text, const char *pair, uint64_t term)
{
	const char *its_pair = value_of(text, "pair"), *its_term = value_of(text, "term");
	size_t n = strlen(pair);

	return its_pair && !strncmp(its_pair, pair, n) && (its_pair[n] == '\n' || !its_pair[n]) &&
	       (its_term ? strtoull(its_term, NULL, 10) : 1) < term;
}

int primary_note_replaced(const char *state_dir, const char *guest, const char *pair, uint64_t term, struct err *e)
{
	AUTO_FREE char *conf = replica_path(state_dir, guest, "conf"), *json = replica_path(state_dir, guest, "json"), *text = NULL,
		       *said = NULL;
	json_error_t why;
	json_t *state;
	int r = config_file_read(conf, &text, e);

	if (r || !text || !is_lower(text, pair, term))
		return r;
	state = json_load_file(json, 0, &why) ?: json_object();
	json_object_set_new(state, "replaced", json_true());
	json_object_set_new(state, "pair", json_string(pair));
	json_object_set_new(state, "to", json_sprintf("%.*s", (int)strcspn(value_of(text, "to") ?: "", "\n"), value_of(text, "to") ?: ""));
	said = json_text_dump(state, JSON_INDENT(1));
	json_decref(state);
	r = replace_file(json, said, strlen(said), e);
	if (!r && unlink(conf) && errno != ENOENT)
		r = err_sys(e, errno, "cannot remove %s", conf);
	return r ? err_prefix(e, "cannot note that guest %s was taken over elsewhere", guest) : 0;
}

/* The old copy's disks stay where they are, and its script, or unit, with them. */
static int note_old_copy(const char *state_dir, const char *guest, const json_t *state)
{
	AUTO_FREE char *path = whereabouts_path(state_dir, guest);
	const char *to = json_text(state, "to") ?: "";
	json_auto_t *entry = json_pack("{s:s,s:s,s:s,s:O*}", "guest", guest, "attempt", json_text(state, "pair") ?: "replaced", "gone_to",
				       *to ? to : "the host of its replica", "disks", json_object_get(state, "disks"));
	struct err ignored;

	return entry ? json_object_get(entry, "disks") ? whereabouts_add_old(path, entry, &ignored) : 0 : -EBADMSG;
}

void primary_note_here(const char *state_dir, const char *guest, bool by_replica)
{
	AUTO_FREE char *conf = replica_path(state_dir, guest, "conf"), *json = replica_path(state_dir, guest, "json");
	json_error_t why;
	json_auto_t *state = json_load_file(json, 0, &why);

	if (json_is_true(json_object_get(state, "replaced")) && (!by_replica || access(conf, F_OK)) &&
	    !note_old_copy(state_dir, guest, state))
		primary_note_gone(state_dir, guest);
}

/* ---- a guest that moves ---- */

json_t *primary_note_read(const char *state_dir, const char *guest)
{
	AUTO_FREE char *conf = replica_path(state_dir, guest, "conf"), *json = replica_path(state_dir, guest, "json"), *text = NULL;
	json_error_t why;
	struct err ignored;
	json_t *state, *out;

	if (config_file_read(conf, &text, &ignored) || !text || strlen(text) > PRIMARY_NOTE_MAX)
		return NULL;
	state = json_load_file(json, 0, &why);
	out = json_pack("{s:s,s:o*}", "conf", text, "state", state);
	return out;
}

/* True if the guest's replica is on this same host. */
static bool has_points(const char *state_dir, const char *guest)
{
	AUTO_FREE char *dir = xasprintf("%s/replicas", state_dir), *name = points_dir(dir, guest), *path = xasprintf("%s.json", name);

	return !access(path, F_OK);
}

bool primary_note_fits(const char *state_dir, const char *guest, const json_t *note)
{
	AUTO_FREE char *conf = replica_path(state_dir, guest, "conf");
	const char *text = json_text(note, "conf");

	return text && strlen(text) <= PRIMARY_NOTE_MAX && value_of(text, "pair") && value_of(text, "to") && are_known(text) &&
	       access(conf, F_OK) && !has_points(state_dir, guest);
}

int primary_note_take(const char *state_dir, const char *guest, const json_t *note, struct err *e)
{
	AUTO_FREE char *conf = replica_path(state_dir, guest, "conf"), *json = replica_path(state_dir, guest, "json"), *said = NULL;
	AUTO_FREE char *dir = xasprintf("%s/replica", state_dir);
	const char *text = json_text(note, "conf");
	int r = 0;

	if (!text || !access(conf, F_OK))
		return 0;
	if (mkdir(dir, 0700) && errno != EEXIST)
		return err_sys(e, errno, "cannot make %s", dir);
	said = json_text_dump(json_object_get(note, "state"), JSON_INDENT(1));
	if (said)
		r = replace_file(json, said, strlen(said), e);
	return r ?: replace_file(conf, text, strlen(text), e);
}

void primary_note_gone(const char *state_dir, const char *guest)
{
	/* Lock files stay: the next to lock one would lock another file of that name. */
	static const char *const suffixes[] = {"conf", "json", "history"};

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		AUTO_FREE char *path = replica_path(state_dir, guest, suffixes[i]);

		unlink(path);
	}
}
