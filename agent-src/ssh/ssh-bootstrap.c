/* ssh-bootstrap.c: see ssh-bootstrap.h. */
#include "log.h"
#include "hex.h"
#include "processor.h"
#include "shell-quote.h"
#include "ssh-bootstrap.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#define BINARY_MAX (64 * MIB)
#define LINE_BYTES 4096
#define NOISE_MAX  (256 * KIB) /* limit for a login shell's output before our script runs */
#define ANSWER_MS  60000       /* time for each answer, and for each piece of the upload */
#define END_MS	   5000
#define OLD_DAYS   "14"

/*
 * Before it: mark, sum, short, bytes, keep, and the program's arguments as "$@". Each line that begins with $mark is an
 * answer: "error TEXT", "send DIRECTORY", "run DIRECTORY". Whatever else comes before the last of them is noise.
 */
/* clang-format off */
static const char script[] =
	"say() { printf '%s %s\\n' \"$mark\" \"$*\"; }\n"
	"stop() { say error \"$*\"; exit 1; }\n"
	"umask 077\n"
	"PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin\n"
	"it=$(uname -s)/$(uname -m)\n"
	"[ \"$it\" = Linux/" PROCESSOR_NAME " ] || stop \"it is $it there, but the program is for Linux/" PROCESSOR_NAME "\"\n"
	"for tool in sha256sum head id ls df chmod mkdir mv rm find readlink; do\n"
	"	command -v \"$tool\" >/dev/null 2>&1 || stop \"there is no $tool there\"\n"
	"done\n"
	"me=$(id -u) why= reasons= found= temporary=\n"
	/* a file or directory (TYPE - or d) of ours, that nobody else may touch */
	"ours() { # PATH TYPE\n"
	"	case $(ls -ldn \"$1\" 2>/dev/null) in \"$2\"rwx------*) ;; *) return 1 ;; esac\n"
	"	[ -n \"$(find \"$1\" -prune -user \"$me\" 2>/dev/null)\" ]\n"
	"}\n"
	/* True if no directory on the path lets another user replace the file. */
	"guarded() { # DIRECTORY\n"
	"	at=$(cd \"$1\" && pwd -P) || return 1\n"
	"	while [ \"$at\" ]; do\n"
	"		at=${at%/*}\n"
	"		[ -n \"$(find \"${at:-/}\" -prune \\( -user 0 -o -user \"$me\" \\) \\\n"
	"			\\( -perm -1000 -o ! -perm -020 ! -perm -002 \\) 2>/dev/null)\" ] || return 1\n"
	"	done\n"
	"}\n"
	"usable() { # DIRECTORY\n"
	"	why='a symbolic link'\n"
	"	[ ! -h \"$1\" ] || return 1\n"
	"	mkdir -p \"$1\" 2>/dev/null\n"
	"	why='cannot be made'\n"
	"	[ -d \"$1\" ] || return 1\n"
	"	why='owned by another user'\n"
	"	[ -n \"$(find \"$1\" -prune -user \"$me\" 2>/dev/null)\" ] || return 1\n"
	"	chmod 700 \"$1\" 2>/dev/null\n"
	"	ours \"$1\" d || return 1\n"
	"	why='below a directory that others may change'\n"
	"	guarded \"$1\" || return 1\n"
	"	try=$1/.vmferry-try.$$\n"
	"	why='cannot be written'\n"
	"	{ printf '#!/bin/sh\\nexit 0\\n' >\"$try\"; } 2>/dev/null || { rm -f \"$try\"; return 1; }\n"
	"	why='programs may not be executed there'\n"
	"	chmod 700 \"$try\" && \"$try\" 2>/dev/null\n"
	"	set -- $?\n"
	"	rm -f \"$try\"\n"
	"	return \"$1\"\n"
	"}\n"
	"room() { # DIRECTORY\n"
	"	free=$(df -Pk \"$1\" 2>/dev/null | { read -r _; read -r _ _ _ n _; echo \"$n\"; })\n"
	"	why=\"only ${free:-0} KiB are free\"\n"
	"	[ \"${free:-0}\" -gt $((bytes / 1024 + 64)) ]\n"
	"}\n"
	"good() { # FILE\n"
	"	[ -f \"$1\" ] && [ ! -h \"$1\" ] && ours \"$1\" - || return 1\n"
	"	is=$(sha256sum <\"$1\") && [ \"${is%% *}\" = \"$sum\" ]\n"
	"}\n"
	"take() { # DIRECTORY: returns 0 when it is the one\n"
	"	dir=$1 found=\n"
	"	if usable \"$dir\"; then\n"
	"		good \"$dir/vmferry-dst-$short\" && found=yes && return\n"
	"		room \"$dir\" && return\n"
	"	fi\n"
	"	reasons=\"$reasons$dir: $why; \"\n"
	"	rmdir \"$dir\" 2>/dev/null\n"
	"	return 1\n"
	"}\n"
	"pick() {\n"
	"	[ -n \"${XDG_CACHE_HOME:-$HOME}\" ] && take \"${XDG_CACHE_HOME:-$HOME/.cache}/vmferry\" && return\n"
	"	[ -n \"${XDG_RUNTIME_DIR:-}\" ] && take \"$XDG_RUNTIME_DIR/vmferry-bin\" && return\n"
	"	[ \"$me\" = 0 ] && take /var/cache/vmferry && return\n"
	"	temporary=$(mktemp -d \"${TMPDIR:-/tmp}/vmferry.XXXXXXXXXX\" 2>/dev/null) || {\n"
	"		reasons=\"$reasons${TMPDIR:-/tmp}: cannot be written; \"\n"
	"		return 1\n"
	"	}\n"
	"	keep=\n"
	"	take \"$temporary\"\n"
	"}\n"
	"pick || stop \"no directory there can hold the program: ${reasons%; }\"\n"
	"file=$dir/vmferry-dst-$short\n"
	"[ -n \"$found$keep\" ] || file=$file.$$\n"
	"if [ -z \"$found\" ]; then\n"
	"	tmp=$dir/.vmferry-dst.$$\n"
	"	trap 'rm -f \"$tmp\"; [ -z \"$temporary\" ] || rmdir \"$temporary\" 2>/dev/null' EXIT\n"
	"	trap 'exit 1' HUP INT TERM PIPE\n"
	"	rm -f \"$tmp\" \"$file\" || stop \"$file is in the way\"\n"
	"	say send \"$dir\"\n"
	"	wrong=$(head -c \"$bytes\" 2>&1 >\"$tmp\") || stop \"the program cannot be written to $dir: $wrong\"\n"
	"	chmod 700 \"$tmp\"\n"
	"	good \"$tmp\" || stop \"the program arrived damaged in $dir\"\n"
	"	mv -f \"$tmp\" \"$file\" || stop \"$file cannot be made\"\n"
	"	trap - EXIT INT TERM PIPE\n"
	"fi\n"
	"for old in \"$dir\"/vmferry-dst-* \"$dir\"/.vmferry-*; do\n"
	"	[ \"$old\" = \"$file\" ] || [ -h \"$old\" ] || [ ! -f \"$old\" ] ||\n"
	"		find \"$old\" -prune -mtime +" OLD_DAYS " -exec rm -f {} \\; 2>/dev/null\n"
	"done\n"
	/* An orphan that waits until this process is no shell any more. */
	"if [ -z \"$found$keep\" ]; then\n"
	"	shell=$(readlink /proc/$$/exe)\n"
	"	( ( n=0\n"
	"	    while [ $n -lt 200 ] && [ \"$(readlink /proc/$$/exe)\" = \"$shell\" ]; do\n"
	"		n=$((n + 1)); sleep 0.05 || sleep 1\n"
	"	    done\n"
	"	    rm -f \"$file\"; rmdir \"$dir\" ) & ) </dev/null >/dev/null 2>&1\n"
	"fi\n"
	"trap '' HUP\n"
	"say run \"$dir\"\n"
	"exec \"$file\" \"$@\"\n";
