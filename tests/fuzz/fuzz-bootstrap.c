/*
 * fuzz-bootstrap.c: libFuzzer on what the other end of SSH writes instead of running our script, or while it does (agent-src/ssh). There is no
 * SSH: its functions are here. The mark that answers begin with is all zeros.
 *
 * What is shown is text of one line, and nothing behind the last answer is taken.
 */
#include "seed.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

static ssize_t no_random(uint8_t *p, size_t n)
{
	memset(p, 0, n);
	return (ssize_t)n;
}

#include <sys/random.h>
#define getrandom(p, n, flags) no_random(p, n)
#include "../../agent-src/ssh/ssh-bootstrap.c"

#define MARK "vmferry-00000000000000000000000000000000 "

static struct {
	const uint8_t *p;
	size_t n;
	int end; /* the server's */
} server;

/* ---- in place of ssh.c ---- */

const char *ssh_host_text(const struct ssh *s)
{
	(void)s;
	return "root@host-b";
}

int ssh_exec(struct ssh *s, const char *command, struct ssh_proc **proc, int *fd, struct err *e)
{
	int pair[2];

	(void)s, (void)command, (void)e;
	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	require(!server.n || send(pair[1], server.p, server.n, MSG_DONTWAIT) == (ssize_t)server.n);
	shutdown(pair[1], SHUT_WR);
	*proc = NULL;
	*fd = pair[0];
	server.end = pair[1];
	return 0;
}

int ssh_wait(struct ssh_proc *p, int timeout_ms, int *status, struct err *e)
{
	(void)p, (void)timeout_ms, (void)e;
	*status = 1;
	return 0;
}

const char *ssh_stderr(const struct ssh_proc *p)
{
	(void)p;
	return "sh: not found";
}

void ssh_proc_free(struct ssh_proc *p)
{
	(void)p;
}

/* ---- */

static char binary[64]; /* a path */

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char *const args[] = {"--once", "it's", NULL};
	struct bootstrap_config cfg = {.binary = binary, .args = args, .keep = n & 1};
	struct ssh_proc *proc;
	char *where = NULL, *clean;
	struct err e;
	int fd, left, r;

	server.p = p;
	server.n = n;
	r = ssh_bootstrap(NULL, &cfg, &proc, &fd, &where, &e);
	require(!r || (r == -e.code && e.msg[0] && !where));
	if (!r) {
		clean = xstrdup(where);
		text_make_utf8(clean);
		require(!strcmp(clean, where) && !strchr(where, '\n') && strlen(where) < LINE_BYTES);
		require(!ioctl(fd, FIONREAD, &left) && (size_t)left < n);
		require(p[n - (size_t)left - 1] == '\n' || strlen(where) > LINE_BYTES / 2 || memchr(p, 0, n));
		free(clean);
		free(where);
		close(fd);
	}
	close(server.end);
	return 0;
}

/* ---- seeds ---- */

static void write_seeds(void)
{
	static const char sent[] = "Last login: today\r\n" MARK "send /root/.cache/vmferry\n" MARK "run /root/.cache/vmferry\nrest";
	static const char there[] = MARK "run /root\nrest";
	static const char refused[] = "\033[1mhello " MARK "error there is no head there\n";
	static const char noise[] = "This account is currently not available.\n";

	seed_write("there", there, sizeof(there) - 1);
	seed_write("sent", sent, sizeof(sent) - 1);
	seed_write("refused", refused, sizeof(refused) - 1);
	seed_write("noise", noise, sizeof(noise) - 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static uint8_t elf[128] = "\177ELF\2\1";
	int fd = memfd_create("vmferry-dst", MFD_CLOEXEC);

	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	elf[18] = 62;
	require(fd >= 0 && write(fd, elf, sizeof(elf)) == sizeof(elf));
	snprintf(binary, sizeof(binary), "/proc/self/fd/%d", fd);
	log_init("fuzz", LOG_LEVEL_ERROR, open("/dev/null", O_WRONLY | O_CLOEXEC));
	return 0;
}
