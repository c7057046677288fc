/* list-print.c: what vmferry list shows: a table, all about each guest, or JSON. */
#include "list-entry.h"
#include "json-text.h"
#include "shell-quote.h"
#include "text-table.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

static const char *const monitor_names[] = {"none", "busy", "silent", "answered", "foreign", "hmp"};

/* ---- what is known of one, from QEMU, libvirt, or its line ---- */

static bool answered(const struct entry *n)
{
	return n->monitor == MONITOR_ANSWERED;
}

/* True if only the guest's command line says what it has. */
static bool has_line_alone(const struct entry *n)
{
	return !n->g.cpu.count && !answered(n) && !is_shut_down(n);
}

static const char *accel_of(const struct entry *n)
{
	return n->g.cpu.accel && !has_line_alone(n) ? n->g.cpu.accel : n->basics.kvm ? "kvm" : "tcg";
}

static uint64_t ram_of(const struct entry *n)
{
	return has_line_alone(n) ? n->basics.ram_bytes : n->g.ram_bytes;
}

static unsigned vcpus_of(const struct entry *n)
{
	return has_line_alone(n) ? n->basics.vcpus : n->g.cpu.count;
}

/* "libvirt", "proxmox", "pacemaker", "systemd" or "plain". */
static const char *owner_of(const struct guest *g)
{
	return g->owner_hint ? g->owner_hint : g->resource ? "pacemaker" : g->unit.name ? "systemd" : "plain";
}

/* Size that the guest sees; virtual_size of a guest that is shut down is its file's. */
static uint64_t size_of(const struct guest_disk *d)
{
	return d->inner_size ?: d->virtual_size;
}

/* ---- JSON ---- */

static json_t *disks_json(const struct entry *n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n->g.disk_count; i++) {
		const struct guest_disk *d = &n->g.disks[i];

		if (!d->removable_empty)
			json_array_append_new(out,
					      json_pack("{s:s*,s:s*,s:s*,s:I,s:I,s:b}", "path", d->real_path ?: d->file ?: d->network,
							"node", d->node, "format", d->format, "virtual_size", (json_int_t)size_of(d),
							"allocated", (json_int_t)d->allocated, "read_only", d->read_only));
	}
	for (size_t i = 0; !answered(n) && i < n->line.file_count; i++)
		if (args_file_is_disk(&n->line.files[i]))
			json_array_append_new(out, json_pack("{s:s}", "path", n->line.files[i].path));
	return out;
}

static json_t *nics_json(const struct entry *n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n->line.nic_count; i++) {
		const struct args_nic *c = &n->line.nics[i];

		json_array_append_new(out, json_pack("{s:s*,s:s*,s:s*,s:s*,s:s*,s:s*}", "netdev", c->netdev, "device", c->device, "model",
						     c->model, "mac", c->mac, "type", c->type, "attach", c->attach));
	}
	return out;
}

static json_t *reasons_json(const struct entry *n)
{
	json_t *out = json_array();

	for (size_t i = 0; i < n->reason_count; i++)
		json_array_append_new(out, json_pack("{s:s,s:s*}", "text", n->reasons[i].why, "advice", n->reasons[i].advice));
	return out;
}

static json_t *entry_json(const struct entry *n)
{
	const struct guest *g = &n->g;
	json_t *o = json_pack("{s:s,s:i,s:b,s:s,s:s,s:o}", "name", g->name, "pid", (int)g->pid, "movable", !n->reason_count, "owner",
			      owner_of(g), "monitor", monitor_names[n->monitor], "disks", disks_json(n));

	if (n->arriving)
		json_object_set_new(o, "arriving", json_true());
	if (!entry_is_unknown(n)) {
		json_object_set_new(o, "ram_bytes", json_integer((json_int_t)ram_of(n)));
		json_object_set_new(o, "vcpus", json_integer((json_int_t)vcpus_of(n)));
		json_object_set_new(o, "accel", json_string(accel_of(n)));
	}
	if (g->unit.name) {
		json_object_set_new(o, "unit", json_string(g->unit.name));
		json_object_set_new(o, "unit_is_user", json_boolean(g->unit.is_user));
	}
	if (g->resource)
		json_object_set_new(o, "resource", json_string(g->resource));
	if (g->qmp.path)
		json_object_set_new(o, "qmp", json_string(g->qmp.path));
	if (n->hmp)
		json_object_set_new(o, "hmp", json_string(n->hmp));
	if (is_shut_down(n))
		json_object_set_new(o, "status", json_string("shut-down"));
	else if (g->status)
		json_object_set_new(o, "status", json_string(g->status));
	json_object_set_new(o, "nics", nics_json(n));
	json_object_set_new(o, "reasons", reasons_json(n));
	if (!answered(n))
		return o;
	json_object_set_new(o, "machine", json_string(g->machine));
	json_object_set_new(o, "qemu_version", json_sprintf("%d.%d.%d", g->version.major, g->version.minor, g->version.micro));
	if (g->cpu.model)
		json_object_set_new(o, "cpu_model", json_string(g->cpu.model));
	return o;
}

