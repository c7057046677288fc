/* metrics.h: what has moved from this host, what is under way, and how old replicas are, as OpenMetrics text, for node_exporter's directory of text files. Pure. */
#ifndef VMFERRY_METRICS_H
#define VMFERRY_METRICS_H

#include <jansson.h>
#include <stdio.h>

/* totals: as history_totals() has them. jobs: an array of {"how", "state"}, of what has not ended. replicas: an array of the objects of
 * `vmferry replica list --json`. */
void metrics_print(FILE *to, const json_t *totals, const json_t *jobs, const json_t *replicas);

#endif
