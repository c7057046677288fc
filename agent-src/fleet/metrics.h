/* metrics.h: OpenMetrics text for node_exporter's textfile directory: moves from this host, running jobs, age of replicas. Pure. */
#ifndef VMFERRY_METRICS_H
#define VMFERRY_METRICS_H

#include <jansson.h>
#include <stdio.h>

/* totals: from history_totals(). jobs: array of {"how", "state"} of running jobs. replicas: array of the objects of `vmferry replica
 * list --json`. */
void metrics_print(FILE *to, const json_t *totals, const json_t *jobs, const json_t *replicas);

#endif
