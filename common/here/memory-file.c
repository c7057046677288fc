/* memory-file.c: see memory-file.h. */
#include "memory-file.h"
#include "process.h"
#include "same-file.h"

bool memory_file_is_shared(const struct args_file *f, const char *path)
{
	return args_role_is_memory(f->role) && !f->read_only && !path_is_directory(path);
}

pid_t memory_file_user(const struct args_file *f, const char *path)
{
	return memory_file_is_shared(f, path) ? process_that_opened(path, 0) : 0;
}
