/* qemu-args-files.c: the host files that a line refers to: the role of each, and its name at the destination. */
#include "qemu-args-rules.h"
#include "util.h"
#include "words.h"

#include <errno.h>
#include <string.h>

/* sizeof(sun_path) - 1: longer unix socket paths do not exist (unix(7)). */
#define SOCKET_PATH_MAX 107

enum policy {
	CONTENT,   /* a file whose contents matter: copied, or brought there by the user */
	THERE,	   /* a file of that name must exist there */
	WRITTEN,   /* QEMU makes it: under its own name or as SOCKET_DIR/BASENAME */
	UNNOTICED, /* every host has one */
};

/* Roles, in the order of enum args_role. */
static const struct role {
	const char *name; /* name for JSON */
	const char *noun; /* noun for people */
	enum policy policy;
} roles[ARGS_ROLES] = {
	[ARGS_DISK] = {"disk", "disk", CONTENT},
	[ARGS_PFLASH_CODE] = {"pflash-code", "firmware", CONTENT},
	[ARGS_PFLASH_VARS] = {"pflash-vars", "firmware variables", CONTENT},
	[ARGS_MEDIA] = {"media", "medium", CONTENT},
	[ARGS_KERNEL] = {"kernel", "kernel", CONTENT},
	[ARGS_INITRD] = {"initrd", "initrd", CONTENT},
	[ARGS_DTB] = {"dtb", "device tree", CONTENT},
	[ARGS_SHIM] = {"shim", "shim", CONTENT},
	[ARGS_BIOS] = {"bios", "firmware", CONTENT},
	[ARGS_ROM] = {"rom", "option ROM", CONTENT},
	[ARGS_FW_CFG] = {"fw_cfg", "fw_cfg file", CONTENT},
	[ARGS_SMBIOS] = {"smbios", "SMBIOS table", CONTENT},
	[ARGS_ACPITABLE] = {"acpitable", "ACPI table", CONTENT},
	[ARGS_DATA] = {"data", "file", CONTENT},
	[ARGS_SECRET] = {"secret", "key or certificate", THERE},
	[ARGS_SCRIPT] = {"script", "program", THERE},
	[ARGS_DIRECTORY] = {"directory", "directory", THERE},
	[ARGS_MEMORY] = {"memory", "memory's file or directory", THERE},
	[ARGS_PMEM] = {"pmem", "kept memory's file", THERE},
	[ARGS_HOST_DEVICE] = {"host-device", "device of the host", THERE},
	[ARGS_CONNECT] = {"connect", "socket", UNNOTICED}, /* has a note of its own */
	[ARGS_RECONNECT] = {"reconnect", "socket", UNNOTICED},
	[ARGS_TPM] = {"tpm", "socket of its TPM", UNNOTICED},
	[ARGS_FIFO] = {"fifo", "FIFO", UNNOTICED},
	[ARGS_LISTEN] = {"listen", "socket", WRITTEN},
	[ARGS_LOG] = {"log", "log", WRITTEN},
	[ARGS_PIDFILE] = {"pidfile", "pidfile", WRITTEN},
};

const char *args_role_name(enum args_role role)
{
	return role < ARGS_ROLES ? roles[role].name : "unknown";
}

const char *args_role_noun(enum args_role role)
{
	return role < ARGS_ROLES ? roles[role].noun : "file";
}

enum args_role args_role_of(const char *name)
{
	size_t i;

	for (i = 0; i < ARGS_ROLES && strcmp(roles[i].name, name); i++)
		;
	return (enum args_role)i;
}

bool args_role_is_content(enum args_role role)
{
	return role < ARGS_ROLES && roles[role].policy == CONTENT;
}

bool args_file_is_disk(const struct args_file *f)
{
	return (f->role == ARGS_DISK || f->role == ARGS_PFLASH_VARS) && !f->read_only && f->path;
}

