/*
 * exe-symbols.h: where the functions are that a running program exports (ELF's dynamic symbols), and what its file says.
 *
 * The file is /proc/PID/exe, so that it is the one which runs, though it was replaced since. It is another's, and every offset in it is checked.
 */
#ifndef VMFERRY_EXE_SYMBOLS_H
#define VMFERRY_EXE_SYMBOLS_H

#include "err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct exe_symbols {
	const uint8_t *file; /* mapped */
	size_t bytes;
	const void *symbols; /* Elf64_Sym, count of them */
	size_t count;
	const char *names;
	size_t names_bytes;
	uint64_t base; /* added to each address of the file */
};

/* -ENOEXEC: it is no 64-bit program of this machine's kind that exports symbols. On failure nothing is left open. */
int exe_symbols_open(struct exe_symbols *s, pid_t pid, struct err *e);
/* Reads a file of that name and takes it for a program loaded at base: what exe_symbols_open() does but for the process. */
int exe_symbols_read(struct exe_symbols *s, const char *path, uint64_t base, struct err *e);
void exe_symbols_close(struct exe_symbols *s);
/* The function's address in the process, and its size in bytes (size may be NULL); 0: the program exports none of that name. */
uint64_t exe_symbol(const struct exe_symbols *s, const char *name, uint64_t *size);
/* The text behind the first occurrence of before, at most 80 printable characters, malloc'ed; NULL: it does not occur. */
char *exe_text_after(const struct exe_symbols *s, const char *before);

#endif
