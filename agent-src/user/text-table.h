/* text-table.h: prints a table with columns as wide as their contents. Pure. */
#ifndef VMFERRY_TEXT_TABLE_H
#define VMFERRY_TEXT_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 12

/* cells: row by row; the last column is not padded. */
void text_table_print(FILE *to, char *const *cells, size_t columns, size_t rows);

#endif
