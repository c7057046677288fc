/* scratch.c: see scratch.h. */
#include "scratch.h"
#include "program.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st, (void)kind, (void)where;
	remove(path);
	return 0;
}

void folder_remove(const char *folder)
{
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int scratch_image(const char *path, uint64_t bytes, bool *direct)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), trial = -1;

	if (fd < 0 || ftruncate(fd, (off_t)bytes))
		return -errno;
	trial = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	*direct = trial >= 0;
	return 0;
}

void scratch_tail(const char *path, char *text, size_t room)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t n = fd < 0 ? 0 : pread(fd, text, room - 1, size > (off_t)room - 1 ? size - (off_t)room + 1 : 0);

	text[n > 0 ? n : 0] = '\0';
}

pid_t scratch_spawn(char *const *argv, int out_fd, const char *log)
{
	AUTO_CLOSE int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct program p = PROGRAM_NONE;

	if (log_fd < 0 || null < 0)
		return -errno;
	p.file = argv[0];
	p.argv = argv;
	p.fd[0] = null;
	p.fd[1] = out_fd < 0 ? log_fd : out_fd;
	p.fd[2] = log_fd;
	p.how = PROGRAM_OWN_SESSION | PROGRAM_DIES_WITH_US;
	return program_begin(&p);
}
