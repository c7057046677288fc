/* ssh-prompt.c: see ssh-prompt.h. */
#include "ssh-prompt.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>

#define CTRL_C	  3
#define KNOWN_MAX 8 /* questions of one login */

bool prompt_possible(void)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Text from a remote host is shown without control characters. */
static void show(int tty, const char *text)
{
	AUTO_FREE char *clean = xstrdup(text);

	text_make_printable(clean, true);
	if (write(tty, clean, strlen(clean)) < 0)
		return;
}

static int read_line(int tty, char answer[PROMPT_MAX])
{
	size_t n = 0;
	char c;

	for (;;) {
		ssize_t r = read(tty, &c, 1);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0 || c == CTRL_C) /* Ctrl-C is not a signal here: the agent blocks signals for its loop */
			return -ECANCELED;
		if (c == '\n' || c == '\r')
			break;
		if (n < PROMPT_MAX - 1)
			answer[n++] = c;
	}
	answer[n] = '\0';
	return 0;
}

int prompt_ask(const char *question, bool echo, char answer[PROMPT_MAX], struct err *e)
{
	AUTO_CLOSE int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios before, during;
	int r;

	if (tty < 0 || tcgetattr(tty, &before))
		return err_set(e, ENOTTY, "there is no terminal to ask at");
	during = before;
	during.c_lflag &= ~(tcflag_t)(ISIG | (echo ? 0 : ECHO));
	during.c_lflag |= ICANON;
	during.c_cc[VEOL] = CTRL_C; /* ends the line at once, as no signal does */
	tcsetattr(tty, TCSAFLUSH, &during);
	show(tty, question);
	r = read_line(tty, answer);
	tcsetattr(tty, TCSAFLUSH, &before);
	if (!echo)
		show(tty, "\n");
	if (r)
		prompt_wipe(answer, PROMPT_MAX);
	return r ? err_set(e, -r, "cancelled at the terminal") : 0;
}

void prompt_wipe(void *p, size_t n)
{
	explicit_bzero(p, n);
}

/* ---- answers that were right ---- */

static struct known {
	char *question;
	char answer[PROMPT_MAX];
	bool is_right;
} known[KNOWN_MAX];
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;

static void forget(struct known *k)
{
	free(k->question);
	prompt_wipe(k, sizeof(*k));
}

static struct known *find(const char *question)
{
	for (size_t i = 0; i < KNOWN_MAX; i++)
		if (known[i].question && !strcmp(known[i].question, question))
			return &known[i];
	return NULL;
}

static struct known *find_free(void)
{
	for (size_t i = 0; i < KNOWN_MAX; i++)
		if (!known[i].question)
			return &known[i];
	return NULL;
}

bool prompt_recall(const char *question, char answer[PROMPT_MAX])
{
	const struct known *k;
	bool yes;

	pthread_mutex_lock(&known_lock);
	k = find(question);
	yes = k && k->is_right;
	if (yes)
		memcpy(answer, k->answer, PROMPT_MAX);
	pthread_mutex_unlock(&known_lock);
	return yes;
}

bool prompt_knows(void)
{
	bool yes = false;

	pthread_mutex_lock(&known_lock);
	for (size_t i = 0; i < KNOWN_MAX; i++)
		yes |= known[i].question && known[i].is_right;
	pthread_mutex_unlock(&known_lock);
	return yes;
}

void prompt_hold(const char *question, const char *answer)
{
	struct known *k;

	pthread_mutex_lock(&known_lock);
	k = find(question);
	if (k)
		forget(k);
	k = find_free();
	if (k) {
		k->question = xstrdup(question);
		snprintf(k->answer, sizeof(k->answer), "%s", answer);
	}
	pthread_mutex_unlock(&known_lock);
}

static void settle(bool is_right)
{
	pthread_mutex_lock(&known_lock);
	for (size_t i = 0; i < KNOWN_MAX; i++) {
		if (known[i].question && !known[i].is_right && !is_right)
			forget(&known[i]);
		else if (known[i].question)
			known[i].is_right = true;
	}
	pthread_mutex_unlock(&known_lock);
}

void prompt_accepted(void)
{
	settle(true);
}

void prompt_refused(void)
{
	settle(false);
}
