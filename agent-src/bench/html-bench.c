/* html-bench.c: see html-bench.h: the order of the page, its words. */
#include "html-bench.h"
#include "html-page.h"
#include "html-value.h"
#include "util.h"

#include <math.h>
#include <string.h>

#define TIMELINES_MAX 1000

void html_bench_cell_name(FILE *f, const struct run_cell *c)
{
	double delay = value_of(c->first, "delay_ms"), loss = value_of(c->first, "loss_percent"),
	       cached = value_of(c->first, "cached_percent");
	char text[SHOW_MAX];

	html_text_n(f, c->link, 40);
	if (!isnan(delay))
		fprintf(f, ", %s ms of delay", show_number(text, delay));
	if (!isnan(loss))
		fprintf(f, ", %s %% lost", show_number(text, loss));
	fprintf(f, ", %s, ", show_bytes(text, c->mem_mib * (double)MIB));
	html_text_n(f, c->workload, 40);
	if (!isnan(cached))
		fprintf(f, ", %s %% cached", show_number(text, cached));
	if (value_text(c->first, "content")) { /* the page compares several runs */
		fputs(", ", f);
		html_text_n(f, value_text(c->first, "content"), 40);
	}
}

/* ---- the summary ---- */

static const char *plural(double n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

static void subject(FILE *f, const struct runs *r)
{
	const json_t *tools = json_object_get(r->plan, "tools");
	const char *where = value_text(r->environment, "where");
	size_t i, n = MIN(json_array_size(tools), RUNS_TOOLS_MAX), moves = r->move_count - r->ignored;
	double repeat = value_of(r->plan, "repeat");
	char date[SHOW_MAX], number[SHOW_MAX];

	fprintf(f, "<p class=\"lead\">Running guests were moved with their memory and disks, %s, by ",
		!where			? "from one QEMU to another"
		: !strcmp(where, "lab") ? "between two network namespaces of one machine"
					: "between two hosts");
	for (i = 0; i < n; i++) {
		fputs(!i ? "" : i + 1 == n ? " and " : ", ", f);
		html_text_n(f, json_string_value(json_array_get(tools, i)), 60);
	}
	fprintf(f, "%s, in %zu %s of link, memory and workload, %s%s counted %s of each in random order, on %s. ", n ? "" : DASH,
		r->cell_count, plural((double)r->cell_count, "combination", "combinations"),
		value_true(r->plan, "repeat_is_least") ? "at least " : "", show_number(number, repeat), plural(repeat, "move", "moves"),
		show_date(date, value_of(r->root, "began_at")));
	fprintf(f, "Of %zu %s %zu %s to warm up: no figures are made of them. Of the others <strong>%zu went well</strong>. Of all, ",
		moves, plural((double)moves, "move", "moves"), r->warmups, plural((double)r->warmups, "was", "were"), r->ok);
	fprintf(f,
		"<strong%s>%zu failed</strong> (the guest stayed where it was) and <strong%s>%zu did damage</strong> (the witness inside "
		"the guest found something wrong, or the guest was gone).",
		r->failed ? " class=\"bad\"" : "", r->failed, r->damaged ? " class=\"bad\"" : "", r->damaged);
	if (r->ignored)
		fprintf(f, " %zu entries of the file are no moves and were left out.", r->ignored);
	fputs("</p>\n", f);
	if (isnan(value_of(r->root, "ended_at")))
		fputs("<p class=\"bad\">The run is not complete: this is what there was so far.</p>\n", f);
}

/* The least and the greatest ratio to the best native tool over all cells and all of vmferry's settings. */
static bool ratio_range(const struct runs *r, enum figure what, double *least, double *greatest)
{
	size_t i, k;

	*least = INFINITY;
	*greatest = -INFINITY;
	for (i = 0; i < r->cell_count; i++) {
		const struct run_tool *native = cell_best_native(&r->cells[i], what);
		double theirs = native ? tool_median(native, what) : NAN;

		for (k = 0; k < r->cells[i].tool_count; k++) {
			double v = r->cells[i].tools[k].ours && theirs > 0 ? tool_median(&r->cells[i].tools[k], what) / theirs : NAN;

			*least = fmin(*least, v);
			*greatest = fmax(*greatest, v);
		}
	}
	return *greatest >= *least;
}

static void ratios(FILE *f, const struct runs *r)
{
	static const struct {
		enum figure what;
		const char *name;
	} all[] = {{FIGURE_TOTAL, "total time"},
		   {FIGURE_COPY, ", copy time"},
		   {FIGURE_DOWNTIME, ", downtime"},
		   {FIGURE_WIRE, ", bytes on the wire"},
		   {FIGURE_CPU, ", CPU per GiB"}};
	char a[SHOW_MAX], b[SHOW_MAX];
	double least, greatest;

	if (!ratio_range(r, FIGURE_TOTAL, &least, &greatest)) {
		fputs("<p class=\"lead\">There is nothing to compare vmferry with: no cell has a move that went well both of vmferry and of a "
		      "native tool.</p>\n",
		      f);
		return;
	}
	fputs("<p class=\"lead\">Measured against the best native tool of each cell (1 is equal, less is better), vmferry’s medians are: ",
	      f);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		fprintf(f, "%s ", all[i].name);
		if (!ratio_range(r, all[i].what, &least, &greatest))
			fputs(DASH, f);
		else if (least == greatest)
			fprintf(f, "<strong>%s</strong>", show_ratio(a, least));
		else
			fprintf(f, "<strong>%s to %s</strong>", show_ratio(a, least), show_ratio(b, greatest));
	}
	fputs(".</p>\n", f);
}

