/*
 * script.c: the move that was planned as a shell script with every choice made explicit, so that it can be reviewed and
 * repeated; and the command line of the destination's QEMU.
 */
#include "transfer.h"
#include "moment.h"
#include "option-words.h"
#include "shell-quote.h"
#include "util.h"

#include <stdio.h>
#include <string.h>

static void put(const char *option, const char *value)
{
	AUTO_FREE char *quoted = shell_quote_shown(value);

	printf(" \\\n    %s %s", option, quoted);
}

static void put_text(const char *option, const char *value)
{
	if (value)
		put(option, value);
}

static void put_number(const char *option, unsigned long long value)
{
	AUTO_FREE char *text = xasprintf("%llu", value);

	put(option, text);
}

static void put_flag(const char *option, bool on)
{
	if (on)
		printf(" \\\n    %s", option);
}

static void put_way(const struct dest_config *d)
{
	put_text("--psk-file", d->psk_file);
	put_text("--token-file", d->token_file);
	put_flag("--plaintext", d->plaintext);
	put_text("--identity", d->identity);
	put_text("--port", d->ssh_port);
	put_flag("--ssh=openssh", d->openssh);
	put_flag("--ssh-accept-new", d->ssh_accept_new);
	put_flag("--keep-agent", d->keep_agent);
	put_text("--listen-address", d->listen_address);
	put_text("--via", d->via);
	put_text("--data-ports", d->data_ports);
}

/* What each NIC would be attached to, by the name that --map-net takes. */
static void put_nics(const struct transfer *t)
{
	json_t *nic;
	size_t i;

	for (i = 0; i < t->opt->map_net.count; i++)
		put("--map-net", t->opt->map_net.at[i]);
	json_array_foreach(json_object_get(t->plan, "nics"), i, nic) {
		const char *id = json_string_value(json_object_get(nic, "netdev"));
		AUTO_FREE char *as_is = id ? xasprintf("%s=as-is", id) : NULL;

		if (as_is && json_equal(json_object_get(nic, "type"), json_object_get(nic, "to_type")) &&
		    json_equal(json_object_get(nic, "attach"), json_object_get(nic, "to_attach")) && !t->opt->map_net.count)
			put("--map-net", as_is);
	}
}

static void put_disks(const struct transfer *t)
{
	unsigned i;

	for (i = 0; i < t->disks.count; i++) {
		const struct disk *d = t->disks.list[i];
		AUTO_FREE char *map = xasprintf("%s=%s", d->guest->real_path, d->to);

		const char *wish = d->old ? disk_reuse(&t->disks, d->guest) : NULL;
		AUTO_FREE char *reuse = wish ? xasprintf("%s=%s", d->guest->real_path, wish) : NULL;

		put("--disk", map);
		put_text("--reuse", reuse);
	}
	for (i = 0; i < t->disks.stays; i++) {
		const struct disk *d = t->disks.stay[i];
		const char *to = strcmp(d->to, disk_name(d)) ? d->to : "shared";
		AUTO_FREE char *stays = xasprintf("%s=%s", d->by_word ? d->guest->drive_id ?: d->guest->node : disk_name(d), to);

		put("--disk", stays);
	}
	for (i = 0; i < t->disks.lefts; i++) {
		AUTO_FREE char *empty = xasprintf("%s=empty", disk_name(t->disks.left[i]));

		put("--disk", empty);
	}
	put_text("--disk-dir", t->opt->disk_dir);
}

static void put_drops(unsigned accept)
{
	AUTO_FREE char *list =
		xasprintf("%s%s%s", accept & DISK_ACCEPT_SNAPSHOTS ? ",snapshots" : "", accept & DISK_ACCEPT_BITMAPS ? ",bitmaps" : "",
			  accept & DISK_ACCEPT_DATA_FILE ? ",data-file" : "");

	if (*list)
		put("--drop", list + 1);
}

/* Each disk stays, and each file. */
static void put_places(const struct transfer *t)
{
	put_flag("--in-place", t->opt->in_place);
	if (t->opt->in_place)
		return;
	put_disks(t);
	put("--chain", chain_words[t->opt->disks.chain]);
	put("--media", media_words[t->opt->media]);
	put_drops(t->opt->disks.accept);
}

/* Of a guest that is named by it. */
static void put_line(const struct move_options *o)
{
	size_t i;

	for (i = 0; i < o->cold.words; i++)
		put(i ? "" : "--", o->cold.line[i]);
}

int print_script(struct transfer *t, struct err *e)
{
	const struct move_options *o = t->opt;
	AUTO_FREE char *vm = shell_quote_shown(o->vm);
	AUTO_FREE char *dest = shell_quote_shown(o->dest.where);
	AUTO_FREE char *comment = shell_comment(o->cold.line ? t->src.guest.name : o->vm);
	AUTO_FREE char *cwd = shell_quote_shown(t->src.guest.cwd ?: "/");
	char at[MOMENT_TEXT];
	json_t *word;
	size_t i;

	(void)e;
	printf("#!/bin/sh\n# Moves %s as planned: every choice is explicit.\n", comment);
	if (o->cold.line) /* it may have relative paths */
		printf("cd %s || exit\n", cwd);
	printf("exec vmferry migrate%s%s %s", o->cold.line ? "" : " ", o->cold.line ? "" : vm, dest);
	put_places(t);
	put_text("--qemu", o->qemu);
	put("--how", how_words[o->how]);
	put_flag("--start", o->cold.start);
	if (o->how == HOW_WARM)
		put_number("--shutdown-timeout", o->warm.shutdown_timeout_s);
	put_flag("--force", o->warm.force);
	put_nics(t);
	put_number("--max-downtime", o->max_downtime_ms);
	put_number("--reconnect-timeout", o->reconnect_ms / 1000);
	if (o->disks.keep.partial_s) {
		AUTO_FREE char *keep = xasprintf("%us", o->disks.keep.partial_s);

		put("--keep-partial", keep);
	}
	if (o->revert_within_s) {
		AUTO_FREE char *within = xasprintf("%us", o->revert_within_s);

		put("--revert-within", within);
	}
	put("--on-stall", on_stall_words[o->on_stall]);
	if (o->carry.bwlimit)
		put_number("--bwlimit", o->carry.bwlimit);
	put_number("--channels", o->carry.channels);
	put("--codec", codec_words[o->carry.codec]);
	put("--dedup", dedup_words[o->carry.no_dedup]);
	put("--recheck", recheck_words[o->carry.recheck]);
	put("--ram-mode", ram_mode_words[o->carry.ram_mode]);
	put_number("--multifd", t->ram.multifd);
	put_flag("--hold", o->hold);
	if (o->at)
		put("--at", moment_text(at, o->at));
	put_flag("--install-unit", o->install_unit);
	put("--unit", unit_words[o->keep_unit]);
	put_flag("--starter-stopped", o->starter_stopped);
	put_way(&o->dest);
	put_line(o);
	printf("\n\n# QEMU at the destination:\n#");
	json_array_foreach(json_object_get(t->plan, "argv"), i, word) {
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
	return 0;
}
