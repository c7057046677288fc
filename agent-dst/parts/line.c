/* line.c: see line.h. */
#include "line.h"
#include "clients.h"
#include "in-place.h"
#include "json-text.h"
#include "made.h"
#include "memory-file.h"
#include "network-storage.h"
#include "memory-room.h"
#include "names.h"
#include "preflight.h"
#include "qemu-args-json.h"
#include "taps.h"
#include "trial.h"
#include "shell-quote.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <libgen.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct line *line_of(struct part *p)
{
	return container_of(p, struct line, part);
}

/* ---- the line ---- */

static char **strings(const json_t *array, size_t *count)
{
	char **s = xcalloc(json_array_size(array) + 1, sizeof(*s));
	json_t *v;
	size_t i, n = 0;

	json_array_foreach((json_t *)array, i, v)
		if (json_is_string(v))
			s[n++] = (char *)json_string_value(v);
	*count = n;
	return s;
}

/* True if the new command line has the disk at its place here. */
static bool is_named(const struct line *l, const char *path)
{
	for (size_t i = 0; i < l->target->args.file_count; i++)
		if (l->target->args.files[i].to && !strcmp(l->target->args.files[i].to, path))
			return true;
	return false;
}

/* Names by which the command line may call the disk. */
static size_t names_of(const struct line *l, const struct staying_disk *d, const char **out)
{
	const json_t *said = target_described_disk(l->target, d->object);
	size_t n = 0;

	out[n++] = json_text(said, "node");
	if (json_text(said, "drive"))
		out[n++] = json_text(said, "drive");
	return n;
}

/* A disk's, or a backing file's, which the line may not call read-only. */
static bool is_known_here(const struct line *l, const char *path)
{
	for (size_t i = 0; i < l->disks->count; i++)
		if (!strcmp(l->disks->list[i].path, path))
			return true;
	for (size_t i = 0; i < l->disks->stays; i++)
		if (!strcmp(l->disks->stay[i].path, path))
			return true;
	for (size_t i = 0; i < l->files->count; i++)
		if (l->files->list[i].to && !strcmp(l->files->list[i].to, path))
			return true;
	return false;
}

/* Refuses a writable disk of the line that is not carried: QEMU would write to any file that has its name there. */
static int check_is_carried(const struct line *l, const struct args_file *f, struct err *e)
{
	bool is_disk = f->role == ARGS_DISK || f->role == ARGS_PFLASH_VARS;

	return !is_disk || f->read_only || !f->to || is_known_here(l, f->to)
		       ? 0
		       : err_set(e, ENOTSUP,
				 "the guest's command line has the disk %s (-%s), which its QEMU has in none of its drives: it is not carried, and "
				 "the destination's QEMU would open what has its name there",
				 f->path, f->option);
}

/* The generation ID that the source's QEMU reports; NULL: none, or not a UUID. */
static const char *generation(const struct line *l)
{
	const char *guid = json_text(l->target->description, "vmgenid");

	return guid && strlen(guid) == 36 && strspn(guid, "0123456789abcdefABCDEF-") == 36 ? guid : NULL;
}

static void refused(void *ctx, const struct err *why)
{
	struct line *l = ctx;

	l->is_part = true;
	target_obstacle(l->target, why);
}

/* Answers args_options.keeps_name, and notes each path that keeps its name, so that it is owned before QEMU makes it. */
static bool keeps_name(void *ctx, enum args_role role, const char *path)
{
	struct line *l = ctx;
	AUTO_FREE char *why_not = names_why_not(l->disks->state_dir, role, path);

	if (!why_not)
		json_object_set_new(l->kept, path, json_integer(role));
	return !why_not;
}

/* True if the guest would see another disk with the options that it has in the source's line. */
static bool must_be_shown(const struct arriving_disk *d)
{
	return d->source.part || disk_is_on_larger(d);
}

