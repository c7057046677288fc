/*
 * script.c: the move that was planned as a shell script with every choice made explicit, so that it can be reviewed and
 * repeated; and the command line of the destination's QEMU.
 */
#include "transfer.h"
#include "shell-quote.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

/* value: NULL if the option has none. */
static void put(const char *option, const char *value)
{
	AUTO_FREE char *quoted = value ? shell_quote_shown(value) : xstrdup("");

	printf(" \\\n    --%s%s%s", option, value ? " " : "", quoted);
}

/* Writes a word for each NIC that keeps its attachment, by the name that --map-net takes. */
static void put_nics(const struct transfer *t)
{
	json_t *nic;
	size_t i;

	json_array_foreach(json_object_get(t->told.plan, "nics"), i, nic) {
		const char *id = json_string_value(json_object_get(nic, "netdev"));
		AUTO_FREE char *as_is = id ? xasprintf("%s=as-is", id) : NULL;

		if (as_is && json_equal(json_object_get(nic, "type"), json_object_get(nic, "to_type")) &&
		    json_equal(json_object_get(nic, "attach"), json_object_get(nic, "to_attach")) && !t->opt->map_net.count)
			put("map-net", as_is);
	}
}

static void put_disks(const struct transfer *t)
{
	for (unsigned i = 0; i < t->disks.count; i++) {
		const struct disk *d = t->disks.list[i];
		const char *wish = d->old ? disk_reuse(&t->disks, d->guest) : NULL;
		AUTO_FREE char *map = xasprintf("%s=%s", d->guest->real_path, d->to);
		AUTO_FREE char *reuse = wish ? xasprintf("%s=%s", d->guest->real_path, wish) : NULL;

		put("disk", map);
		if (reuse)
			put("reuse", reuse);
	}
	for (unsigned i = 0; i < t->disks.uncopied.stays; i++) {
		const struct disk *d = t->disks.uncopied.stay[i];
		const char *to = strcmp(d->to, disk_name(d)) ? d->to : "shared";
		AUTO_FREE char *stays = xasprintf("%s=%s", d->by_word ? d->guest->drive_id ?: d->guest->node : disk_name(d), to);

		put("disk", stays);
	}
	for (unsigned i = 0; i < t->disks.uncopied.behinds; i++) {
		AUTO_FREE char *empty = xasprintf("%s=empty", disk_name(t->disks.uncopied.behind[i]));

		put("disk", empty);
	}
}

/* The command line of a guest that is named by it. */
static void put_line(const struct move_options *o)
{
	for (size_t i = 0; i < o->cold.words; i++) {
		AUTO_FREE char *quoted = shell_quote_shown(o->cold.line[i]);

		printf(" \\\n    %s%s", i ? "" : "-- ", quoted);
	}
}

/* Prints the user's options, with the plan's decisions in place of what was left to it. */
static void put_options(const struct transfer *t)
{
	struct move_options o = *t->opt;

	if (!o.in_place)
		put_disks(t);
	put_nics(t);
	o.disks.map.count = o.disks.reuse.count = 0;
	o.carry.multifd = (int)t->ram.multifd;
	o.dirs.state = o.dirs.runtime = NULL;
	if (o.in_place) /* says so itself */
		o.media = MEDIA_AUTO;
	if (o.how != HOW_WARM)
		o.warm.shutdown_timeout_s = 0;
	options_print(move_tables, &o, put);
}

static void put_qemu(const struct transfer *t)
{
	json_t *word;
	size_t i;

	printf("\n\n# QEMU at the destination:\n#");
	json_array_foreach(json_object_get(t->told.plan, "argv"), i, word) {
		AUTO_FREE char *quoted = shell_quote(json_string_value(word));
		char *line = quoted, *end;

		text_make_printable(quoted, true);
		while ((end = strchr(line, '\n'))) { /* each further line of an argument is a comment, too */
			printf(" %.*s\n#", (int)(end - line), line);
			line = end + 1;
		}
		printf(" %s", line);
	}
	putchar('\n');
}

int print_script(struct transfer *t, struct err *e)
{
	const struct move_options *o = t->opt;
	AUTO_FREE char *vm = shell_quote_shown(o->vm);
	AUTO_FREE char *dest = shell_quote_shown(o->dest.where);
	AUTO_FREE char *comment = shell_comment(o->cold.line ? t->src.guest.name : o->vm);
	AUTO_FREE char *cwd = shell_quote_shown(t->src.guest.cwd ?: "/");

	(void)e;
	printf("#!/bin/sh\n# Moves %s as planned: every choice is explicit.\n", comment);
	if (o->cold.line) /* the line's paths may be relative */
		printf("cd %s || exit\n", cwd);
	printf("exec vmferry migrate%s%s %s", o->cold.line ? "" : " ", o->cold.line ? "" : vm, dest);
	put_options(t);
	put_line(o);
	put_qemu(t);
	return 0;
}
