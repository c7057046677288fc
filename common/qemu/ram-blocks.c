/* ram-blocks.c: see ram-blocks.h. */
#include "ram-blocks.h"
#include "util.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The beginning of the last word but one before n, and of its blanks: NAME in "  NAME  4 KiB ". */
static size_t name_ends(const char *line, size_t n)
{
	unsigned word;

	for (word = 0; word < 2; word++) {
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

static int ask_gpa2hva(struct qmp *q, struct ram_block_place **out, size_t *count, struct err *e)
{
	AUTO_FREE char *text = NULL;
	struct ram_block_place b = {.name = "pc.ram", .used_bytes = UINT64_MAX, .max_bytes = UINT64_MAX};
	const char *at;

	if (qmp_hmp(q, "gpa2hva 0", &text, e))
		return -e->code;
	at = strstr(text, " is 0x");
	if (!at || sscanf(at, " is 0x%" SCNx64, &b.host) != 1)
		return 0;
	*out = xmalloc(sizeof(b));
	**out = b;
	*count = 1;
	return 0;
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

int ram_blocks_ask(struct qmp *q, struct ram_block_place **out, size_t *count, struct err *e)
{
	int r = ram_blocks_list(q, out, count, e);

	if (r || (*count && (*out)->host))
		return r;
	free(*out);
	*out = NULL;
	*count = 0;
	return ask_gpa2hva(q, out, count, e);
}