/* clang-format on */

struct upload {
	struct ssh *ssh;
	struct ssh_proc *proc;
	int fd;
	char mark[48];
	char noise[256]; /* the first line that was not ours */
	const uint8_t *data;
	size_t n;
};

/* ---- here ---- */

static int read_binary(const char *path, uint8_t **out, size_t *n, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	AUTO_FREE uint8_t *data = NULL;

	if (size < 0)
		return err_sys(e, errno, "%s", path);
	if (size < 64 || (uint64_t)size > BINARY_MAX)
		return err_set(e, EINVAL, "%s is no program that could be sent: %lld bytes", path, (long long)size);
	data = xmalloc((size_t)size);
	if (pread(fd, data, (size_t)size, 0) != size)
		return err_set(e, EIO, "%s cannot be read", path);
	if (memcmp(data, "\177ELF\2\1", 6) || data[18] != PROCESSOR_ELF || data[19] != 0) /* elf(5): 64 bits, LSB; e_machine */
		return err_set(e, EINVAL, "%s is not a program for " PROCESSOR_NAME " Linux", path);
	*n = (size_t)size;
	*out = data;
	data = NULL;
	return 0;
}

/* Variables, arguments and script, as one text. */
static char *whole_script(const struct upload *u, const struct bootstrap_config *cfg)
{
	char *text, sum_hex[65];
	uint8_t sum[32];

	EVP_Digest(u->data, u->n, sum, NULL, EVP_sha256(), NULL);
	hex_format(sum, sizeof(sum), sum_hex);
	text = xasprintf("mark=%s sum=%s short=%.16s bytes=%zu keep=%s\nset --", u->mark, sum_hex, sum_hex, u->n, cfg->keep ? "yes" : "");
	for (size_t i = 0; cfg->args && cfg->args[i]; i++) {
		AUTO_FREE char *quoted = shell_quote(cfg->args[i]);
		char *longer = xasprintf("%s %s", text, quoted);

		free(text);
		text = longer;
	}
	{
		AUTO_FREE char *head = text;

		return xasprintf("%s\n%s", head, script);
	}
}

