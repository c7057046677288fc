/* qemu-args-json.c: see qemu-args-json.h. */
#include "qemu-args-json.h"
#include "util.h"

#define NETS_MAX 64

json_t *args_files_json(const struct args_result *r)
{
	json_t *out = json_array();

	for (size_t i = 0; i < r->file_count; i++) {
		const struct args_file *f = &r->files[i];

		json_array_append_new(out, json_pack("{s:s,s:s,s:b,s:s,s:s*}", "role", args_role_name(f->role), "option", f->option,
						     "read_only", f->read_only, "path", f->path, "to", f->to));
	}
	return out;
}

json_t *args_nics_json(const struct args_result *r)
{
	json_t *out = json_array();

	for (size_t i = 0; i < r->nic_count; i++) {
		const struct args_nic *n = &r->nics[i];

		json_array_append_new(out, json_pack("{s:s*,s:s*,s:s*,s:s*,s:s,s:s*,s:s,s:s*}", "netdev", n->netdev, "device", n->device,
						     "model", n->model, "mac", n->mac, "type", n->type, "attach", n->attach, "to_type",
						     n->to_type, "to_attach", n->to_attach));
	}
	return out;
}

size_t args_ejected_of(struct args_map *map, const json_t *files)
{
	json_t *one;
	size_t i, n = 0;

	json_array_foreach((json_t *)files, i, one)
		if (json_is_true(json_object_get(one, "ejected")) && json_is_string(json_object_get(one, "path")))
			map[n++] = (struct args_map){.from = json_string_value(json_object_get(one, "path"))};
	return n;
}

json_t *args_configs_json(const struct args_config *configs, size_t count)
{
	json_t *out = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *one = json_pack("{s:s,s:s}", "path", configs[i].path, "text", configs[i].text);

		if (one) /* NULL: not UTF-8 */
			json_array_append_new(out, one);
	}
	return out;
}

size_t args_configs_of(struct args_config **out, const json_t *array)
{
	struct args_config *list = xcalloc(ARGS_CONFIG_COUNT, sizeof(*list));
	json_t *one;
	size_t i, n = 0;

	json_array_foreach((json_t *)array, i, one) {
		const char *path = json_string_value(json_object_get(one, "path"));
		const char *text = json_string_value(json_object_get(one, "text"));

		if (path && text && n < ARGS_CONFIG_COUNT)
			list[n++] = (struct args_config){path, text};
	}
	*out = list;
	return n;
}

size_t args_nets_of(struct args_net_map **out, const json_t *object)
{
	struct args_net_map *list = xcalloc(NETS_MAX, sizeof(*list));
	const char *nic;
	json_t *what;
	size_t n = 0;

	json_object_foreach((json_t *)object, nic, what)
		if (json_is_string(what) && n < NETS_MAX)
			list[n++] = (struct args_net_map){nic, json_string_value(what)};
	*out = list;
	return n;
}