/* Disks that the line has otherwise than QEMU says. */
static void check_disks(const struct line *l, const bool *shown)
{
	struct err e;

	for (size_t i = 0; i < l->disks->count; i++)
		if (!is_named(l, l->disks->list[i].path) || (!shown[i] && must_be_shown(&l->disks->list[i]))) {
			err_set(&e, ENOTSUP, "disk %s does not stand in the guest's command line in a way that can be rewritten",
				l->disks->list[i].source.name);
			target_obstacle(l->target, &e);
		}
	for (size_t i = 0; i < l->disks->stays; i++)
		if (!l->disks->stay[i].by_word && !is_named(l, l->disks->stay[i].path)) {
			err_set(&e, ENOTSUP, "disk %s does not stand in the guest's command line in a way that can be rewritten",
				l->disks->stay[i].from);
			target_obstacle(l->target, &e);
		}
	for (size_t i = 0; i < l->target->args.file_count; i++)
		if (check_is_carried(l, &l->target->args.files[i], &e))
			target_obstacle(l->target, &e);
}

/* The entry of a disk for the rewriting of the line. An image that is carried as a file keeps the options that it is read with. */
static struct args_map map_of(const struct arriving_disk *d, const char *from, bool *shown)
{
	return (struct args_map){.from = from,
				 .to = d->path,
				 .format = d->as_file ? NULL : d->format,
				 .to_device = d->device,
				 .anew = !d->as_file && !strcmp(d->format, "raw"),
				 .shows = disk_is_on_larger(d) ? d->virtual_size : 0,
				 .shown = shown};
}

static int rewrite(struct line *l, struct err *e)
{
	const json_t *files = json_object_get(l->target->description, "files");
	AUTO_FREE struct args_map *map =
		xcalloc(2 * (l->disks->count + l->disks->stays + l->files->count) + json_array_size(files) + 2, sizeof(*map));
	struct args_options o = {.socket_dir = target_is_in_place(l->target) ? NULL : l->target->dir,
				 .in_place = target_is_in_place(l->target),
				 .tap_index = if_nametoindex,
				 .disks = map,
				 .private_qmp = l->target->qmp_path,
				 .tpm = true,
				 .no_state = !target_has_state(l->target),
				 .at_rest = target_is_at_rest(l->target),
				 .refused = refused,
				 .keeps_name = keeps_name,
				 .ctx = l};
	AUTO_FREE struct args_config *configs = NULL;
	AUTO_FREE struct args_net_map *nets = NULL;
	AUTO_FREE struct args_net_map *bridges = NULL;
	AUTO_FREE const char **network = xcalloc(2 * l->disks->stays + 1, sizeof(*network));
	AUTO_FREE char **argv = NULL;
	AUTO_FREE bool *shown = xcalloc(l->disks->count + 1, sizeof(*shown));
	size_t argc, i;
	int r;

	for (i = 0; i < l->disks->count; i++) {
		const struct arriving_disk *d = &l->disks->list[i];

		map[o.disk_count++] = map_of(d, d->source.name, &shown[i]);
		map[o.disk_count++] = map_of(d, json_text(target_described_disk(l->target, d->object), "real_path"), &shown[i]);
	}
	for (i = 0; i < l->disks->stays; i++) {
		const struct staying_disk *d = &l->disks->stay[i];

		if (d->by_word) {
			o.network_count += names_of(l, d, network + o.network_count);
			continue;
		}
		map[o.disk_count++] = (struct args_map){.from = d->from, .to = d->path, .format = d->format};
		map[o.disk_count++] = (struct args_map){.from = d->real, .to = d->path, .format = d->format};
	}
	o.disk_count += files_map(l->files, map + o.disk_count);
	if (l->tpm->from)
		map[o.disk_count++] = (struct args_map){.from = l->tpm->from, .to = l->tpm->swtpm.socket};
	o.disk_count += args_ejected_of(map + o.disk_count, files);
	o.network = network;
	o.config_count = args_configs_of(&configs, json_object_get(l->target->description, "configs"));
	o.configs = configs;
	o.net_count = args_nets_of(&nets, json_object_get(l->target->description, "map_net"));
	o.nets = nets;
	o.bridge_count = args_nets_of(&bridges, l->bridges);
	o.bridges = bridges;
	o.machine = json_text(l->target->description, "machine");
	o.cwd = json_text(l->target->description, "cwd");
	o.vmgenid = generation(l);
	argv = strings(json_object_get(l->target->description, "argv"), &argc);
	if (argc < 1)
		return err_set(e, EPROTO, "the source sent no command line");
	l->kept = l->kept ?: json_object();
	r = qemu_args_rewrite(&l->target->args, argv, argc, &o, e);
	if (!r && !l->is_part && !l->disks->refused && !target_is_refused(l->target))
		check_disks(l, shown);
	return r;
}