bool args_role_is_memory(enum args_role role)
{
	return role == ARGS_MEMORY || role == ARGS_PMEM;
}

bool args_role_is_made(enum args_role role)
{
	return args_role_is_memory(role) || args_role_is_written(role);
}

bool args_role_is_written(enum args_role role)
{
	return role < ARGS_ROLES && roles[role].policy == WRITTEN;
}

char *qemu_args_absolute(const char *cwd, const char *path)
{
	char *out, *r, *p;

	if (*path == '/' || !cwd)
		out = xstrdup(path);
	else
		out = xasprintf("%s/%s", cwd, path);
	for (r = p = out; *r; r++) {
		if (r[0] == '/' && r[1] == '/')
			continue;
		if (r[0] == '/' && r[1] == '.' && r[2] == '/') {
			r++;
			continue;
		}
		*p++ = *r;
	}
	*p = '\0';
	if (text_starts_with(out, "./"))
		memmove(out, out + 2, strlen(out + 2) + 1);
	return out;
}

static char *args_absolute(const struct rewrite *w, const char *path)
{
	return qemu_args_absolute(w->o->cwd, path);
}

const struct args_map *args_find_map(const struct rewrite *w, const char *path)
{
	AUTO_FREE char *want = args_absolute(w, path);

	for (size_t i = 0; i < w->o->disk_count; i++) {
		AUTO_FREE char *from = args_absolute(w, w->o->disks[i].from);

		if (!strcmp(from, want))
			return &w->o->disks[i];
	}
	return NULL;
}

static bool is_taken(const struct rewrite *w, const char *path)
{
	if (json_object_get(w->taken, path) || (w->o->private_qmp && !strcmp(w->o->private_qmp, path)))
		return true;
	for (size_t i = 0; i < w->o->disk_count; i++) /* a log, which QEMU truncates, and a disk may have the same name */
		if (w->o->disks[i].to && !strcmp(w->o->disks[i].to, path))
			return true;
	return false;
}

/* The name, or the first of NAME-2, NAME-3, … that is free. No number is tried twice for a name, as a line may have thousands of equal
 * names. */
static char *free_name(struct rewrite *w, const char *name)
{
	json_int_t next = MAX(json_integer_value(json_object_get(w->taken, name)), 2);
	char *to = xstrdup(name);

	while (is_taken(w, to)) {
		free(to);
		to = xasprintf("%s-%lld", name, (long long)next++);
	}
	json_object_set_new_nocheck(w->taken, to, json_integer(2));
	json_object_set_new_nocheck(w->taken, name, json_integer(next));
	return to;
}

static bool keeps_name(const struct rewrite *w, enum args_role role, const char *from)
{
	return w->o->keeps_name && *from == '/' && !is_taken(w, from) && w->o->keeps_name(w->o->ctx, role, from);
}

/* The number in path after dir: of an open file of the process, or of a terminal. */
static const char *number_behind(const char *path, const char *dir)
{
	const char *rest = text_starts_with(path, dir) ? path + strlen(dir) : NULL;

	return text_is_digits(rest) ? rest : NULL;
}

