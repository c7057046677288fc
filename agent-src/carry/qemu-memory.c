/* qemu-memory.c: see qemu-memory.h. The pagemap: Documentation/admin-guide/mm/pagemap.rst of Linux. */
#include "qemu-memory.h"
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_SWAPPED (1ULL << 62)

int qemu_memory_open(struct qemu_memory *m, pid_t pid, struct err *e)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	m->pid = pid;
	m->pagemap_fd = open(path, O_RDONLY | O_CLOEXEC);
	return m->pagemap_fd < 0 ? err_sys(e, errno, "cannot see which of QEMU's pages are in memory") : 0;
}

void qemu_memory_close(struct qemu_memory *m)
{
	if (m->pagemap_fd >= 0)
		close(m->pagemap_fd);
	m->pagemap_fd = -1;
}

int qemu_memory_present(const struct qemu_memory *m, uint64_t host, unsigned pages, bool out[MEMORY_PIECE_PAGES],
			bool swapped[MEMORY_PIECE_PAGES], struct err *e)
{
	uint64_t entry[MEMORY_PIECE_PAGES] = {0};
	ssize_t n = pread(m->pagemap_fd, entry, pages * sizeof(*entry), (off_t)(host / PAGE_BYTES * sizeof(*entry)));

	if (n < 0)
		return err_sys(e, errno, "cannot see which of QEMU's pages are in memory");
	for (unsigned i = 0; i < pages; i++) {
		out[i] = entry[i] & PAGEMAP_PRESENT;
		if (swapped)
			swapped[i] = entry[i] & PAGEMAP_SWAPPED;
	}
	return 0;
}

static bool is_readable(const struct qemu_memory *m, uint64_t host, uint8_t *to)
{
	struct iovec local = {to, PAGE_BYTES}, remote = {(void *)(uintptr_t)host, PAGE_BYTES};

	return process_vm_readv(m->pid, &local, 1, &remote, 1, 0) == (ssize_t)PAGE_BYTES;
}

int qemu_memory_read(const struct qemu_memory *m, uint64_t host, unsigned pages, bool wanted[MEMORY_PIECE_PAGES], uint8_t *to,
		     struct err *e)
{
	struct iovec local[MEMORY_PIECE_PAGES], remote[MEMORY_PIECE_PAGES];
	unsigned i, n = 0, runs = 0;
	ssize_t got;

	for (i = 0; i < pages; i++) {
		if (!wanted[i])
			continue;
		if (!i || !wanted[i - 1]) {
			local[runs] = (struct iovec){to + (size_t)i * PAGE_BYTES, 0};
			remote[runs++] = (struct iovec){(void *)(uintptr_t)(host + (uint64_t)i * PAGE_BYTES), 0};
		}
		local[runs - 1].iov_len += PAGE_BYTES;
		remote[runs - 1].iov_len += PAGE_BYTES;
		n++;
	}
	got = runs ? process_vm_readv(m->pid, local, runs, remote, runs, 0) : 0;
	if (got < 0 && errno != EFAULT)
		return err_sys(e, errno, "QEMU's memory cannot be read from outside");
	if (got == (ssize_t)(n * PAGE_BYTES))
		return 0;
	for (i = 0; i < pages; i++) /* the read ended at a page that has gone meanwhile */
		wanted[i] = wanted[i] && is_readable(m, host + (uint64_t)i * PAGE_BYTES, to + (size_t)i * PAGE_BYTES);
	return 0;
}