/* ---- what must be here ---- */

static bool is_to_be_made(const struct line *l, const char *path)
{
	return l->target->makes_dir && !strcmp(path, l->target->dir);
}

/* The file that it needs, or the directory that it needs to make one in (a file behind memory); NULL: none. Malloc'ed. */
static char *needs(enum args_role role, const char *path)
{
	AUTO_FREE char *copy = xstrdup(path);

	if (args_role_is_memory(role) && access(path, F_OK))
		return xstrdup(dirname(copy));
	return role == ARGS_SECRET || role == ARGS_SCRIPT || role == ARGS_DIRECTORY || args_role_is_memory(role) ||
			       role == ARGS_HOST_DEVICE || role == ARGS_CONNECT
		       ? xstrdup(path)
		       : NULL;
}

/* " (bridges here: br0, br1)" */
static char *bridges_here(void)
{
	DIR *d = opendir("/sys/class/net");
	char *all = xstrdup(""), *longer;
	struct dirent *x;

	while (d && (x = readdir(d))) {
		AUTO_FREE char *path = xasprintf("/sys/class/net/%s/bridge", x->d_name);

		if (access(path, F_OK))
			continue;
		longer = xasprintf("%s%s%s", all, *all ? ", " : "", x->d_name);
		free(all);
		all = longer;
	}
	if (d)
		closedir(d);
	return all;
}

/* Refuses a TPM that the source does not describe, as we must start one of our own. */
static int check_tpm(const struct line *l, const struct args_file *f, struct err *e)
{
	return f->role != ARGS_TPM || (l->tpm->from && f->to && !strcmp(f->to, l->tpm->swtpm.socket))
		       ? 0
		       : err_set(e, EINVAL, "the guest has a TPM at %s, which its source does not describe: is its vmferry an older one?",
				 f->path);
}

static int check_nic(const struct args_nic *n, struct err *e)
{
	const char *name = n->netdev ? n->netdev : n->mac ? n->mac : "?";
	AUTO_FREE char *path = NULL;

	if (!n->to_type || strcmp(n->to_type, "bridge") || !n->to_attach)
		return 0;
	path = xasprintf("/sys/class/net/%s/bridge", n->to_attach);
	if (access(path, F_OK)) {
		AUTO_FREE char *all = bridges_here();

		return err_set(
			e, ENODEV,
			"NIC %s is attached to bridge %s, and there is no such bridge at the destination (%s%s); say what it is "
			"to be attached to: --map-net %s=bridge:…, make the bridge, or give it the label of the other in /etc/vmferry/host of both hosts",
			name, n->to_attach, *all ? "there are: " : "there is none", all, name);
	}
	return 0;
}