void list_print_json(const struct entry *entries, size_t count, const char *absent)
{
	json_t *list = json_array(), *all = json_pack("{s:o,s:s*}", "guests", list, "absent", absent);

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, entry_json(&entries[i]));
	json_text_print(all);
	json_decref(all);
}

/* ---- text ---- */

static void print_disks(const struct entry *n)
{
	char size[24];

	for (size_t i = 0; i < n->g.disk_count; i++) {
		const struct guest_disk *d = &n->g.disks[i];
		AUTO_FREE char *path = text_shown(d->real_path ?: d->file ?: d->network ?: d->node);

		if (!d->removable_empty)
			printf("  disk     %s (%s, %s%s)\n", path, d->format ? d->format : "?", format_bytes(size, size_of(d)),
			       d->read_only ? ", read-only" : "");
	}
	for (size_t i = 0; !answered(n) && i < n->line.file_count; i++)
		if (args_file_is_disk(&n->line.files[i])) {
			AUTO_FREE char *path = text_shown(n->line.files[i].path);

			printf("  disk     %s\n", path);
		}
}

static void print_owner(const struct guest *g)
{
	AUTO_FREE char *unit = text_shown(g->unit.name);

	if (g->owner_hint)
		printf("  owner    %s\n", strcmp(g->owner_hint, "libvirt") ? "Proxmox VE" : "libvirt");
	else if (g->resource)
		printf("  owner    Pacemaker, as its resource %s\n", g->resource);
	else if (g->unit.name)
		printf("  owner    systemd unit %s%s\n", unit, g->unit.is_user ? " (of a user)" : "");
}

/* Prints the way by which the guest is asked. */
static void print_monitor(const struct entry *n)
{
	AUTO_FREE char *path = text_shown(n->hmp ?: n->g.qmp.path);
	bool attached = n->g.qmp.path && guest_is_attached_path(&n->g, n->g.qmp.path);

	if (n->hmp)
		printf("  monitor  QMP that its human monitor makes while vmferry needs it: %s\n", path);
	else if (answered(n))
		printf("  monitor  QMP, %s%s\n", path,
		       attached ? " (made by vmferry; in QEMU 11.1 and later vmferry attach --detach removes it)" : "");
}

static void print_entry(const struct entry *n)
{
	const struct guest *g = &n->g;
	AUTO_FREE char *machine = text_shown(g->machine);
	AUTO_FREE char *status = text_shown(g->status);
	AUTO_FREE char *quoted = n->is_double && g->pid ? xasprintf("%d", (int)g->pid) : shell_quote_shown(g->name);
	char ram[24];

	if (is_shut_down(n))
		printf("%s (shut down)", g->name);
	else
		printf("%s (pid %d)", g->name, (int)g->pid);
	if (!entry_is_unknown(n))
		printf(": %s of memory, %u vCPU%s, %s", format_bytes(ram, ram_of(n)), vcpus_of(n), vcpus_of(n) == 1 ? "" : "s",
		       accel_of(n));
	if (answered(n))
		printf(", %s, QEMU %d.%d.%d, %s", machine, g->version.major, g->version.minor, g->version.micro, status);
	putchar('\n');
	print_owner(g);
	print_disks(n);
	print_monitor(n);
	if (!n->reason_count)
		printf("  movable  vmferry migrate %s HOST%s\n", quoted, is_shut_down(n) ? " --how cold" : "");
	for (size_t i = 0; i < n->reason_count; i++) {
		AUTO_FREE char *why = text_shown(n->reasons[i].why);
		AUTO_FREE char *advice = text_shown(n->reasons[i].advice);

		printf("  cannot be moved: %s\n", why);
		if (n->reasons[i].advice)
			printf("           %s\n", advice);
	}
}

