/* rom-sizes.c: see rom-sizes.h. */
#include "rom-sizes.h"
#include "ram-blocks.h"
#include "util.h"

#include <string.h>

static const char bios[] = "pc.bios";

static bool is_rom(const char *name)
{
	static const char ending[] = ".rom";
	size_t n = strlen(name), m = strlen(ending);

	return !strcmp(name, bios) || (n > m && !strcmp(name + n - m, ending));
}

int rom_sizes_ask(struct qmp *q, json_t **sizes, struct err *e)
{
	AUTO_FREE struct ram_block_place *told = NULL;
	size_t n, i;
	int r = ram_blocks_list(q, &told, &n, e);

	if (r)
		return r;
	*sizes = json_object();
	for (i = 0; i < n; i++)
		if (is_rom(told[i].name) && text_is_utf8(told[i].name) && told[i].used_bytes <= INT64_MAX)
			json_object_set_new(*sizes, told[i].name, json_integer((json_int_t)told[i].used_bytes));
	return 0;
}

char *rom_sizes_misfit(const json_t *used, const json_t *there, bool without_bios)
{
	const char *name;
	json_t *size;

	json_object_foreach((json_t *)used, name, size) {
		json_int_t has = json_integer_value(size), other = json_integer_value(json_object_get(there, name));
		AUTO_FREE char *shown = NULL;

		if (has <= 0 || other <= 0 || has == other || !is_rom(name) || (without_bios && !strcmp(name, bios)))
			continue;
		shown = text_shown(name);
		return xasprintf("the guest has a ROM of %" JSON_INTEGER_FORMAT " bytes (%s), and that QEMU's is of %" JSON_INTEGER_FORMAT
				 " bytes, as its files are another distribution's or version's",
				 has, shown, other);
	}
	return NULL;
}
