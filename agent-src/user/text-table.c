/* text-table.c: see text-table.h. */
#include "text-table.h"
#include "text-code.h"
#include "util.h"

void text_table_print(FILE *to, char *const *cells, size_t columns, size_t rows)
{
	size_t widths[TABLE_COLUMNS_MAX] = {0}, i, k;

	for (i = 0; i < rows; i++)
		for (k = 0; k < columns; k++)
			widths[k] = MAX(widths[k], text_columns(cells[i * columns + k]));
	for (i = 0; i < rows; i++) {
		for (k = 0; k + 1 < columns; k++)
			fprintf(to, "%s%*s", cells[i * columns + k], (int)(widths[k] - text_columns(cells[i * columns + k]) + 2), "");
		fprintf(to, "%s\n", cells[i * columns + columns - 1]);
	}
}
