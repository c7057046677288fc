/* text-table.h: a table for people: columns as wide as what is in them. Pure. */
#ifndef VMFERRY_TEXT_TABLE_H
#define VMFERRY_TEXT_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 12

/* cells: a row behind the other; the last column is not filled up. */
void text_table_print(FILE *to, char *const *cells, size_t columns, size_t rows);

#endif
