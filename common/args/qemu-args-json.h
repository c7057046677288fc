/* qemu-args-json.h: converts between structs and JSON: files and networks of a command line, and a peer's description of them. Pure: no
 * I/O. */
#ifndef VMFERRY_QEMU_ARGS_JSON_H
#define VMFERRY_QEMU_ARGS_JSON_H

#include "qemu-args.h"

#include <jansson.h>

/* New references; members as PROTOCOL.md has them under ACCEPT. */
json_t *args_files_json(const struct args_result *r);
json_t *args_nics_json(const struct args_result *r);

/* Writes the media that are no longer in their drives, from `files` of a description, to map, which has room for all of files. */
size_t args_ejected_of(struct args_map *map, const json_t *files);

/* [{"path": …, "text": …}], and back: *out is malloc'ed, its strings are the array's. How many. */
json_t *args_configs_json(const struct args_config *configs, size_t count);
size_t args_configs_of(struct args_config **out, const json_t *array);
/* {NIC: WHAT}: *out is malloc'ed, its strings are the object's. How many. */
size_t args_nets_of(struct args_net_map **out, const json_t *object);

#endif
