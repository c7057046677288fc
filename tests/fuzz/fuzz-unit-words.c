/*
 * fuzz-unit-words.c: libFuzzer on units of systemd (agent-src/guest): settings, words, specifiers, and variables with their files. A part is divided
 * from the next by a zero: a unit, and a file of its environment.
 */
#include "../../agent-src/guest/unit-words.h"
#include "seed.h"

static const struct unit_names names = {.unit = "vm@web.service", .home = "/root", .runtime_dir = "/run", .user = "root", .host = "h"};

static void expand(const struct unit_word_list *w, const struct kv_list *env)
{
	struct unit_word_list out;
	struct err e;
	size_t i;

	if (!unit_expand(&out, w, env, &e))
		for (i = 0; i < out.n; i++)
			require(out.v[i]);
	unit_words_fini(&out);
}

static void read_value(const char *value, struct kv_list *env)
{
	struct unit_word_list w;
	struct err e;
	size_t i;

	unit_environment(env, value, &names, &e);
	if (!unit_split(&w, value, &e))
		expand(&w, env);
	for (i = 0; i < w.n; i++) {
		AUTO_FREE char *plain = unit_specifiers(w.v[i], &names, &e);

		require(strchr(w.v[i], '%') || (plain && !strcmp(plain, w.v[i])));
	}
	unit_words_fini(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	AUTO_FREE char *text = xcalloc(1, n + 2);
	struct kv_list l = {.n = 0}, env = {.n = 0};
	struct err e;
	size_t i;

	memcpy(text, p, n);
	unit_environment_text(&env, text + strlen(text) + 1, &e);
	unit_parse(&l, text, &e);
	for (i = 0; i < l.n; i++)
		read_value(l.v[i].value, &env);
	kv_fini(&l);
	kv_fini(&env);
	return 0;
}

static const char seed[] =
	"[Service]\nEnvironment=A=1 \"B=c d\"\nExecStart=/q -name %i \\\n # c\n -m ${A} $B 'x \\x41\\101' \\; 100%% $$\n\0A=2\nC='e f'\nD=\"g\"\n";

ONE_SEED(seed)
