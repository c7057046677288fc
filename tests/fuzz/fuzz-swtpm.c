/*
 * fuzz-swtpm.c: libFuzzer on the command line of a swtpm, words that end with a NUL each: what is taken from it is within what may stand in
 * another's line, which says the same when it is read.
 */
#include "seed.h"
#include "swtpm-args.h"

#define WORDS_MAX 64

static const char all[] =
	"swtpm\0socket\0--tpmstate\0dir=/s,mode=0600\0--ctrl=type=unixio,path=/c\0--tpm2\0--locality\0reject-locality-4,"
	"allow-set-locality\0--seccomp\0action=kill\0-t\0--flags\0not-need-init\0--log\0file=/l,level=5\0--pid=file=/p\0-d";
static const char other[] = "swtpm\0socket\0--tpmstate\0backend-uri=dir:///s\0--ctrl\0type=unixio,path=/c,uid=0\0--migration\0incoming\0-r";

static void write_seeds(void)
{
	seed_write("all", all, sizeof(all));
	seed_write("other", other, sizeof(other));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}

static void read_again(struct swtpm *s)
{
	struct swtpm again;
	struct err e;
	size_t count = 0, i;
	char **line;

	free(s->state);
	s->state = xstrdup("/s"); /* ours never has a comma */
	free(s->socket);
	s->socket = xstrdup("/c");
	line = swtpm_line(s, "/usr/bin/swtpm", true);
	while (line[count])
		count++;
	require(!swtpm_read(&again, line, count, &e));
	require(again.tpm2 == s->tpm2 && again.terminates && !again.left_out && !strcmp(again.socket, "/c") && !strcmp(again.state, "/s"));
	require(!s->locality == !again.locality && !s->seccomp == !again.seccomp);
	for (i = 0; i < count; i++)
		free(line[i]);
	free(line);
	swtpm_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	AUTO_FREE char *text = xcalloc(1, n + 1);
	AUTO_FREE char *socket = NULL;
	char *argv[WORDS_MAX], *at = text;
	size_t argc = 0;
	struct swtpm s;
	struct err e;

	if (n)
		memcpy(text, p, n);
	for (; at < text + n && argc < WORDS_MAX; at += strlen(at) + 1)
		argv[argc++] = at;
	socket = swtpm_socket(argv, argc);
	if (swtpm_read(&s, argv, argc, &e))
		return 0;
	require(socket && !strcmp(socket, s.socket) && *s.state);
	require(!s.locality || swtpm_locality_is_known(s.locality));
	require(!s.seccomp || swtpm_seccomp_is_known(s.seccomp));
	read_again(&s);
	swtpm_fini(&s);
	return 0;
}