/* ---- the rest ---- */

static void cell_section(FILE *f, const struct runs *r, const struct run_cell *c, struct timelines *lines)
{
	json_t *w;
	size_t i;

	fputs("<section>\n<h2>", f);
	html_bench_cell_name(f, c);
	fputs("</h2>\n", f);
	json_array_foreach(json_object_get(r->plan, "workloads"), i, w) {
		if (!value_text(w, "text") || !c->workload || strcmp(value_text(w, "name") ?: "", c->workload))
			continue;
		fputs("<p class=\"soft\">The guest’s workload, ", f);
		html_text_n(f, c->workload, 40);
		fputs(": ", f);
		html_text(f, value_text(w, "text"));
		fputs(".</p>\n", f);
		break;
	}
	html_bench_cell_table(f, c);
	html_bench_move_table(f, r, c);
	fputs("<h3>Comparison</h3>\n", f);
	html_bench_comparison(f, c);
	fputs("<h3>Downtime and CPU in detail</h3>\n<p class=\"soft\">Every clock’s figure is explained under <a href=\"#how\">How this was "
	      "measured</a>. Parts are vmferry’s own: disk and memory travel side by side and count from the guest’s stop; device state is drawn "
	      "behind the longer of them, the start behind that.</p>\n<div class=\"charts\">\n",
	      f);
	html_bench_downtime(f, c);
	html_bench_cpu(f, c);
	fputs("</div>\n", f);
	html_bench_moves(f, c, lines);
	fputs("</section>\n", f);
}

