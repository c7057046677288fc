/*
 * collect-tool.c: the benchmark's collector on its own, for end-to-end tests.
 *
 *   collect-tool [-a ADDRESS] [-p PORT] [-g GAPS] [SECONDS]
 *
 * Prints "listening PORT TOKEN". After SECONDS, or with SIGTERM or SIGINT, prints what was heard as one line of JSON and ends: the
 * GAPS (10) longest silences are in it, `at` in seconds since 1970, and `ram_ops` and `disk_ops` as the last datagram has them.
 * With SIGUSR1 it forgets what it has heard, prints "cleared", and begins anew.
 */
#include "bench-collect.h"
#include "util.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static json_t *gap_json(uint64_t begin_ns, uint64_t ns)
{
	return json_pack("{s:f,s:f}", "at", (double)begin_ns / 1e9, "ms", (double)ns / 1e6);
}

static json_t *heartbeat_json(const struct beat *beats, size_t count, size_t gaps_max)
{
	uint64_t from = count ? beats[0].at_ns : 0, to = realtime_ns();
	struct beat_count c = beats_count(beats, count, from, to);
	AUTO_FREE struct gap *gaps = xcalloc(gaps_max, sizeof(*gaps));
	size_t n = beats_gaps(beats, count, from, to, gaps, gaps_max), i;
	json_t *list = json_array();
	for (i = 0; i < n; i++)
		json_array_append_new(list, gap_json(gaps[i].begin_ns, gaps[i].ns));
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:o}", "sent", (json_int_t)c.sent, "received", (json_int_t)c.received, "lost",
			 (json_int_t)c.lost, "ram_ops", (json_int_t)(count ? beats[count - 1].ram_ops : 0), "disk_ops",
			 (json_int_t)(count ? beats[count - 1].disk_ops : 0), "gaps", list);
}

static json_t *probe_json(const struct probe *p)
{
	return json_pack("{s:b,s:I,s:I,s:I,s:I,s:o}", "connected", p->connected, "connection_first", (json_int_t)p->connection_first,
			 "connection_last", (json_int_t)p->connection_last, "records", (json_int_t)p->records, "unechoed",
			 (json_int_t)p->unechoed, "gap", gap_json(p->gap_at_ns, p->longest_gap_ns));
}

static void print_verdict(struct collector *c, size_t gaps_max)
{
	AUTO_FREE struct beat *beats = NULL;
	size_t count = collector_beats(c, &beats);
	struct probe probe;
	json_t *verdict;

	collector_probe(c, &probe);
	verdict = json_pack("{s:o,s:o}", "heartbeat", heartbeat_json(beats, count, gaps_max), "tcp", probe_json(&probe));
	json_dumpf(verdict, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(verdict);
}

int main(int argc, char **argv)
{
	const char *address = NULL;
	unsigned port = 0;
	size_t gaps = 10;
	struct timespec limit;
	struct collector *c;
	struct err e;
	sigset_t told;
	int o;

	while ((o = getopt(argc, argv, "a:p:g:")) != -1) {
		if (o == 'a')
			address = optarg;
		else if (o == 'p')
			port = (unsigned)atoi(optarg);
		else if (o == 'g')
			gaps = (size_t)atoi(optarg);
		else
			return 2;
	}
	sigemptyset(&told);
	sigaddset(&told, SIGTERM);
	sigaddset(&told, SIGINT);
	sigaddset(&told, SIGUSR1);
	sigprocmask(SIG_BLOCK, &told, NULL); /* the collector's thread, too */
	if (collector_new(&c, address, port, &e)) {
		fprintf(stderr, "collect-tool: %s\n", e.msg);
		return 1;
	}
	printf("listening %u %s\n", collector_port(c), collector_token(c));
	fflush(stdout);
	limit = (struct timespec){.tv_sec = argc > optind ? atoi(argv[optind]) : 0};
	while (sigtimedwait(&told, NULL, limit.tv_sec ? &limit : NULL) == SIGUSR1) {
		collector_clear(c);
		printf("cleared\n");
		fflush(stdout);
	}
	print_verdict(c, gaps);
	collector_free(c);
	return 0;
}
