/* record-programs.c: the programs that a recorded script finds in place of its host's; see record-private.h. */
#include "record-private.h"
#include "record.h"
#include "util.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A question to QEMU about itself is answered by the real one: which options a script gives may depend on it. Before it stand the pipe, as stat(1) tells it, and
 * the real program. A script may have put something else in place of a descriptor, as of a lock, or closed them.
 */
static const char recorder[] =
	"for w; do case $w in -version | --version | -h | -help | --help | help | \\? | *,help | *,\\?) [ \"$real\" ] && \"$real\" \"$@\" && exit ;; esac; done\n"
	"for f in 8 7 6 5 4 9 0; do [ \"$(stat -L -c %d:%i /proc/self/fd/$f 2>/dev/null)\" = $pipe ] && break; done\n"
	"[ $f != 0 ] || { exec 8>" RECORD_PIPE "; f=8; }\n"
	"printf '%s\\0' " RECORD_MARK " \"$#\" \"$(pwd -P)\" \"${LD_LIBRARY_PATH-}\" \"${QEMU_MODULE_DIR-}\" \"$0\" \"$@\" >&$f\n";

/* Programs that prepare a host for a guest, or come after it. */
static const char *const nothing_s[] = {"ip",	     "brctl",	    "ifconfig",	 "tunctl",     "ovs-vsctl",	"iptables",
					"ip6tables", "nft",	    "tc",	 "ethtool",    "nmcli",		"modprobe",
					"rmmod",     "sysctl",	    "systemctl", "udevadm",    "driverctl",	"cpupower",
					"chmod",     "chown",	    "chgrp",	 "setfacl",    "mkdir",		"mkfifo",
					"rm",	     "mv",	    "cp",	 "ln",	       "touch",		"install",
					"rsync",     "socat",	    "nc",	 "sleep",      "wait",		"virsh",
					"virtiofsd", "mount",	    "umount",	 "sync",       "kill",		"pkill",
					"killall",   "xdg-open",    "vncviewer", "gvncviewer", "remote-viewer", "spicy",
					"logger",    "notify-send", "xrandr",	 "wmctrl",     "swtpm_setup",	"dnsmasq",
					"smbd"};

/* Beginnings of the text of a program that runs another one, which stands behind options of its own: those that have their value in the next word. */
#define BEHIND_OPTIONS(valued)                                                                                                             \
	"while :; do case $1 in " valued ") shift 2 ;; --) shift; break ;; -* | *=*) shift ;; *) break ;; esac; done\n"
/* A program that has it as text for a shell, behind -c, or, of runuser, as words behind -u USER. */
#define BY_A_SHELL                                                                                                                         \
	"while [ $# -gt 0 ]; do case $1 in -c | --command) exec /bin/sh -c \"$2\" ;; --command=*) exec /bin/sh -c \"${1#*=}\" ;;\n"        \
	"-u | --user) u=1; shift 2 ;; -g | -G | -s | -w | --group | --shell) shift 2 ;; --) shift; [ \"$u\" ] && exec \"$@\" ;;\n"         \
	"-*) shift ;; *) [ \"$u\" ] && exec \"$@\"; shift ;; esac; done\n"
#define RUN "[ $# -gt 0 ] || exit 0\nexec \"$@\"\n"