static void how(FILE *f, const struct runs *r)
{
	const char *where = value_text(r->environment, "where");
	bool hosts = where && strcmp(where, "lab");

	fputs("<section id=\"how\"><h2>How this was measured, how to read it</h2>\n<p>", f);
	fputs(hosts ? "Each move has a guest of its own, booted here and ended there. "
		    : "In each cell one guest is booted and moved to and fro. ",
	      f);
	fputs("A first round of all tools warms up and does not count; then each "
	      "round has one move of every tool, in random order, so that what changes on the machine meanwhile meets all of them. Native "
	      "tools are QEMU’s own migration with its disks by blockdev-mirror to NBD, and virsh, which has libvirt do that; every tool has the same limit of downtime. Figures "
	      "are medians of the moves that went well; with few moves look at the spread before the median.</p>\n<dl>\n"
	      "<dt>total time</dt><dd>from when the tool was started (native: the destination’s QEMU) to when it says that it is done and the "
	      "source’s QEMU has ended or can be ended; set-up is in it</dd>\n"
	      "<dt>copy time</dt><dd>the same to when the guest runs at the destination</dd>\n"
	      "<dt>downtime</dt><dd><em>guest</em>: the longest gap between two of the guest’s datagrams at switchover, by the clock of their "
	      "receiver: what its peers notice, and what is compared here. <em>qmp</em>: QEMU’s own figure, which does not know when the guest is "
	      "started. <em>events</em>: QEMU’s STOP at the source to RESUME at the destination. <em>own</em>: vmferry’s. "
	      "<em>predicted</em>: what vmferry expected when it switched over</dd>\n"
	      "<dt>on the wire</dt><dd>",
	      f);
	fputs(hosts ? "all that left this host by the interface that leads to the other, so vmferry’s agent and the guest’s kernel, too, which it brings "
		      "along, and what others sent</dd>\n"
		    : "all that left the source on the migration’s link, as its interface counts: on a virtual one large packets are not cut up, and "
		      "count with one header</dd>\n",
	      f);
	fputs("<dt>link use</dt><dd>of the link’s capacity, from 10 % to 90 % of the bytes; – where the link has no limit</dd>\n"
	      "<dt>CPU per GiB</dt><dd>CPU seconds of ",
	      f);
	fputs(hosts ? "this host’s QEMU and agent" : "both QEMUs and both agents", f);
	fputs(" until the guest runs at the destination, divided by the payload: the guest’s non-zero memory and allocated disk. The guest’s own "
	      "work is in the QEMUs’ seconds, so a longer move has more of it</dd>\n"
	      "<dt>cached</dt><dd>how much of the memory that the guest fills is page cache of its disk, so that the same contents lie there, too</dd>\n"
	      "<dt>payload</dt><dd>what a tool without any trick has to carry; compression and deduplication put less on the wire</dd>\n"
	      "<dt>others’ CPU</dt><dd>what everything else on the machine took meanwhile: if that is much, the move was disturbed</dd>\n"
	      "<dt>gap before</dt><dd>the longest gap between datagrams in the second before the move: what a gap is without any move</dd>\n"
	      "</dl>\n<p>",
	      f);
	if (!hosts)
		fputs("In a lab both hosts are one machine: its processors are shared by both QEMUs, and its memory bandwidth, too. ", f);
	fputs("Under TCG a guest is slow and its devices take more of the host’s CPU than under KVM. Ratios hold for the environment below, not for "
	      "every other.</p></section>\n",
	      f);
}

static void environment(FILE *f, const struct runs *r)
{
	char begin[SHOW_MAX], end[SHOW_MAX];

	fputs("<section><h2>Environment and plan</h2>\n<p>vmferry ", f);
	html_text_n(f, value_text(r->root, "software"), 40);
	fprintf(f, ", from %s to %s.</p>\n", show_date(begin, value_of(r->root, "began_at")),
		show_date(end, value_of(r->root, "ended_at")));
	page_members(f, "Environment", r->environment);
	page_members(f, "Plan", r->plan);
	fputs("</section>\n", f);
}

int html_bench_page(FILE *f, const json_t *root, bool only_medians, const char *input, struct err *e)
{
	struct timelines lines = {.only_medians = only_medians, .left = TIMELINES_MAX};
	struct runs r;
	int rc = runs_init(&r, root, e);

	if (rc)
		return rc;
	page_begin(f, "vmferry and QEMU’s own migration, compared");
	fputs("<header><h1>vmferry and QEMU’s own migration, compared</h1></header>\n<main>\n", f);
	subject(f, &r);
	ratios(f, &r);
	html_bench_ratio_table(f, &r);
	for (size_t i = 0; i < r.cell_count; i++)
		cell_section(f, &r, &r.cells[i], &lines);
	how(f, &r);
	environment(f, &r);
	fputs("</main>\n", f);
	page_end(f, input);
	runs_fini(&r);
	return 0;
}
