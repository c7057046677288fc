/* scratch.h: folders, images and programs that a measurement creates on a host and removes. For both programs of the bench. */
#ifndef VMFERRY_SCRATCH_H
#define VMFERRY_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Removes the folder with its contents. */
void folder_remove(const char *folder);
/* Makes an empty file of that size. *direct: its file system takes O_DIRECT. 0, or -errno. */
int scratch_image(const char *path, uint64_t bytes, bool *direct);
/* The end of a file; "": it cannot be read. */
void scratch_tail(const char *path, char *text, size_t room);
/* Starts a program in a session of its own, which ends with the calling thread. log: what it says on stderr is added there, and with out_fd
 * -1 what it says on stdout. Its pid, or -errno. */
pid_t scratch_spawn(char *const *argv, int out_fd, const char *log);

#endif