bool qemu_args_is_stream(const char *path)
{
	static const char *const names[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/tty"};
	const char *fd = text_starts_with(path, "/proc/") ? strstr(path, "/fd/") : NULL;

	return args_among(path, names, ARRAY_LEN(names)) || number_behind(path, "/dev/fd/") || number_behind(path, "/dev/pts/") ||
	       (fd && number_behind(fd, "/fd/"));
}

/* "stdout.log", "fd-3.log": the name beside the disks for a stream that the process has open. */
static char *stream_name(enum args_role role, const char *from)
{
	const char *number = strrchr(from, '/') + 1, *kind = strstr(from, "/pts/") ? "pts-" : strstr(from, "/fd/") ? "fd-" : "";
	const char *end = role == ARGS_PIDFILE ? "pid" : "log";

	return xasprintf("%s%s.%s", kind, number, end);
}

/* The destination's path of a file that the source writes or listens on; the same file always goes to the same path. */
static char *move_path(struct rewrite *w, enum args_role role, const char *from)
{
	bool stream = qemu_args_is_stream(from) && !w->o->at_rest; /* the person who starts the guest provides its output */
	bool device = !stream && ((text_starts_with(from, "/dev/") && !text_starts_with(from, "/dev/shm/")) || qemu_args_is_stream(from));
	AUTO_FREE char *base = stream ? stream_name(role, from) : xstrdup(path_base(from));
	const char *before = json_string_value(json_object_get(w->moved, from));
	AUTO_FREE char *name = NULL;
	char *to;

	if (!w->o->socket_dir || device)
		return xstrdup(from);
	if (before)
		return xstrdup(before);
	if (!w->moved) {
		w->moved = json_object();
		w->taken = json_object();
	}
	name = !stream && keeps_name(w, role, from) ? xstrdup(from)
						    : xasprintf("%s/%s%s", w->o->socket_dir, w->o->socket_prefix ?: "", base);
	to = free_name(w, name);
	json_object_set_new_nocheck(w->moved, from, json_string_nocheck(to));
	return to;
}

static void record(struct rewrite *w, const struct item *it, enum args_role role, bool read_only, const char *from, const char *to)
{
	AUTO_FREE char *once = xasprintf("\n%s %s", args_role_name(role), from); /* no note begins with a newline */
	struct args_result *r = w->r;

	if (!args_is_new(w, once))
		return;
	r->files = xrealloc(r->files, (r->file_count + 1) * sizeof(*r->files));
	r->files[r->file_count++] = (struct args_file){.role = role,
						       .read_only = read_only,
						       .option = xstrdup(it->name),
						       .path = xstrdup(from),
						       .to = xstrdup(to)};
}

static bool is_on_every_host(const char *path)
{
	static const char *const names[] = {"/dev/null",    "/dev/zero",  "/dev/full", "/dev/random",
					    "/dev/urandom", "/dev/hwrng", "/dev/kvm",  "/dev/vhost-net"};

	return args_among(path, names, ARRAY_LEN(names));
}

static void note_file(struct rewrite *w, const struct role *role, const char *what, const char *from, const char *to)
{
	if (!to)
		args_note(w, "%s %s is not taken along: its drive is empty on the destination", what, from);
	else if (strcmp(from, to))
		args_note(w, "%s %s is %s on the destination", what, from, to);
	else if (role->policy == CONTENT)
		args_note(w, "%s %s is opened under the same name on the destination", what, from);
	else if (role->policy == THERE && !is_on_every_host(from))
		args_note(w, "%s %s must be there on the destination, too", what, from);
}

const struct args_map *args_file(struct rewrite *w, const struct item *it, enum args_role role, bool read_only, const char *what,
				 char **path)
{
	AUTO_FREE char *from = args_absolute(w, *path);
	const struct args_map *m = args_find_map(w, *path);
	const struct role *kind = &roles[role];
	char *to;

	if (m && !m->to) {
		record(w, it, role, read_only, from, NULL);
		note_file(w, kind, what ? what : kind->noun, from, NULL);
		return m;
	}
	to = m ? xstrdup(m->to) : kind->policy == WRITTEN ? move_path(w, role, from) : xstrdup(from);
	record(w, it, role, read_only, from, to);
	if (!m || strcmp(from, to))
		note_file(w, kind, what ? what : kind->noun, from, to);
	kv_replace(path, to);
	return m;
}

int args_listen(struct rewrite *w, const struct item *it, const char *what, char **path)
{
	args_file(w, it, ARGS_LISTEN, false, what, path);
	if (strlen(*path) <= SOCKET_PATH_MAX)
		return 0;
	return err_set(w->e, EINVAL, "%s would be the unix socket %s, longer than the %d bytes that a socket path may have", what, *path,
		       SOCKET_PATH_MAX);
}
