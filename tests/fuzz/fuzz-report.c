/*
 * fuzz-report.c: libFuzzer on `vmferry report` (agent-src/page): a file that anybody may have written becomes a page that is well-formed and
 * runs nothing, or an error.
 */
#include "../lib/well-formed.h"
#include "html-bench.h"
#include "html-input.h"
#include "html-move.h"
#include "seed.h"

static void expect_page(const char *page)
{
	static const char *const never[] = {"<script", "<img", "<iframe", "<link", "=\"nan", "=\"inf", "=\"-inf"};
	size_t i;

	require(!malformed_at(page));
	for (i = 0; i < ARRAY_LEN(never); i++)
		require(!strstr(page, never[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct input in;
	struct err e;
	char *page;
	size_t bytes;
	FILE *f;
	int r;

	r = input_parse(&in, (const char *)p, n, &e);
	require(!r || (r == -e.code && e.msg[0] && !in.root));
	if (r)
		return 0;
	f = open_memstream(&page, &bytes);
	r = in.is_move ? html_move_page(f, in.root, in.is_cut, "in.json", &e) : html_bench_page(f, in.root, false, "in.json", &e);
	fclose(f);
	if (r)
		require(r == -e.code && e.msg[0]);
	else
		expect_page(page);
	free(page);
	input_fini(&in);
	return 0;
}

/* ---- seeds; a run of bench is in tests/fuzz/corpus ---- */

static void write_seeds(void)
{
	static char text[16384];
	FILE *f = fopen("tests/data/bench/move.json", "re");
	char *p;
	size_t n;

	require(f);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	seed_write("move", text, n);
	for (p = text; (p = memmem(p, n - (size_t)(p - text), "vm", 2));)
		memcpy(p, "<&", 2);
	seed_write("tags", text, n);
}

/* agent-src */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}