/* ---- talking to it ---- */

/* Reports why the login shell has ended instead of answering, as well as that is known. */
static int no_answer(struct upload *u, struct err *e)
{
	struct err ended;
	int status = 0;

	if (ssh_wait(u->proc, END_MS, &status, &ended))
		return err_set(e, ended.code, "%s: %s", ssh_host_text(u->ssh), ended.msg);
	return err_set(e, EPROTO, "%s: the login shell does not run our script in sh (exit status %d)%s%s%s%s", ssh_host_text(u->ssh),
		       status, *u->noise || *ssh_stderr(u->proc) ? ": " : "", u->noise, *u->noise && *ssh_stderr(u->proc) ? "; " : "",
		       ssh_stderr(u->proc));
}

/* Reads exactly one line from the stream; a longer one comes in pieces. */
static int read_line(struct upload *u, char line[LINE_BYTES], struct err *e)
{
	struct pollfd p = {.fd = u->fd, .events = POLLIN};
	size_t have = 0;

	while (have < LINE_BYTES - 1) {
		ssize_t r;
		char *nl;

		if (poll(&p, 1, ANSWER_MS) == 0)
			return err_set(e, ETIMEDOUT, "%s does not answer for %d s", ssh_host_text(u->ssh), ANSWER_MS / 1000);
		r = recv(u->fd, line + have, LINE_BYTES - 1 - have, MSG_PEEK);
		if (r <= 0)
			return no_answer(u, e);
		nl = memchr(line + have, '\n', (size_t)r);
		if (nl)
			r = nl + 1 - (line + have);
		r = recv(u->fd, line + have, (size_t)r, 0);
		if (r <= 0)
			return no_answer(u, e);
		have += (size_t)r;
		if (nl)
			break;
	}
	line[have] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	text_make_utf8(line);
	return 0;
}

