/*
 * qemu-filters.h: looks below filters that hold no contents of their own, such as driver "throttle", for the image that a disk of the guest has.
 *
 * A filter is made again at the destination by the guest's command line, as its group of limits is. The image below it is what is carried: it is read, and its
 * writes are recorded, below the filter, so that limits for the guest do not slow the move down.
 */
#ifndef VMFERRY_QEMU_FILTERS_H
#define VMFERRY_QEMU_FILTERS_H

#include "err.h"

#include <jansson.h>
#include <stdbool.h>

/* graph: of x-debug-query-block-graph. The name of the node that this one has as its "file"; NULL: there is none. */
const char *filter_child(const json_t *graph, const char *node);
/* True if a filter of that driver is looked through. */
bool filter_is_seen_through(const char *driver);
/*
 * blocks: of query-block. The "inserted" of each disk that is seen through a filter becomes what nodes (query-named-block-nodes) say of the image below.
 * FILTER_NODE becomes the name of the node that the device has. -EPROTO: QEMU does not tell what is below one.
 */
#define FILTER_NODE "vmferry-filter"
int filters_look_below(json_t *blocks, const json_t *nodes, const json_t *graph, struct err *e);

#endif