static const struct {
	const char *name, *text;
} wrappers[] = {
	{"sudo", BEHIND_OPTIONS("-u | -g | -C | -h | -D | -R | -T | -p | -r | -t | -U") RUN},
	{"doas", BEHIND_OPTIONS("-u | -C") RUN},
	{"pkexec", BEHIND_OPTIONS("-u | --user") RUN},
	{"setpriv", BEHIND_OPTIONS("--reuid | --regid | --groups | --inh-caps | --ambient-caps | --bounding-set") RUN},
	{"chrt", BEHIND_OPTIONS("-T | -P | -D") "shift\n" RUN},
	{"cgexec", BEHIND_OPTIONS("-g") RUN},
	{"gosu", "shift\n" RUN},
	{"su-exec", "shift\n" RUN},
	{"chpst", BEHIND_OPTIONS("-u | -U | -b | -e | -d | -n | -l | -L | -m | -o | -p | -f | -c | -t") RUN},
	{"systemd-run", BEHIND_OPTIONS("-p | -u | -E | -H | -M | --unit | --slice | --property | --description | --uid | --gid | --nice | "
				       "--working-directory | --setenv | --service-type") RUN},
	{"systemd-inhibit", BEHIND_OPTIONS("--what | --who | --why | --mode") RUN},
	{"daemonize", BEHIND_OPTIONS("-p | -l | -o | -e | -c | -u | -E") RUN},
	{"dtach", BEHIND_OPTIONS("-n | -c | -A | -e | -r") RUN},
	{"abduco", BEHIND_OPTIONS("-n | -c | -A | -e") RUN},
	{"dbus-run-session", BEHIND_OPTIONS("--config-file | --dbus-daemon") RUN},
	{"xvfb-run", BEHIND_OPTIONS("-n | -s | -e | -f | -p | -w") RUN},
	{"strace", BEHIND_OPTIONS("-o | -e | -s | -E | -u | -P | -O | -S | -a | -b | -I | -X | -p") RUN},
	{"gdb", "while [ $# -gt 0 ] && [ \"$1\" != --args ] && [ \"$1\" != -args ]; do shift; done\nshift\n" RUN},
	{"screen", "for w; do case $w in -X | -x | -r | -ls | -list | -wipe) exit 0 ;; esac; done\n" BEHIND_OPTIONS(
			   "-*S | -t | -c | -e | -h | -p | -s | -T | -Logfile") RUN},
	{"tmux",
	 "while :; do case $1 in -L | -S | -f) shift 2 ;; -*) shift ;; *) break ;; esac; done\n"
	 "case $1 in new | new-session | neww | new-window | splitw | split-window | send | send-keys) shift ;; *) exit 0 ;; esac\n" BEHIND_OPTIONS(
		 "-s | -n | -c | -t | -x | -y | -e | -F | -f | -l | -p") "case $#,${2-} in 0,) exit 0 ;; 1, | *,Enter | *,C-m) exec /bin/sh -c \"$1\" ;; esac\n" RUN},
	{"su", BY_A_SHELL},
	{"runuser", BY_A_SHELL},
	{"script", BY_A_SHELL},
	{"start-stop-daemon",
	 "while [ $# -gt 0 ]; do case $1 in -K | --stop | -T | --status) exit 0 ;; -x | -a | --exec | --startas) program=$2; shift 2 ;;\n"
	 "--exec=* | --startas=*) program=${1#*=}; shift ;; --) shift; break ;; *) shift ;; esac; done\n"
	 "[ \"$program\" ] || exit 0\nexec \"$program\" \"$@\"\n"},
	{"qemu-img", "case $1 in create | convert | resize | commit | rebase | amend | snapshot | dd | check) exit 0 ;; esac\n"
		     "PATH=${PATH#" RECORD_DIR ":} exec qemu-img \"$@\"\n"},
};

/* ---- QEMUs of this host ---- */

static bool is_qemu(const char *name)
{
	return !strncmp(name, "qemu-system-", strlen("qemu-system-")) || !strcmp(name, "qemu-kvm") || !strcmp(name, "kvm");
}

static void add_qemu(struct record_qemus *q, const char *path)
{
	struct stat st;

	AUTO_FREE char *real = realpath(path, NULL);
	size_t i;

	for (i = 0; i < q->count && real; i++) /* by another name, as of a directory twice in PATH */
		if (!strcmp(q->paths[i], real))
			return;
	if (real && q->count < RECORD_QEMUS_MAX && !stat(real, &st) && S_ISREG(st.st_mode))
		q->paths[q->count++] = xstrdup(real);
}

static void add_directory(struct record_qemus *q, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *x;

	while (d && (x = readdir(d))) {
		AUTO_FREE char *path = is_qemu(x->d_name) ? xasprintf("%s/%s", dir, x->d_name) : NULL;

		if (path)
			add_qemu(q, path);
	}
	if (d)
		closedir(d);
}

void record_add_path(struct record_qemus *q, const char *list)
{
	AUTO_FREE char *copy = xstrdup(list);
	char *rest = copy, *dir;

	while ((dir = strsep(&rest, ":")))
		if (*dir == '/')
			add_directory(q, dir);
}

/* The word as a path: "~/", "$HOME/" and what has no directory are seen through; malloc'ed, or NULL: it is none. */
static char *path_of(const char *word, const char *script)
{
	static const char *const homes[] = {"~/", "$HOME/", "${HOME}/"};
	const char *home = getenv("HOME"), *slash = strrchr(script, '/');
	size_t i;

	for (i = 0; i < ARRAY_LEN(homes) && home; i++)
		if (!strncmp(word, homes[i], strlen(homes[i])))
			return xasprintf("%s/%s", home, word + strlen(homes[i]));
	if (*word == '/')
		return xstrdup(word);
	return *word && strchr(word, '/') && *word != '$' && slash ? xasprintf("%.*s/%s", (int)(slash - script), script, word) : NULL;
}