/* The next answer, without its mark. */
static int read_answer(struct upload *u, char line[LINE_BYTES], struct err *e)
{
	size_t mark = strlen(u->mark), noise = 0;
	int r;

	for (;;) {
		char *at;

		r = read_line(u, line, e);
		if (r)
			return r;
		at = strstr(line, u->mark); /* noise may lack its newline */
		if (at && at[mark] == ' ') {
			memmove(line, at + mark + 1, strlen(at + mark + 1) + 1);
			return strncmp(line, "error ", 6) ? 0 : err_set(e, EPROTO, "%s: %s", ssh_host_text(u->ssh), line + 6);
		}
		if (!*u->noise)
			snprintf(u->noise, sizeof(u->noise), "%s", line);
		text_make_utf8(u->noise);
		noise += strlen(line) + 1;
		if (noise > NOISE_MAX)
			return err_set(e, EPROTO, "%s: the login shell writes too much: %s …", ssh_host_text(u->ssh), u->noise);
	}
}

/* Sends until everything is sent, or until the script answers, which then is the reason for a failure. */
static int send_all(struct upload *u, const void *data, size_t n, struct err *e)
{
	const uint8_t *at = data;

	while (n) {
		struct pollfd p = {.fd = u->fd, .events = POLLIN | POLLOUT};
		ssize_t r;

		if (poll(&p, 1, ANSWER_MS) == 0)
			return err_set(e, ETIMEDOUT, "%s takes nothing for %d s", ssh_host_text(u->ssh), ANSWER_MS / 1000);
		if (p.revents & POLLIN)
			return 0;
		r = send(u->fd, at, MIN(n, 64 * KIB), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r < 0 && errno == EAGAIN)
			continue;
		if (r < 0)
			break; /* input closed: the output before its end is still to be read */
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

/* Noise of the login shell may come at any time, so the script goes whatever there is to be read. */
static void send_script(struct upload *u, const char *text)
{
	size_t left = strlen(text);

	while (left) { /* less than a socket's buffer */
		ssize_t r = send(u->fd, text, left, MSG_NOSIGNAL);

		if (r < 0)
			return; /* ended already: its output is still to be read */
		text += r;
		left -= (size_t)r;
	}
}

static int converse(struct upload *u, const char *text, char **where, struct err *e)
{
	AUTO_FREE char *line = xmalloc(LINE_BYTES);
	int r;

	send_script(u, text);
	r = read_answer(u, line, e);
	if (!r && !strncmp(line, "send ", 5)) {
		log_info("sending vmferry-dst, %zu bytes, to %s:%s", u->n, ssh_host_text(u->ssh), line + 5);
		r = send_all(u, u->data, u->n, e) ?: read_answer(u, line, e);
	}
	if (r)
		return r;
	if (strncmp(line, "run ", 4))
		return err_set(e, EPROTO, "%s: unexpected answer: %s", ssh_host_text(u->ssh), line);
	if (where)
		*where = xstrdup(line + 4);
	return 0;
}

int ssh_bootstrap(struct ssh *s, const struct bootstrap_config *cfg, struct ssh_proc **proc, int *fd, char **where, struct err *e)
{
	struct upload u = {.ssh = s, .fd = -1};
	AUTO_FREE uint8_t *data = NULL;
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *command = NULL;
	uint8_t random[16];
	int r = read_binary(cfg->binary, &data, &u.n, e);

	if (r)
		return r;
	u.data = data;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		abort();
	snprintf(u.mark, sizeof(u.mark), "vmferry-");
	hex_format(random, sizeof(random), u.mark + strlen(u.mark));
	text = whole_script(&u, cfg);
	/* Between single quotes this is the same in sh, csh and fish. dd takes no byte too many. */
	command = xasprintf("sh -c 'eval \"$(dd bs=1 count=%zu 2>/dev/null)\"'", strlen(text));
	r = ssh_exec(s, command, &u.proc, &u.fd, e);
	if (r)
		return r;
	r = converse(&u, text, where, e);
	if (r) {
		ssh_proc_free(u.proc);
		close(u.fd);
		return r;
	}
	*proc = u.proc;
	*fd = u.fd;
	return 0;
}
