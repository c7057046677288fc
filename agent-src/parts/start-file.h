/* start-file.h: the script that starts a guest here again, as a part of the move of one that is shut down: it loses its name before the guest
 * is handed over, so that nobody starts the old copy, and has it back if the move is rolled back. */
#ifndef VMFERRY_START_FILE_H
#define VMFERRY_START_FILE_H

#include "source.h"

struct start_file {
	struct part part;
	char *path; /* NULL: the guest has none that we know */
	char *aside;
};

void start_file_init(struct start_file *s, struct attempt *a);
/* Journaled before. */
int start_file_set_aside(struct start_file *s, struct err *e);

#endif
