/* host-here.c: see host-here.h. Guests are told by /proc alone: nothing is asked of them, and what their lines say is only shown. */
#include "host-here.h"
#include "host-state.h"
#include "json-text.h"
#include "onward.h"
#include "points.h"
#include "points-note.h"
#include "qemu-args.h"
#include "qemu-find.h"
#include "process.h"
#include "ticket.h"
#include "util.h"
#include "words.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES (256 * 1024)
#define WORDS_MAX      4096
#define GUESTS_MAX     4096
#define VOLUMES_MAX    64

/* ---- guests ---- */

static char *read_line_of(pid_t pid, size_t *n)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/cmdline", (int)pid);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = xcalloc(LINE_MAX_BYTES + 1, 1);
	ssize_t r;

	*n = 0;
	while (fd >= 0 && *n < LINE_MAX_BYTES && (r = read(fd, text + *n, LINE_MAX_BYTES - *n)) > 0)
		*n += (size_t)r;
	return text;
}

static size_t split(char *text, size_t n, char **words)
{
	size_t count = 0, at;

	for (at = 0; at < n && count < WORDS_MAX; at += strlen(text + at) + 1)
		words[count++] = text + at;
	words[count] = NULL;
	return count;
}

static json_t *text_json(char *text)
{
	text_make_utf8(text);
	return json_string(text);
}

/* Names are those of /etc/passwd alone: a static program cannot ask the other places where this host's users may be. */
static void describe_user(json_t *guest, pid_t pid)
{
	FILE *users = fopen("/etc/passwd", "re");
	const struct passwd *one = NULL;
	uid_t user;

	if (!process_user(pid, &user)) {
		while (users && (one = fgetpwent(users)) && one->pw_uid != user)
			;
		json_object_set_new(guest, "user", one && text_is_utf8(one->pw_name) ? json_string(one->pw_name) : json_integer(user));
	}
	if (users)
		fclose(users);
}

static json_t *guest_of(pid_t pid, char **words, size_t count)
{
	char *named = qemu_args_name(words, count);
	struct args_basics basics;
	json_t *guest;

	qemu_args_basics(&basics, words, count);
	named = named ?: xasprintf("qemu-%d", (int)pid);
	guest = json_pack("{s:o,s:i,s:I,s:i,s:I}", "name", text_json(named), "pid", (int)pid, "ram_bytes", (json_int_t)basics.ram_bytes,
			  "vcpus", (int)basics.vcpus, "resident_bytes", (json_int_t)process_resident_bytes(pid));
	free(named);
	describe_user(guest, pid);
	return guest;
}

static char *program_of(pid_t pid)
{
	AUTO_FREE char *path = xasprintf("/proc/%d/exe", (int)pid);
	char target[4096];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	return n > 0 ? xstrndup(target, (size_t)n) : NULL;
}

/* Skips QEMUs with `-machine none`, which only probe capabilities. */
static bool runs_a_guest(char *const *words, size_t count)
{
	for (size_t i = 1; i + 1 < count; i++)
		if ((!strcmp(words[i], "-M") || !strcmp(words[i], "-machine")) && text_starts_with(words[i + 1], "none"))
			return false;
	return count > 1;
}

static void look_at(json_t *guests, pid_t pid)
{
	AUTO_FREE char *exe = program_of(pid);
	AUTO_FREE char *name = exe ? qemu_find_program(exe) : NULL;
	AUTO_FREE char **words = NULL;
	AUTO_FREE char *text = NULL;
	size_t n, count;

	if (!name)
		return;
	text = read_line_of(pid, &n);
	words = xcalloc(WORDS_MAX + 1, sizeof(*words));
	count = split(text, n, words);
	if (runs_a_guest(words, count))
		json_array_append_new(guests, guest_of(pid, words, count));
}

static json_t *guests_here(void)
{
	DIR *proc = opendir("/proc");
	json_t *guests = json_array();
	struct dirent *one;

	while (proc && (one = readdir(proc)) && json_array_size(guests) < GUESTS_MAX)
		if (*one->d_name > '0' && *one->d_name <= '9')
			look_at(guests, (pid_t)atoi(one->d_name));
	if (proc)
		closedir(proc);
	return guests;
}

/* ---- the host ---- */

