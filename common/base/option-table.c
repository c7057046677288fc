/* option-table.c: see option-table.h. */
#include "option-table.h"

bool option_take(const struct option_row *rows, size_t n, void *into, int option, const char *arg)
{
	for (size_t i = 0; i < n; i++) {
		void *member = (char *)into + rows[i].offset;

		if (rows[i].option != option)
			continue;
		if (rows[i].kind == OPTION_FLAG)
			*(bool *)member = true;
		else
			*(const char **)member = arg;
		return true;
	}
	return false;
}
