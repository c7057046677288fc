/* ram-blocks.c: see ram-blocks.h. */
#include "ram-blocks.h"
#include "log.h"
#include "ram-find.h"
#include "util.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The beginning of the last word but one before n, and of its blanks: NAME in "  NAME  4 KiB ". */
static size_t name_ends(const char *line, size_t n)
{
	for (unsigned word = 0; word < 2; word++) {
		while (n && line[n - 1] == ' ')
			n--;
		while (n && line[n - 1] != ' ')
			n--;
	}
	while (n && line[n - 1] == ' ')
		n--;
	return n;
}

/* NAME PSIZE OFFSET USED TOTAL HVA RO (7.2: no HVA), sizes in hex; names may hold spaces, never two in a row. */
static bool parse_line(const char *line, struct ram_block_place *b)
{
	const char *hex = strstr(line, " 0x");
	size_t n;

	if (!hex ||
	    sscanf(hex, " 0x%" SCNx64 " 0x%" SCNx64 " 0x%" SCNx64 " 0x%" SCNx64, &b->offset, &b->used_bytes, &b->max_bytes, &b->host) < 3)
		return false;
	n = name_ends(line, (size_t)(hex - line));
	while (n && *line == ' ') {
		line++;
		n--;
	}
	if (!n || n >= sizeof(b->name))
		return false;
	memcpy(b->name, line, n);
	b->name[n] = '\0';
	return true;
}

int ram_blocks_list(struct qmp *q, struct ram_block_place **out, size_t *count, struct err *e)
{
	AUTO_FREE char *text = NULL;
	struct ram_block_place b;
	char *line, *save = NULL;

	*out = NULL;
	*count = 0;
	if (qmp_hmp(q, "info ramblock", &text, e))
		return -e->code;
	for (line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
		b.host = 0;
		if (*count == RAM_BLOCKS_MAX || !parse_line(line, &b))
			continue;
		*out = xrealloc(*out, (*count + 1) * sizeof(b));
		(*out)[(*count)++] = b;
	}
	return 0;
}

/* The main memory of a PC, at the guest's address 0. */
static uint64_t ask_gpa2hva(struct qmp *q)
{
	AUTO_FREE char *text = NULL;
	struct err ignored;
	uint64_t host = 0;
	const char *at;

	if (qmp_hmp(q, "gpa2hva 0", &text, &ignored))
		return 0;
	at = strstr(text, " is 0x");
	return at && sscanf(at, " is 0x%" SCNx64, &host) == 1 ? host : 0;
}

int ram_blocks_ask(struct qmp *q, pid_t pid, struct ram_block_place **out, size_t *count, struct err *e)
{
	struct err why;
	int r = ram_blocks_list(q, out, count, e);

	if (r || (*count && (*out)->host))
		return r;
	if (ram_find(pid, *out, *count, &why))
		log_info("%s", why.msg);
	for (size_t i = 0; i < *count; i++) {
		if (!(*out)[i].host && !strcmp((*out)[i].name, "pc.ram"))
			(*out)[i].host = ask_gpa2hva(q);
		(*out)[i].is_found = true;
	}
	return 0;
}

size_t ram_blocks_placed(struct ram_block_place *blocks, size_t count)
{
	size_t i, n = 0;

	for (i = 0; i < count; i++)
		if (blocks[i].host)
			blocks[n++] = blocks[i];
	return n;
}

bool ram_block_may_be_resized(const char *name)
{
	return !strncmp(name, "/rom@", 5);
}

const struct ram_block_place *ram_blocks_missing(const struct ram_block_place *blocks, size_t count)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < count; i++) {
		if (!blocks[i].host || ram_block_may_be_resized(blocks[i].name))
			bytes += MIN(blocks[i].max_bytes, RAM_BLOCKS_SMALL + 1);
		if (bytes > RAM_BLOCKS_SMALL)
			return &blocks[i];
	}
	return NULL;
}