/* Bridges, by their names. */
static json_t *bridges_here(void)
{
	DIR *net = opendir("/sys/class/net");
	json_t *bridges = json_array();
	struct dirent *one;

	while (net && (one = readdir(net))) {
		AUTO_FREE char *path = xasprintf("/sys/class/net/%s/bridge", one->d_name);

		if (*one->d_name != '.' && !access(path, F_OK))
			json_array_append_new(bridges, json_string(one->d_name));
	}
	if (net)
		closedir(net);
	return bridges;
}

/* A file system on which disks may lie. One of another host is not looked at: if that is gone, so would be whoever looks. */
static bool may_have_disks(const struct mntent *m)
{
	static const char *const kinds[] = {"zfs", "btrfs", NULL};

	return word_index(kinds, m->mnt_type) >= 0 ||
	       (text_starts_with(m->mnt_fsname, "/dev/") && strcmp(m->mnt_type, "squashfs") != 0 && strcmp(m->mnt_type, "iso9660") != 0);
}

static json_t *volumes_here(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	dev_t seen[VOLUMES_MAX];
	json_t *volumes = json_array(), *volume;
	struct mntent *m;
	struct stat st;
	size_t n = 0, i;

	while (mounts && n < VOLUMES_MAX && (m = getmntent(mounts))) {
		if (!may_have_disks(m) || stat(m->mnt_dir, &st) || !S_ISDIR(st.st_mode))
			continue;
		for (i = 0; i < n && seen[i] != st.st_dev; i++)
			;
		volume = i == n && text_is_utf8(m->mnt_dir) ? host_volume(m->mnt_dir, 0) : NULL;
		if (!volume)
			continue;
		seen[n++] = st.st_dev;
		json_object_del(volume, "need");
		json_array_append_new(volumes, volume);
	}
	if (mounts)
		endmntent(mounts);
	return volumes;
}

/* Pair and term are told where points cannot be read, too. asked: of this guest a further host is asked, where its points go on. */
static json_t *replica_of(const char *state_dir, const char *dir, const char *asked)
{
	struct points p = {.dir = NULL};
	struct err e;
	int r = points_read(&p, dir, &e);
	json_t *one = r && json_integer_value(json_object_get(p.replica, "term")) < 1 ? json_pack("{s:s}", "error", e.msg)
										      : points_told(&p, state_dir);

	if (asked && onward_to(&p) && !onward_replaced(&p))
		json_object_set_new(one, "further", onward_ask(state_dir, asked));
	points_close(&p);
	return one;
}

/* Replicas whose points are here, or were. A note that cannot be read is of the guest that its name says. */
int replicas_here(const char *state_dir, const char *asked)
{
	AUTO_FREE char *dir = xasprintf("%s/replicas", state_dir);
	DIR *d = opendir(dir);
	json_t *list = d || errno == ENOENT ? json_array() : NULL, *all, *one;
	struct dirent *de;

	while (d && (de = readdir(d)) && json_array_size(list) < GUESTS_MAX) {
		AUTO_FREE char *path = xasprintf("%s/%s", dir, de->d_name), *guest = points_note_guest(de->d_name);
		json_error_t why;
		json_t *note = guest ? json_load_file(path, 0, &why) : NULL;

		if (!guest)
			continue;
		one = json_text(note, "dir") ? replica_of(state_dir, json_text(note, "dir"),
							  asked && !strcmp(json_text(note, "guest") ?: "", asked) ? asked : NULL)
					     : json_pack("{s:s}", "error", "its note is damaged");
		json_object_set_new(one, "guest",
				    json_text(note, "guest") ? json_incref(json_object_get(note, "guest")) : json_string(guest));
		json_array_append_new(list, one);
		json_decref(note);
	}
	if (d)
		closedir(d);
	all = json_pack("{s:o*}", "replicas", list);
	json_text_print(all);
	json_decref(all);
	return fflush(stdout) ? 1 : 0;
}

int host_here(const char *runtime_dir)
{
	json_t *all = host_state(), *coming = NULL;
	struct err ignored;

	json_object_set_new(all, "guests", guests_here());
	json_object_set_new(all, "bridges", bridges_here());
	json_object_set_new(all, "volumes", volumes_here());
	if (runtime_dir && !ticket_note(NULL, runtime_dir, "in", NULL, &coming, &ignored))
		json_object_set_new(all, "coming", coming);
	json_text_print(all);
	json_decref(all);
	return fflush(stdout) ? 1 : 0;
}
