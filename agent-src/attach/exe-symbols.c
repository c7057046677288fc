/* exe-symbols.c: see exe-symbols.h. */
#include "exe-symbols.h"
#include "processor.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define FILE_MAX_BYTES (1ULL << 30)
#define TEXT_MAX       80

/* n items of size bytes at offset lie in the file. */
static bool is_inside(const struct exe_symbols *s, uint64_t offset, uint64_t n, uint64_t size)
{
	return offset <= s->bytes && (!size || n <= (s->bytes - offset) / size);
}

static const Elf64_Ehdr *header_of(const struct exe_symbols *s)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)s->file;

	return s->bytes >= sizeof(*h) && !memcmp(h->e_ident, ELFMAG, SELFMAG) && h->e_ident[EI_CLASS] == ELFCLASS64 &&
			       h->e_machine == PROCESSOR_ELF
		       ? h
		       : NULL;
}

/* Takes the section of dynamic symbols, with the strings that it names. */
static bool take_symbols(struct exe_symbols *s, const Elf64_Ehdr *h)
{
	const Elf64_Shdr *sections, *names;
	size_t i;

	if (h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shoff % sizeof(uint64_t) ||
	    !is_inside(s, h->e_shoff, h->e_shnum, sizeof(Elf64_Shdr)))
		return false;
	sections = (const Elf64_Shdr *)(s->file + h->e_shoff);
	for (i = 0; i < h->e_shnum && sections[i].sh_type != SHT_DYNSYM; i++)
		;
	if (i == h->e_shnum || sections[i].sh_link >= h->e_shnum || sections[i].sh_offset % sizeof(uint64_t))
		return false;
	names = &sections[sections[i].sh_link];
	s->count = sections[i].sh_size / sizeof(Elf64_Sym);
	if (!is_inside(s, sections[i].sh_offset, s->count, sizeof(Elf64_Sym)) || !is_inside(s, names->sh_offset, names->sh_size, 1) ||
	    !names->sh_size || s->file[names->sh_offset + names->sh_size - 1])
		return false;
	s->symbols = s->file + sections[i].sh_offset;
	s->names = (const char *)s->file + names->sh_offset;
	s->names_bytes = names->sh_size;
	return true;
}

static int map_file(struct exe_symbols *s, const char *path, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	void *at;

	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, errno, "cannot read the program %s", path);
	if (!S_ISREG(st.st_mode) || !st.st_size || (uint64_t)st.st_size > FILE_MAX_BYTES)
		return err_set(e, ENOEXEC, "%s is not a program", path);
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (at == MAP_FAILED)
		return err_sys(e, errno, "cannot read the program %s", path);
	s->file = at;
	s->bytes = (size_t)st.st_size;
	return 0;
}

int exe_symbols_read(struct exe_symbols *s, const char *path, uint64_t base, struct err *e)
{
	const Elf64_Ehdr *h;
	int r;

	*s = (struct exe_symbols){.base = base};
	r = map_file(s, path, e);
	if (r)
		return r;
	h = header_of(s);
	if (h && take_symbols(s, h))
		return 0;
	exe_symbols_close(s);
	return err_set(e, ENOEXEC, "%s is not a program of this machine's kind that exports its functions", path);
}

/* Address of the program's first instruction: the entry AT_ENTRY of /proc/PID/auxv. 0: it cannot be told. */
static uint64_t entry_of(pid_t pid)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/auxv", (int)pid);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf64_auxv_t all[64];
	ssize_t n = fd < 0 ? -1 : read(fd, all, sizeof(all));

	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(all[0]); i++)
		if (all[i].a_type == AT_ENTRY)
			return all[i].a_un.a_val;
	return 0;
}

int exe_symbols_open(struct exe_symbols *s, pid_t pid, struct err *e)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/exe", (int)pid);
	uint64_t entry = entry_of(pid), in_file;
	int r = exe_symbols_read(s, path, 0, e);

	if (r)
		return r;
	in_file = header_of(s)->e_entry;
	if (entry >= in_file) {
		s->base = entry - in_file;
		return 0;
	}
	exe_symbols_close(s);
	return err_set(e, EACCES, "cannot tell where process %d has its program in memory (/proc/%d/auxv)", (int)pid, (int)pid);
}

void exe_symbols_close(struct exe_symbols *s)
{
	if (s->file)
		munmap((void *)s->file, s->bytes);
	*s = (struct exe_symbols){.file = NULL};
}

uint64_t exe_symbol(const struct exe_symbols *s, const char *name, uint64_t *size)
{
	const Elf64_Sym *all = s->symbols;

	for (size_t i = 0; i < s->count; i++) {
		if (ELF64_ST_TYPE(all[i].st_info) != STT_FUNC || !all[i].st_value || all[i].st_name >= s->names_bytes ||
		    strcmp(s->names + all[i].st_name, name))
			continue;
		if (size)
			*size = all[i].st_size;
		return s->base + all[i].st_value;
	}
	return 0;
}

char *exe_text_after(const struct exe_symbols *s, const char *before)
{
	const uint8_t *at = memmem(s->file, s->bytes, before, strlen(before));
	size_t n = 0;

	if (!at)
		return NULL;
	at += strlen(before);
	while (n < TEXT_MAX && at + n < s->file + s->bytes && at[n] >= ' ' && at[n] < 0x7f)
		n++;
	return xstrndup((const char *)at, n);
}
