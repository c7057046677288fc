/* text-block.c: see text-block.h. */
#include "text-block.h"
#include "text-code.h"

#include <sys/ioctl.h>

/* The last column stays free, as what is cleared from there may be its letter; and the last row, where the cursor stands. */
void text_block_begin(struct text_block *b, FILE *to, int standing)
{
	struct winsize w;
	int known = !ioctl(2, TIOCGWINSZ, &w);

	*b = (struct text_block){.to = to};
	b->columns = known && w.ws_col > 1 ? w.ws_col - 1u : 79;
	b->rows = known && w.ws_row > 1 ? w.ws_row - 1u : 23;
	if (standing)
		fprintf(to, "\033[%dF", standing);
}

void text_block_put(struct text_block *b, const char *line)
{
	fprintf(b->to, "%.*s\033[K\n", (int)text_fitting(line, b->columns), line);
	b->lines++;
}

int text_block_end(struct text_block *b, int standing)
{
	if (standing > b->lines)
		fputs("\033[J", b->to);
	return b->lines;
}
