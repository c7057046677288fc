/* html-page.h: what every report has: head with the style sheet, sections, tables of names and values, foot. */
#ifndef VMFERRY_HTML_PAGE_H
#define VMFERRY_HTML_PAGE_H

#include <jansson.h>
#include <stdio.h>

void page_begin(FILE *f, const char *title);
/* input: the name of the file that it was made of. */
void page_end(FILE *f, const char *input);
/* Closed on the screen; printed open. summary is HTML of ours. */
void page_details_begin(FILE *f, const char *summary);
void page_details_end(FILE *f);
/* Writes a row for every member of an object; nothing if it has none. */
void page_members(FILE *f, const char *caption, const json_t *o);

#endif