/* ---- table: a line a guest ---- */

enum column { COLUMN_NAME, COLUMN_PID, COLUMN_STATE, COLUMN_MEMORY, COLUMN_CPUS, COLUMN_DISKS, COLUMN_STARTED_BY, COLUMN_MOVE, COLUMNS };

struct row {
	char *cells[COLUMNS];
};

static char *state_cell(const struct entry *n)
{
	return is_shut_down(n) ? xstrdup("shut down")
	       : n->moving     ? xstrdup("moving")
	       : n->arriving   ? xstrdup("arriving")
	       : n->g.status   ? text_shown(n->g.status)
			       : xstrdup("?");
}

static char *memory_cell(const struct entry *n)
{
	char size[24];

	return xstrdup(entry_is_unknown(n) ? "?" : format_bytes(size, ram_of(n)));
}

static char *disks_cell(const struct entry *n)
{
	uint64_t bytes = 0;
	size_t count = 0, i;
	char size[24];

	for (i = 0; i < n->g.disk_count; i++)
		if (!n->g.disks[i].removable_empty) {
			bytes += size_of(&n->g.disks[i]);
			count++;
		}
	for (i = 0; !answered(n) && i < n->line.file_count; i++)
		count += args_file_is_disk(&n->line.files[i]);
	return entry_is_unknown(n) ? xstrdup("?")
	       : bytes		   ? xasprintf("%zu (%s)", count, format_bytes(size, bytes))
				   : xasprintf("%zu", count);
}

static char *started_by_cell(const struct guest *g)
{
	return g->owner_hint  ? xstrdup(strcmp(g->owner_hint, "libvirt") ? "Proxmox VE" : "libvirt")
	       : g->resource  ? xstrdup("Pacemaker")
	       : g->unit.name ? text_shown(g->unit.name)
			      : xstrdup("by hand");
}

static struct row row_of(const struct entry *n)
{
	return (struct row){{[COLUMN_NAME] = xstrdup(n->g.name),
			     [COLUMN_PID] = is_shut_down(n) ? xstrdup("-") : xasprintf("%d", (int)n->g.pid),
			     [COLUMN_STATE] = state_cell(n),
			     [COLUMN_MEMORY] = memory_cell(n),
			     [COLUMN_CPUS] = entry_is_unknown(n) ? xstrdup("?") : xasprintf("%u", vcpus_of(n)),
			     [COLUMN_DISKS] = disks_cell(n),
			     [COLUMN_STARTED_BY] = started_by_cell(&n->g),
			     [COLUMN_MOVE] = xstrdup(n->reason_count   ? "no"
						     : is_shut_down(n) ? "cold"
								       : "yes")}};
}

static void print_why_not(const struct entry *n)
{
	AUTO_FREE char *why = text_shown(n->reasons[0].why);

	if (is_shut_down(n))
		printf("%s cannot be moved: %s", n->g.name, why);
	else
		printf("%s (pid %d) cannot be moved: %s", n->g.name, (int)n->g.pid, why);
	if (n->reason_count > 1)
		printf(" (and %zu more)", n->reason_count - 1);
	putchar('\n');
}

static void print_table(const struct entry *entries, size_t count)
{
	AUTO_FREE struct row *rows = xcalloc(count + 1, sizeof(*rows));
	size_t i, k;

	rows[0] = (struct row){{xstrdup("NAME"), xstrdup("PID"), xstrdup("STATE"), xstrdup("MEMORY"), xstrdup("CPUS"), xstrdup("DISKS"),
				xstrdup("STARTED BY"), xstrdup("MOVE")}};
	for (i = 0; i < count; i++)
		rows[i + 1] = row_of(&entries[i]);
	text_table_print(stdout, (char *const *)rows, COLUMNS, count + 1);
	for (i = 0; i < count; i++)
		if (entries[i].reason_count)
			print_why_not(&entries[i]);
	for (i = 0; i <= count; i++)
		for (k = 0; k < COLUMNS; k++)
			free(rows[i].cells[k]);
}

void list_print_text(const struct entry *entries, size_t count, bool all_details)
{
	if (!count)
		printf("no QEMU guest that this user may look at runs here%s\n", geteuid() ? " (root sees all: sudo vmferry list)" : "");
	else if (!all_details)
		print_table(entries, count);
	for (size_t i = 0; all_details && i < count; i++)
		print_entry(&entries[i]);
}
