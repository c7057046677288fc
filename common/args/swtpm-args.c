/* swtpm-args.c: see swtpm-args.h. Its options are those of swtpm(8), 0.7 to 0.10. */
#include "swtpm-args.h"
#include "qemu-opts.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <string.h>

enum meaning {
	CTRL,
	STATE,
	TPM2,
	TERMINATE,
	LOCALITY,
	SECCOMP,
	FLAGS,
	SILENT,	  /* ours takes its place, or it only concerns how it was started */
	LEFT_OUT, /* left out, and the user is told */
	REFUSED,
};

static const struct option {
	const char *name;
	char letter;
	bool bare; /* comes without a value */
	enum meaning meaning;
	const char *why; /* REFUSED */
} options[] = {
	{"ctrl", 0, false, CTRL, NULL},
	{"tpmstate", 0, false, STATE, NULL},
	{"tpm2", 0, true, TPM2, NULL},
	{"terminate", 't', true, TERMINATE, NULL},
	{"locality", 0, false, LOCALITY, NULL},
	{"seccomp", 0, false, SECCOMP, NULL},
	{"flags", 0, false, FLAGS, NULL},
	{"daemon", 'd', true, SILENT, NULL},
	{"migration", 0, false, SILENT, NULL},
	{"log", 0, false, LEFT_OUT, NULL},
	{"pid", 0, false, LEFT_OUT, NULL},
	{"key", 0, false, REFUSED, "its state is encrypted with a key of this host"},
	{"migration-key", 0, false, REFUSED, "its state goes along encrypted with a key of this host only"},
	{"runas", 'r', false, REFUSED, "it runs as another user"},
	{"chroot", 'R', false, REFUSED, "it runs in a directory of its own"},
	{"server", 0, false, REFUSED, "others than QEMU may give it commands"},
	{"port", 'p', false, REFUSED, "others than QEMU may give it commands"},
	{"fd", 'f', false, REFUSED, "its parent process passed it its channels"},
};

static const char *const localities[] = {"reject-locality-4", "allow-set-locality", NULL};
static const char *const actions[] = {"action=none", "action=kill", "action=log", NULL};

bool swtpm_is(const char *exe)
{
	const char *slash = strrchr(exe, '/');

	return !strcmp(slash ? slash + 1 : exe, "swtpm");
}

/* ---- reading ---- */

struct walk {
	char *const *argv;
	size_t argc, i;
};

static const struct option *option_of(const char *word, const char **value)
{
	size_t i, n;

	*value = NULL;
	for (i = 0; i < ARRAY_LEN(options); i++) {
		n = strlen(options[i].name);
		if (word[0] == '-' && word[1] && word[1] == options[i].letter && (!word[2] || !options[i].bare)) {
			*value = word[2] ? word + 2 : NULL;
			return &options[i];
		}
		if (strncmp(word, "--", 2) || strncmp(word + 2, options[i].name, n) || (word[2 + n] && word[2 + n] != '='))
			continue;
		*value = word[2 + n] ? word + 3 + n : NULL;
		return &options[i];
	}
	return NULL;
}

/* 1: one was read; 0: there is no more; -errno. */
static int next(struct walk *w, const struct option **o, const char **value, struct err *e)
{
	const char *word;

	if (w->i >= w->argc)
		return 0;
	word = w->argv[w->i++];
	*o = option_of(word, value);
	if (!*o)
		return err_set(e, ENOTSUP, "this vmferry does not know its option %s", word);
	if ((*o)->bare ? *value != NULL : !*value && w->i >= w->argc)
		return err_set(e, ENOTSUP, "its option %s cannot be read", word);
	if (!(*o)->bare && !*value)
		*value = w->argv[w->i++];
	return 1;
}

static bool is_among(const char *word, const char *const *words)
{
	for (; *words && strcmp(*words, word); words++)
		;
	return *words;
}

/* "a,b": each is one of these words. */
static bool are_among(const char *value, const char *const *words)
{
	AUTO_FREE char *copy = xstrdup(value);
	char *word, *rest = copy;
	bool all = *value;

	while (all && (word = strsep(&rest, ",")))
		all = is_among(word, words);
	return all;
}

bool swtpm_locality_is_known(const char *value)
{
	return are_among(value, localities);
}

bool swtpm_seccomp_is_known(const char *value)
{
	return is_among(value, actions);
}

/* ---- values of options ---- */

static int keep(char **to, const char *value)
{
	free(*to);
	*to = xstrdup(value);
	return 0;
}

static int read_ctrl(struct swtpm *s, const char *value, struct err *e)
{
	AUTO_KV struct kv_list l;
	const char *type, *path;
	int r;

	kv_parse(&l, value);
	type = kv_get(&l, "type", NULL);
	path = kv_get(&l, "path", NULL);
	if (!type || strcmp(type, "unixio") || !path || !*path || kv_get(&l, "fd", NULL) || kv_get(&l, "clientfd", NULL))
		r = err_set(e, ENOTSUP, "QEMU does not reach it at a unix socket that has a name (--ctrl %s)", value);
	else
		r = keep(&s->socket, path);
	return r;
}

