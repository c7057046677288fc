/* detach.c: see detach.h. */
#include "detach.h"
#include "exit-code.h"
#include "output.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int detach_pipe = -1;

/* Detaches from the terminal, once all checks have passed. */
static void go_to_background(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	output_flush(OUTPUT_EXIT_MS);
	setsid();
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	close(null);
	if (write(detach_pipe, "", 1) < 0)
		return;
	close(detach_pipe);
}

static int wait_for_child(pid_t pid, int fd, const char *vm)
{
	char byte;
	int status;

	if (read(fd, &byte, 1) == 1) {
		fprintf(stderr, "the move goes on in the background: vmferry status %s --follow\n", vm);
		return 0;
	}
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		return WEXITSTATUS(status);
	return EXIT_UNDECIDED;
}

int detach_run(struct move_options *o, int (*run)(struct move_options *o))
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) || (pid = fork()) < 0) {
		perror("vmferry");
		return EXIT_REFUSED;
	}
	if (pid) {
		close(fds[1]);
		return wait_for_child(pid, fds[0], o->vm);
	}
	close(fds[0]);
	detach_pipe = fds[1];
	o->prepared = go_to_background;
	return run(o);
}