void record_add_named(struct record_qemus *q, char *text, const char *script)
{
	static const char ends[] = " \t\n'\"`=;&|()<>";
	char *word, *rest = text;

	while ((word = strsep(&rest, ends))) {
		AUTO_FREE char *path = path_of(word, script);
		const char *slash = path ? strrchr(path, '/') : NULL;

		if (!slash)
			continue;
		if (is_qemu(slash + 1)) {
			add_qemu(q, path);
		} else { /* of D=/opt/qemu; "$D/bin/qemu-system-x86_64" */
			AUTO_FREE char *bin = xasprintf("%s/bin", path);

			add_directory(q, path);
			add_directory(q, bin);
		}
	}
}

/* ---- files ---- */

static int write_program(const char *name, const char *head, const char *text)
{
	AUTO_FREE char *path = xasprintf(RECORD_DIR "/%s", name);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);

	return fd >= 0 && dprintf(fd, "%s%s", head, text) >= 0 && !fchmod(fd, 0755) ? 0 : -errno;
}

/* A recorder for each QEMU, and a file by whose name that QEMU is still there. */
static int write_recorders(const struct record_qemus *q, const char *head)
{
	size_t i;
	int r = 0;

	for (i = 0; i < q->count && !r; i++) {
		AUTO_FREE char *name = xasprintf("record-%zu", i), *real = xasprintf("real-%zu", i);
		AUTO_FREE char *more = xasprintf("%sreal=" RECORD_DIR "/%s\n", head, real);

		r = write_program(name, more, recorder) ?: write_program(real, "", "");
	}
	return r;
}

int record_write_programs(const struct record_qemus *q, int output)
{
	AUTO_FREE char *head = NULL;
	struct stat st;
	size_t i;
	int r = fstat(output, &st) || mkdir(RECORD_DIR, 0755) ? -errno : 0;

	if (r)
		return r;
	head = xasprintf("#!/bin/sh\npipe=%llu:%llu real=\n", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	r = write_recorders(q, head);
	for (i = 0; i < ARRAY_LEN(nothing_s) && !r; i++)
		r = write_program(nothing_s[i], "#!/bin/sh\n", "exit 0\n");
	for (i = 0; i < ARRAY_LEN(wrappers) && !r; i++)
		r = write_program(wrappers[i].name, "#!/bin/sh\n", wrappers[i].text);
	return r ? r : write_program("swtpm", head, recorder);
}

static int mount_over(const char *name, const char *to)
{
	AUTO_FREE char *from = xasprintf(RECORD_DIR "/%s", name);

	return mount(from, to, NULL, MS_BIND, NULL) ? -errno : 0;
}

/* Over the host's program of that name, for scripts that name it with its directory; not over one that is another one by another name. */
static int cover_program(const char *name)
{
	static const char *const dirs[] = {"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin"};
	struct stat st;
	size_t i;
	int r = 0;

	for (i = 0; i < ARRAY_LEN(dirs) && !r; i++) {
		AUTO_FREE char *path = xasprintf("%s/%s", dirs[i], name);
		AUTO_FREE char *real = realpath(dirs[i], NULL);

		if (real && !strcmp(real, dirs[i]) && !lstat(path, &st) && S_ISREG(st.st_mode) && st.st_nlink == 1)
			r = mount_over(name, path);
	}
	return r;
}

int record_mount_programs(const struct record_qemus *q)
{
	size_t i;
	int r = 0;

	for (i = 0; i < q->count && !r; i++) {
		AUTO_FREE char *name = xasprintf("record-%zu", i), *real = xasprintf(RECORD_DIR "/real-%zu", i);

		if (mount(q->paths[i], real, NULL, MS_BIND, NULL))
			return -errno;
		r = mount_over(name, q->paths[i]);
	}
	for (i = 0; i < ARRAY_LEN(nothing_s) && !r; i++)
		r = cover_program(nothing_s[i]);
	for (i = 0; i < ARRAY_LEN(wrappers) && !r; i++)
		r = strcmp(wrappers[i].name, "qemu-img") ? cover_program(wrappers[i].name) : 0; /* which runs the host's */
	return r ? r : cover_program("swtpm");
}