static bool has_address(const char *interface)
{
	struct ifaddrs *all = NULL, *a;
	bool has = false;

	if (getifaddrs(&all))
		return true; /* the addresses cannot be listed, so nobody knows */
	for (a = all; a; a = a->ifa_next)
		has |= a->ifa_addr && !strcmp(a->ifa_name, interface) &&
		       (a->ifa_addr->sa_family == AF_INET || (a->ifa_addr->sa_family == AF_INET6 &&
							      /* a link-local address does not count: every interface that is up has one */
							      !IN6_IS_ADDR_LINKLOCAL(&((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr)));
	freeifaddrs(all);
	return has;
}

/* A tap by its name, which QEMU makes where there is none, and attaches to nothing. */
static void tell_of_nic(const struct line *l, const struct args_nic *n)
{
	const char *name = n->netdev ? n->netdev : n->mac ? n->mac : "?";
	AUTO_FREE char *path = NULL;
	bool there;

	if (!n->to_type || strcmp(n->to_type, "tap") || !n->to_attach || !n->unscripted || n->stand_in)
		return;
	path = xasprintf("/sys/class/net/%s/master", n->to_attach);
	there = if_nametoindex(n->to_attach);
	if (there && (!access(path, F_OK) || has_address(n->to_attach)))
		return;
	json_array_append_new(l->cautions,
			      json_sprintf("NIC %s: %s tap %s %s: the guest may have no network there", name, there ? "its" : "there is no",
					   n->to_attach,
					   there ? "is in no bridge, and has no address" : "and QEMU makes one that is in no bridge"));
}

/* True if a disk that stays lies beside path, where QEMU would put its socket, or log, in the place of the guest's own. */
static bool is_beside_a_disk_that_stays(const struct line *l, const char *path)
{
	struct stat it, disk;

	if (stat(path, &it) || (!S_ISSOCK(it.st_mode) && !S_ISREG(it.st_mode)))
		return false;
	for (size_t i = 0; i < l->disks->stays; i++)
		if (!stat(l->disks->stay[i].path, &disk) && disk.st_dev == it.st_dev)
			return true;
	return false;
}

/* Warns of existing logs that QEMU will truncate: they do not prevent the move, but the user may need their contents. */
static void tell_of_logs(const struct line *l)
{
	struct stat st;

	for (size_t i = 0; i < l->target->args.file_count && !target_is_in_place(l->target); i++) {
		const struct args_file *f = &l->target->args.files[i];

		if (f->role == ARGS_LOG && f->to && !stat(f->to, &st) && S_ISREG(st.st_mode) && st.st_size)
			json_array_append_new(
				l->cautions, json_sprintf("log %s (-%s) exists there: QEMU empties it, unless its command line says append",
							  f->to, f->option));
	}
}

/* Refuses a memory file that another guest uses: loading this guest would overwrite the other's memory. */
static int check_memory(const struct args_file *f, const char *path, struct err *e)
{
	pid_t pid = memory_file_user(f, path);
	AUTO_FREE char *who = process_text(pid);

	return pid ? err_set(e, EBUSY, "the guest's memory is to be in the file %s, which %s has open at the destination", path, who) : 0;
}

/* Checks a file of memory that keeps its contents: no digest compares them. */
static int check_kept_memory(const struct args_file *f, const char *path, struct err *e)
{
	struct stat st;

	if (f->role != ARGS_PMEM)
		return 0;
	if (f->read_only)
		return err_set(
			e, ENOTSUP,
			"the guest has memory (nvdimm) that begins with what is in the file %s (share=off), which is not carried: at its "
			"next start there it would find another",
			path);
	return !stat(path, &st) && S_ISREG(st.st_mode) && st.st_size
		       ? err_set(e, EEXIST,
				 "the file for a part of the guest's memory (nvdimm), %s, already exists at the destination, and the move "
				 "would overwrite it: if it is not needed, remove it first",
				 path)
		       : 0;
}

/* The refusal names a cure for each kind of file. */
static int refuse_missing(const struct args_file *f, const char *path, struct err *e)
{
	AUTO_FREE char *quoted = shell_quote(path);
	bool is_net = f->role == ARGS_SCRIPT && (text_starts_with(f->option, "net") || !strcmp(f->option, "nic"));
	AUTO_FREE char *make = f->role == ARGS_DIRECTORY || args_role_is_memory(f->role)
				       ? xasprintf(": make it there (mkdir -p %s)%s", quoted,
						   f->role == ARGS_DIRECTORY ? ", with what the guest is to find in it" : "")
			       : f->role == ARGS_CONNECT ? xstrdup(": start what listens on it there")
			       : is_net			 ? xstrdup(": bring it there (--map-net NIC=… has it be on something else there)")
			       : f->role == ARGS_SECRET || f->role == ARGS_SCRIPT ? xstrdup(": bring it there")
										  : NULL;

	return err_set(e, ENOENT, "-%s needs %s %s, which does not exist at the destination%s", f->option,
		       f->role == ARGS_CONNECT ? "the socket" : args_role_name(f->role), path, make ?: "");
}

/* A QEMU that somebody built has that script where it was told to. */
static bool is_elsewhere(const char *exe, const char *path)
{
	return exe && !strcmp(path, ARGS_IFUP) && !strstr(exe, "/usr/bin/") && !strstr(exe, "/usr/libexec/");
}

static int check_there(const struct line *l, const struct args_file *f, struct err *e)
{
	const char *named = f->to ? f->to : f->path;
	/* QEMU looks for its own files elsewhere, too, if a directory of -L is missing */
	bool asked = named && named[0] == '/' && strcmp(f->option, "L") && !is_elsewhere(l->target->exe, named);
	AUTO_FREE char *path = asked ? needs(f->role, named) : NULL;

	if (check_tpm(l, f, e) || (named && (check_memory(f, named, e) || check_kept_memory(f, named, e))) ||
	    (asked && f->role == ARGS_FIFO && names_check_fifo(f, e)))
		return -e->code;
	if (path && access(path, F_OK) && !is_to_be_made(l, path))
		return refuse_missing(f, path, e);
	return path && f->role == ARGS_SCRIPT ? names_check_program(f, path, e) : 0;
}

static int check_made(const struct line *l, const struct args_file *f, struct err *e)
{
	if (!args_role_is_made(f->role) || !f->to || target_is_in_place(l->target))
		return 0;
	if (is_beside_a_disk_that_stays(l, f->to))
		return err_set(e, EEXIST,
			       "%s, which the guest's QEMU makes (-%s), exists at the destination, on storage that both hosts see: it "
			       "may be the one that the guest has now. Choose a directory of that host's own for such: --disk-dir DIR, and "
			       "say which disks stay: --disk DISK=shared",
			       f->to, f->option);
	return args_role_is_memory(f->role) ? 0 : names_check_unused(f, e);
}

/* Files, directories, bridges and taps that the new command line needs and nobody brings: each that is missing. */
static void check_surroundings(const struct line *l)
{
	const struct args_result *args = &l->target->args;
	struct err e;

	for (size_t i = 0; i < args->file_count; i++) {
		if (check_there(l, &args->files[i], &e))
			target_obstacle(l->target, &e);
		if (check_made(l, &args->files[i], &e))
			target_obstacle(l->target, &e);
	}
	clients_examine(l->target);
	if (target_is_in_place(l->target) && in_place_examine(l->target, &e))
		target_obstacle(l->target, &e);
	if (target_is_in_place(l->target) && taps_examine(l->target, &e))
		target_obstacle(l->target, &e);
	for (size_t i = 0; i < args->nic_count; i++)
		if (check_nic(&args->nics[i], &e) || taps_check_free(&args->nics[i], l->target->exe, &e) ||
		    taps_check_queues(args, &args->nics[i], &e))
			target_obstacle(l->target, &e);
	if (target_is_in_place(l->target))
		memory_room_examine(l->target);
}

/* ---- QEMU's opinion ---- */

static void add_obstacles(struct target *t, int code, const json_t *sentences)
{
	json_t *one;
	struct err e;
	size_t i;

	json_array_foreach((json_t *)sentences, i, one) {
		err_set(&e, code, "%s", json_string_value(one));
		target_obstacle(t, &e);
	}
}

static void add_misfit(struct target *t, char *why /* freed */)
{
	struct err e;

	if (why) {
		target_misfit(&e, why);
		target_obstacle(t, &e);
	}
	free(why);
}

/* True if the guest has a file of such a role, by that option (NULL: any), which a trial is without. */
static bool has_own(const struct args_result *args, enum args_role role, const char *option)
{
	for (size_t i = 0; i < args->file_count; i++)
		if (args->files[i].role == role && (!option || !strcmp(args->files[i].option, option)))
			return true;
	return false;
}

/* A trial has the ROMs of this host in place of those that -global names. */
static const json_t *roms_to_try(const struct target *t)
{
	return has_own(&t->args, ARGS_ROM, "global") ? NULL : json_object_get(t->description, "roms");
}

/* A file that is missing is an obstacle already, and QEMU's word of it is the same one. */
static void forget_missing(const struct line *l, json_t *reasons)
{
	const struct args_result *args = &l->target->args;
	size_t i, k;

	for (k = json_array_size(reasons); k-- > 0;)
		for (i = 0; i < args->file_count; i++) {
			const struct args_file *f = &args->files[i];
			const char *said = json_string_value(json_array_get(reasons, k));
			struct err ignored;

			if (f->to && said && strstr(said, f->to) && strstr(said, "No such file") && check_there(l, f, &ignored)) {
				json_array_remove(reasons, k);
				break;
			}
		}
}

/* Tries the line with a QEMU. In place the ports and sockets are still the other QEMU's, and the line refuses what two cannot both have. */
static void try_line(struct line *l, char *const *env)
{
	const struct trial trial = {.exe = l->target->exe,
				    .env = env,
				    .argv = l->target->args.argv,
				    .argc = l->target->args.argc,
				    .work_dir = l->target->run_dir,
				    .rings = json_object_get(l->target->description, "rings"),
				    .roms = roms_to_try(l->target),
				    .own_bios = has_own(&l->target->args, ARGS_BIOS, NULL),
				    .takes_state = target_has_state(l->target)};
	struct trial_misfits misfits;
	json_t *reasons;

	if (target_is_in_place(l->target))
		return;
	reasons = network_storage_reasons(&trial, l->part.a->loop);
	add_obstacles(l->target, ENOTCONN, reasons);
	json_decref(reasons);
	reasons = trial_reasons(&trial, l->part.a->loop, &misfits);
	forget_missing(l, reasons);
	add_obstacles(l->target, EINVAL, reasons);
	add_obstacles(l->target, ENOTSUP, misfits.devices);
	json_decref(reasons);
	json_decref(misfits.devices);
	add_misfit(l->target, misfits.rings);
	add_misfit(l->target, misfits.roms);
}

/* Asks this host's QEMU about the command line, in a directory that exists only for this. */
static int ask_qemu(struct line *l, struct err *e)
{
	char **env = target_environment(l->target);
	struct preflight p = {.exe = l->target->exe,
			      .env = env,
			      .argv = l->target->args.argv,
			      .argc = l->target->args.argc,
			      .work_dir = l->target->run_dir,
			      .description = l->target->description,
			      .takes_state = target_has_state(l->target)};
	int r = 0;

	json_decref(l->cautions);
	p.cautions = l->cautions = json_array();
	if (mkdir(l->target->run_dir, 0700))
		r = err_sys(e, errno, "cannot create %s", l->target->run_dir);
	r = r ?: preflight_qemu(&p, l->part.a->loop, &l->findings, &l->qemu_version, e);
	l->wants_names = p.wants_names;
	l->start_ms = p.start_ms;
	if (p.has_words)
		args_write_known_words(&l->target->args, &p.words);
	/* a line from which something was left out may still name that, and where CPU names were asked for, the trial waits for them.
	 * libvirt makes its own line, and tries it when it starts QEMU: nothing of this one is left to try */
	if (p.started && !l->is_part && !l->target->libvirt.domain && (!l->wants_names || l->asked))
		try_line(l, env);
	rmdir(l->target->run_dir);
	target_free_environment(env);
	if (!r && geteuid())
		json_array_append_new(l->cautions,
				      json_sprintf("user there: %d, not root, so that files belong to that user", (int)geteuid()));
	return r;
}

/* A change that leaves something to be done by hand, which is shown whatever else is not. */
static bool is_to_be_done(const char *note)
{
	return strstr(note, "(set_password)") || strstr(note, ARGS_HAVE_DEVICE) || strstr(note, ARGS_START_PROCESS);
}

static int examine(struct part *p, struct err *e)
{
	struct line *l = line_of(p);
	int r = rewrite(l, e);

	if (r)
		return r;
	check_surroundings(l);
	r = l->target->exe ? ask_qemu(l, e) : 0;
	if (r || !l->findings)
		return r;
	if (l->target->makes_dir)
		json_array_append_new(l->cautions, json_sprintf("the directory %s is not there, and is made", l->target->dir));
	if (l->target->makes_below)
		json_array_append_new(l->cautions, json_sprintf("the directory %s is not there, and is made", l->target->makes_below));
	tell_of_logs(l);
	for (size_t i = 0; i < l->target->args.note_count; i++)
		if (is_to_be_done(l->target->args.notes[i]))
			json_array_append_new(l->cautions, json_string(l->target->args.notes[i]));
	if (!target_is_in_place(l->target))
		names_tell(l->disks->state_dir, &l->target->args, l->cautions);
	for (size_t i = 0; i < l->target->args.nic_count; i++)
		tell_of_nic(l, &l->target->args.nics[i]);
	taps_tell(l->target, l->cautions);
	clients_tell(l->target, l->cautions);
	return 0;
}

int line_examine_again(struct line *l, const json_t *description, struct err *e)
{
	json_object_set(l->target->description, "cpu", json_object_get(description, "cpu"));
	return ask_qemu(l, e);
}

static int describe(struct part *p, json_t *accept, struct err *e)
{
	const struct line *l = line_of(p);
	const struct args_result *args = &l->target->args;
	json_t *argv = json_array(), *notes = json_array();

	(void)e;
	for (size_t i = 0; i < args->argc; i++)
		json_array_append_new(argv, json_string(args->argv[i]));
	for (size_t i = 0; i < args->note_count; i++)
		if (!l->findings || !is_to_be_done(args->notes[i])) /* no cautions are told without findings */
			json_array_append_new(notes, json_string(args->notes[i]));
	json_object_set_new(accept, "argv", argv);
	json_object_set_new(accept, "notes", notes);
	json_object_set_new(accept, "files", args_files_json(args));
	json_object_set_new(accept, "nics", args_nics_json(args));
	json_object_set(accept, "findings", l->findings);
	if (json_array_size(l->cautions) && json_array_extend(json_object_get(accept, "cautions"), l->cautions)) /* another part has none */
		json_object_set(accept, "cautions", l->cautions);
	json_object_set_new(accept, "qemu_version", json_string(l->qemu_version));
	if (json_is_true(json_object_get(l->target->description, "estimate")))
		json_object_set_new(accept, "qemu_ms", json_real(l->start_ms));
	return 0;
}

/* Owns the names that the guest keeps, so that no other move takes one. */
static int prepare(struct part *p, struct err *e)
{
	struct line *l = line_of(p);
	const char *path;
	json_t *role;
	int r = 0;

	json_object_foreach(l->kept, path, role) {
		AUTO_FREE char *why_not = r ? NULL : names_why_not(l->disks->state_dir, (enum args_role)json_integer_value(role), path);

		if (why_not)
			r = err_set(e, EEXIST, "%s, as the guest's QEMU was to make it, cannot be made any more: %s. Move again", path,
				    why_not);
		r = r ?: made_own(p->a, "name", path, e);
	}
	return r;
}

static void fini(struct part *p)
{
	json_decref(line_of(p)->bridges);
	json_decref(line_of(p)->kept);
	json_decref(line_of(p)->findings);
	json_decref(line_of(p)->cautions);
	free(line_of(p)->qemu_version);
}

static const struct part_ops ops = {.name = "line", .examine = examine, .describe = describe, .prepare = prepare, .fini = fini};

void line_init(struct line *l, struct target *target, const struct disks *disks, const struct files *files, const struct tpm *tpm)
{
	*l = (struct line){.part = {&ops, target->part.a}, .target = target, .disks = disks, .files = files, .tpm = tpm};
}