static int read_state(struct swtpm *s, const char *value, struct err *e)
{
	static const char uri[] = "dir://";
	AUTO_KV struct kv_list l;
	const char *dir, *backend;

	kv_parse(&l, value);
	dir = kv_get(&l, "dir", NULL);
	backend = kv_get(&l, "backend-uri", NULL);
	if (!dir && text_starts_with(backend, uri))
		dir = backend + strlen(uri);
	return dir && *dir ? keep(&s->state, dir) : err_set(e, ENOTSUP, "its state is not in a directory (--tpmstate %s)", value);
}

static int leave_out(struct swtpm *s, const char *name)
{
	char *all = xasprintf("%s%s--%s", s->left_out ? s->left_out : "", s->left_out ? ", " : "", name);

	free(s->left_out);
	s->left_out = all;
	return 0;
}

static int refuse_value(const char *name, const char *value, struct err *e)
{
	return err_set(e, ENOTSUP, "this vmferry does not know its option --%s %s", name, value);
}

static int take(struct swtpm *s, const struct option *o, const char *value, struct err *e)
{
	switch (o->meaning) {
	case CTRL:
		return read_ctrl(s, value, e);
	case STATE:
		return read_state(s, value, e);
	case TPM2:
		s->tpm2 = true;
		return 0;
	case TERMINATE:
		s->terminates = true;
		return 0;
	case LOCALITY:
		return swtpm_locality_is_known(value) ? keep(&s->locality, value) : refuse_value(o->name, value, e);
	case SECCOMP:
		return swtpm_seccomp_is_known(value) ? keep(&s->seccomp, value) : refuse_value(o->name, value, e);
	case FLAGS: /* any other flag starts the TPM itself, which is the firmware's task */
		return strcmp(value, "not-need-init") ? refuse_value(o->name, value, e) : 0;
	case SILENT:
		return 0;
	case LEFT_OUT:
		return leave_out(s, o->name);
	case REFUSED:
		return err_set(e, ENOTSUP, "%s (--%s)", o->why, o->name);
	}
	return 0;
}

/* The words after "swtpm socket". */
static struct walk walk_of(char *const *argv, size_t argc)
{
	return (struct walk){.argv = argv, .argc = argc, .i = argc > 1 && !strcmp(argv[1], "socket") ? 2 : argc};
}

int swtpm_read(struct swtpm *out, char *const *argv, size_t argc, struct err *e)
{
	struct walk w = walk_of(argv, argc);
	struct swtpm s = {.tpm2 = false};
	const struct option *o;
	const char *value;
	int r;

	while ((r = next(&w, &o, &value, e)) > 0 && !(r = take(&s, o, value, e)))
		;
	if (!r && (!s.socket || !s.state))
		r = err_set(e, ENOTSUP, "its command line does not say where its %s is", s.socket ? "state" : "socket");
	if (r)
		swtpm_fini(&s);
	else
		*out = s;
	return r;
}

char *swtpm_socket(char *const *argv, size_t argc)
{
	struct walk w = walk_of(argv, argc);
	struct swtpm s = {.tpm2 = false};
	const struct option *o;
	const char *value;
	struct err ignored;
	size_t before;
	int r;

	do {
		before = w.i;
		r = next(&w, &o, &value, &ignored);
		if (r > 0 && o->meaning == CTRL)
			read_ctrl(&s, value, &ignored);
	} while (r > 0 || w.i > before);
	return s.socket;
}

/* ---- writing ---- */

static void add_option(char ***words, size_t *n, const char *option, char *value)
{
	words_add(words, n, xstrdup(option));
	if (value)
		words_add(words, n, value);
}

char **swtpm_line(const struct swtpm *s, const char *exe, bool daemon)
{
	char **words = NULL;
	size_t n = 0;

	words_add(&words, &n, xstrdup(exe));
	words_add(&words, &n, xstrdup("socket"));
	add_option(&words, &n, "--tpmstate", xasprintf("dir=%s,mode=0600", s->state));
	add_option(&words, &n, "--ctrl", xasprintf("type=unixio,path=%s,mode=0600", s->socket));
	if (s->tpm2)
		add_option(&words, &n, "--tpm2", NULL);
	if (s->locality)
		add_option(&words, &n, "--locality", xstrdup(s->locality));
	if (s->seccomp)
		add_option(&words, &n, "--seccomp", xstrdup(s->seccomp));
	add_option(&words, &n, "--terminate", NULL);
	if (daemon)
		add_option(&words, &n, "--daemon", NULL);
	return words;
}

struct swtpm swtpm_copy(const struct swtpm *s)
{
	struct swtpm out = *s;

	out.socket = xstrdup(s->socket);
	out.state = xstrdup(s->state);
	out.locality = xstrdup(s->locality);
	out.seccomp = xstrdup(s->seccomp);
	out.left_out = xstrdup(s->left_out);
	return out;
}

void swtpm_fini(struct swtpm *s)
{
	FREE_ALL(s->socket, s->state, s->locality, s->seccomp, s->left_out);
	*s = (struct swtpm){.tpm2 = false};
}
