/* record-stand-ins.c: the text of the programs that a recorded script finds in place of its host's; see record-private.h. */
#include "record-private.h"
#include "record.h"
#include "util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- programs that do nothing ---- */

#define RULES "-A | -I | -D | -N | -P | -F | -X | -R | -Z | -E | --append | --insert | --delete | --new-chain | --policy | --flush"
/* The stand-in of programs that make a file, whose name is their last word. A small one is made, where it can be in memory: the script may read it. */
static const char makes[] = NOTE
	"for w; do l=$w; done\n[ -f \"$l\" ] || note " RECORD_MADE " '' \"$@\"\n"
	"case ${1-} in -*) shift ;; esac\n"
	"[ $# -ne 2 ] || [ ! -f \"$1\" ] || [ -d \"$2\" ] || [ \"$(stat -L -c %s -- \"$1\")\" -gt 262144 ] || /bin/cat \"$1\" >\"$2\"\nexit 0\n";

#define ALWAYS "''" /* word that no script says */

/* Programs that prepare a host for a guest, or come after it, and the words with which they only do that; others ask something. NULL: none asks; makes: it is the text. */
static const struct {
	const char *name, *acts;
} nothing_s[] = {
	{"ip", "add | del | delete | set | change | replace | append | flush | up | down | save | restore | exec | -b | -batch"},
	{"brctl", "addbr | delbr | addif | delif | set* | stp"},
	{"ifconfig", "up | down | netmask | add | del | mtu | promisc | [0-9]*"},
	{"tunctl", "-t | -d"},
	{"ovs-vsctl", "add-* | del-* | set | clear | remove | set-*"},
	{"iptables", RULES},
	{"ip6tables", RULES},
	{"nft", "add | delete | flush | insert | create | replace | destroy | reset | -f"},
	{"tc", "add | del | delete | change | replace | flush"},
	{"ethtool", "-K | -s | -A | -C | -G | -L | --change | --offload | --features"},
	{"nmcli", "add | del | delete | up | down | modify | set | connect | disconnect | reload | on | off"},
	{"sysctl", "-w | --write | -p | --load | --system | *=*"},
	{"systemctl",
	 "start | stop | restart | try-restart | reload | reload-or-restart | enable | disable | mask | unmask | daemon-reload | kill | "
	 "reset-failed | set-property | isolate | set-environment | import-environment"},
	{"udevadm", "trigger | settle | control"},
	{"driverctl", "set-override | unset-override | load-override"},
	{"cpupower", "frequency-set | idle-set | set"},
	{"losetup", "-d | -D | --detach | --detach-all"},
	{"xrandr", "--output | --auto | --mode | --addmode | --newmode | --fb"},
	{"modprobe", ALWAYS},
	{"mount", ALWAYS},
	{"rmmod", NULL},
	{"renice", NULL},
	{"kpartx", NULL},
	{"qemu-nbd", NULL},
	{"chmod", NULL},
	{"chown", NULL},
	{"chgrp", NULL},
	{"setfacl", NULL},
	{"mkfifo", NULL},
	{"rm", NULL},
	{"mv", makes},
	{"cp", makes},
	{"ln", NULL},
	{"touch", NULL},
	{"install", makes},
	{"rsync", NULL},
	{"sleep", NULL},
	{"wait", NULL},
	{"virtiofsd", NULL},
	{"umount", NULL},
	{"sync", NULL},
	{"kill", NULL},
	{"pkill", NULL},
	{"killall", NULL},
	{"xdg-open", NULL},
	{"vncviewer", NULL},
	{"gvncviewer", NULL},
	{"remote-viewer", NULL},
	{"spicy", NULL},
	{"logger", NULL},
	{"notify-send", NULL},
	{"wmctrl", NULL},
	{"swtpm_setup", NULL},
	{"dnsmasq", NULL},
	{"smbd", NULL},
};

/* Adds what QEMU is started under, in words, to what its recorder tells. */
#define HOLD(words) "export VMFERRY_HELD=\"${VMFERRY_HELD-}" words " \"\n"

/* A program that ip runs in a network namespace, or on a VRF. */
static const char ip_runs[] = "i=0 was=\nfor w; do i=$((i + 1)); case $was,$w in netns,exec | vrf,exec) [ $# -gt $((i + 1)) ] || exit 0\n"
			      "shift $i\n" HOLD("ip $was exec $1") "shift; exec \"$@\" ;; esac; was=$w; done\n";

static char *text_of_nothing(const char *name, const char *acts)
{
	if (acts == makes)
		return xstrdup(makes);
	return acts ? xasprintf("%s%sfor w; do case $w in %s) exit 0 ;; esac; done\nnote " RECORD_ASKED " '' \"$@\"\nexit 0\n", NOTE,
				strcmp(name, "ip") ? "" : ip_runs, acts)
		    : xstrdup("exit 0\n");
}

/* ---- programs that run another one, behind options of their own ---- */

/* " ip brctl … " */
static char *names_of_nothing(void)
{
	char *out = xstrdup(" ");

	for (size_t i = 0; i < ARRAY_LEN(nothing_s); i++) {
		AUTO_FREE char *before = out;

		out = xasprintf("%s%s ", before, nothing_s[i].name);
	}
	return out;
}

/*
 * Runs the words as user. As another user than this one it runs nothing that could be QEMU, or start it: files of that user would be run with this user's
 * rights, and believed. Programs that only prepare the host do nothing in any case.
 */
static char *text_of_run(void)
{
	AUTO_FREE char *names = names_of_nothing();

	return xasprintf(
		"[ $# -gt 0 ] || exit 0\n"
		"u=${user#:}; u=${u#\\#}; u=${u%%%%:*}; me=$(id -u)\n"
		"[ -z \"$u\" ] || [ \"$u\" = \"$me\" ] || { [ \"$me\" ] && [ \"$(id -u -- \"$u\" 2>/dev/null)\" = \"$me\" ]; } || {\n"
		"n=${1##*/}; case \"$n $*\" in ip\\ *\\ exec\\ *) n= ;; esac\n"
		"case '%s' in *\" $n \"*) shift; exec " RECORD_DIR "/\"$n\" \"$@\" ;; esac\n"
		"case $n in true | echo) exit 0 ;; tee) exec /bin/cat >/dev/null ;; esac\n"
		"note " RECORD_USER " \"$u\" \"$@\"\nexit 0\n}\n"
		"exec \"$@\"\n",
		names);
}

#define ENVIRONMENT "case ${v%%=*} in *[!A-Za-z0-9_]* | '' | [0-9]*) ;; *) export \"$v\" ;; esac"
/* The variables that sudo is given behind its options, and before others. */
#define OF_A_PROCESS "case $o in p | pid) exit 0 ;; esac\n" /* of one that runs already */
#define VARIABLES    "case ${1-} in [A-Za-z_]*=*) v=$1; as=$user; " ENVIRONMENT "; user=$as; shift; continue ;; esac\n"

/*
 * Options of theirs with values: letters, as getopts(1) has them, and longs; users: those whose value is the user that it runs the program as, dirs: the directory,
 * user: without such an option (NULL: this one); holds: the program gets, or is kept from, something of the host; each: what is done with each option $o and its value $v, and then: with the words behind.
 */
static const struct {
	const char *name, *letters, *longs, *users, *dirs, *user, *each, *then;
	bool holds;
} wrappers[] = {
	{.name = "sudo",
	 .letters = "u:g:C:h:D:R:T:p:r:t:U:is",
	 .longs = "user group close-from host chdir chroot command-timeout prompt role type other-user",
	 .users = "u user",
	 .dirs = "D chdir",
	 .user = "root",
	 .each = "case $o in i | s | login | shell) by_shell=1 ;; esac\n",
	 .then = VARIABLES "[ $# -gt 0 ] || [ -z \"$by_shell\" ] || set -- /bin/sh\n"},
	{.name = "doas",
	 .letters = "u:C:s",
	 .users = "u",
	 .user = "root",
	 .each = "case $o in s) by_shell=1 ;; esac\n",
	 .then = "[ $# -gt 0 ] || [ -z \"$by_shell\" ] || set -- /bin/sh\n"},
	{.name = "pkexec", .letters = "u:", .longs = "user", .users = "u user", .user = "root"},
	{.name = "setpriv",
	 .longs = "reuid ruid euid regid rgid egid groups inh-caps ambient-caps bounding-set securebits pdeathsig selinux-label "
		  "apparmor-profile",
	 .users = "reuid ruid euid"},
	{.name = "chrt",
	 .letters = "T:P:D:p",
	 .longs = "sched-runtime sched-period sched-deadline",
	 .each = OF_A_PROCESS,
	 .then = "[ $# -eq 0 ] || shift\n",
	 .holds = true},
	{.name = "cgexec", .letters = "g:", .holds = true},
	{.name = "nice", .letters = "n:", .longs = "adjustment", .holds = true},
	{.name = "ionice", .letters = "c:n:p:P:u:", .longs = "class classdata pid pgid uid", .each = OF_A_PROCESS, .holds = true},
	{.name = "taskset", .letters = "acp", .each = OF_A_PROCESS, .then = "[ $# -eq 0 ] || shift\n", .holds = true},
	{.name = "prlimit", .letters = "p:o:", .longs = "pid output", .each = OF_A_PROCESS, .holds = true},
	{.name = "numactl",
	 .letters = "i:p:P:N:C:m:w:Hs",
	 .longs = "interleave preferred preferred-many cpunodebind physcpubind membind weighted-interleave",
	 .each = "case $o in H | s | hardware | show) note " RECORD_ASKED " '' \"-$o\"; exit 0 ;; esac\n",
	 .holds = true},
	{.name = "unshare",
	 .letters = "R:w:S:G:",
	 .longs = "map-user map-users map-group map-groups setgroups propagation root wd setuid setgid monotonic boottime",
	 .users = "S setuid",
	 .dirs = "w wd",
	 .holds = true},
	{.name = "nsenter", .letters = "t:S:G:", .longs = "target setuid setgid", .users = "S setuid", .holds = true},
	{.name = "gosu", .then = "user=${1-}; shift\n"},
	{.name = "su-exec", .then = "user=${1-}; shift\n"},
	{.name = "chpst", .letters = "u:U:b:e:d:n:l:L:m:o:p:f:c:t:/:", .users = "u"},
	{.name = "systemd-run",
	 .letters = "p:u:E:H:M:",
	 .longs =
		 "unit slice property description uid gid nice working-directory setenv service-type host machine on-active on-boot on-startup "
		 "on-calendar timer-property path-property socket-property",
	 .users = "uid",
	 .dirs = "working-directory",
	 .each = "case $o,$v in p,User=* | property,User=*) user=${v#*=} ;; p,DynamicUser=[1yto]* | property,DynamicUser=[1yto]*) user='of its own' ;; "
		 "p,WorkingDirectory=/* | property,WorkingDirectory=/*) cd \"${v#*=}\" ;; "
		 "E,*=* | setenv,*=*) as=$user; " ENVIRONMENT "; user=$as ;; esac\n"},
	{.name = "systemd-inhibit", .longs = "what who why mode"},
	{.name = "daemonize", .letters = "p:l:o:e:c:u:E:", .users = "u", .dirs = "c"},
	{.name = "dtach", .letters = "n:c:A:e:r:"},
	{.name = "abduco", .letters = "n:c:A:e:"},
	{.name = "dbus-run-session", .longs = "config-file dbus-daemon"},
	{.name = "xvfb-run", .letters = "n:s:e:f:p:w:", .longs = "server-num server-args error-file auth-file xauth-protocol wait"},
	{.name = "strace", .letters = "o:e:s:E:u:P:O:S:a:b:I:X:p:", .users = "u"},
	{.name = "screen",
	 .letters = "S:t:c:e:h:p:s:T:X",
	 .each = "case $o in X) program=order ;; esac\n",
	 /* -X stuff TEXT types it */
	 .then = "[ -z \"$program\" ] || case ${1-} in screen) shift ;; stuff) shift; t=$(printf '%b' \"$*\" | tr '\\r' '\\n'); set -- /bin/sh -c \"${t%^M}\" ;; *) exit 0 ;; esac\n"},
	{.name = "start-stop-daemon",
	 .letters = "x:a:p:u:n:g:c:r:d:N:P:I:k:R:O:KT",
	 .longs = "exec startas pidfile user name group chuid chroot chdir nicelevel procsched iosched umask retry output pid ppid",
	 .users = "c chuid",
	 .dirs = "d chdir",
	 .each = "case $o in K | stop | T | status) exit 0 ;; x | exec) [ \"$program\" ] || program=$v ;; a | startas) program=$v ;; esac\n",
	 .then = "[ \"$program\" ] || exit 0\nset -- \"$program\" \"$@\"\n"},
};

static char *text_of_wrapper(size_t i)
{
	AUTO_FREE char *run = text_of_run();

	return xasprintf(
		"%suser=%s by_shell= program= all=$*\n"
		"while :; do OPTIND=1\n"
		"while getopts ':%s-:' o; do v=${OPTARG-}\n"
		"case $o in -) o=${v%%%%=*}\n"
		"case $v in *=*) v=${v#*=} ;; *) v=; case ' %s ' in *\" $o \"*) eval \"v=\\${$OPTIND-}\"; OPTIND=$((OPTIND + 1)) ;; esac ;; esac ;; esac\n"
		"case ' %s ' in *\" $o \"*) user=$v ;; esac\n"
		"case ' %s ' in *\" $o \"*) cd \"$v\" ;; esac\n"
		"%sdone\nshift $((OPTIND - 1))\n%sbreak\ndone\n%s%s",
		NOTE, wrappers[i].user ?: "", wrappers[i].letters ?: "", wrappers[i].longs ?: "", wrappers[i].users ?: "",
		wrappers[i].dirs ?: "", wrappers[i].each ?: "", wrappers[i].then ?: "",
		wrappers[i].holds ? "all=${all%\"$*\"}; all=${all%\" \"}\n" HOLD("${0##*/}${all:+ }$all") : "", run);
}

/* ---- others ---- */

/* Has its program as text for a shell, behind -c, or for that shell on standard input, or, runuser, as words behind -u USER. */
static const char by_user[] =
	NOTE "user=root text= has= by= named=\n"
	     "while [ $# -gt 0 ]; do case $1 in --) shift; break ;;\n"
	     "--command=* | --session-command=*) text=${1#*=} has=1; shift ;; --user=*) user=${1#*=} by=1; shift ;;\n"
	     "--command | --session-command) text=${2-} has=1; shift 2 ;; --user) user=${2-} by=1; shift 2 ;;\n"
	     "--group | --supp-group | --shell | --whitelist-environment) shift 2 ;; --*) shift ;;\n"
	     "-u?*) user=${1#-u} by=1; shift ;; -c?*) text=${1#-c} has=1; shift ;;\n"
	     "-*c) text=${2-} has=1; shift 2 ;; -*u) user=${2-} by=1; shift 2 ;; -*[gGswT]) shift 2 ;; -*) shift ;;\n"
	     "*) [ \"$by$named\" ] && break; user=$1 named=1; shift ;; esac; done\n"
	     "[ \"$by$named\" ] || [ $# -eq 0 ] || { user=$1; shift; }\n"
	     "[ \"$by\" ] || if [ \"$has\" ]; then set -- /bin/sh -c \"$text\" \"$@\"; else set -- /bin/sh \"$@\"; fi\n";

/* The listener may be the script's QEMU, which then has a disk more. */
#define SPEAKS NOTE "note " RECORD_SPOKE " '' \"$@\"\nexit 0\n"
#define NETCAT NOTE "k=" RECORD_SPOKE "\nfor w; do case $w in -z | -*z) k=" RECORD_ASKED " ;; esac; done\nnote $k '' \"$@\"\nexit 0\n"

/* Commands of it that run a program, or type one; several are parted by ";". */
static const char tmux[] =
	"n=$# i=0\nfor w; do [ \"$w\" = ';' ] && break; i=$((i + 1)); done\n"
	"[ $i -eq $n ] || {\n(j=0; for w; do [ $j -gt 0 ] || set --; j=1; [ \"$w\" = ';' ] && break; set -- \"$@\" \"$w\"; done; exec \"$0\" \"$@\")\n"
	"shift $((i + 1)); exec \"$0\" \"$@\"\n}\n"
	"while getopts ':c:f:L:S:T:2CDlNquUvV' o; do case $o in c) exec /bin/sh -c \"$OPTARG\" ;; esac; done\n"
	"shift $((OPTIND - 1)); OPTIND=1 k=${1-}\n"
	"case $k in new | new-session) l=c:e:f:F:n:s:t:x:y: ;; neww | new-window) l=c:e:F:n:t: ;; splitw | split-window) l=c:e:F:l:p:t: ;;\n"
	"send | send-keys) l=c:N:t: ;; *) exit 0 ;; esac\nshift\n"
	"while getopts \":$l\" o; do case $o,$k in c,send*) ;; c,*) cd \"$OPTARG\" ;; e,*) export \"$OPTARG\" ;; esac; done\n"
	"shift $((OPTIND - 1)); line='\n' t=\n"
	"case $k,$# in *,0) exit 0 ;; send*) for w; do case $w in Enter | KPEnter | [Cc]-[mMjJ]) t=$t$line ;; Space) t=\"$t \" ;; [CM]-?) ;; *) t=$t$w ;; esac; done\n"
	"exec /bin/sh -c \"$t\" ;; *,1) exec /bin/sh -c \"$1\" ;; esac\nexec \"$@\"\n";

static const struct {
	const char *name, *text;
} others[] = {
	{"socat", SPEAKS},
	{"telnet", SPEAKS},
	{"qmp-shell", SPEAKS},
	{"qmp", SPEAKS},
	{"nc", NETCAT},
	{"nc.openbsd", NETCAT},
	{"nc.traditional", NETCAT},
	{"ncat", NETCAT},
	{"netcat", NETCAT},
	{"virsh", NOTE "k=" RECORD_ASKED
		       "\nfor w; do case $w in qemu-* | attach-* | detach-* | update-device | blockcopy | setmem) k=" RECORD_SPOKE " ;;\n"
		       "start | net-start | net-autostart | pool-start | nodedev-*) exit 0 ;; esac; done\nnote $k '' \"$@\"\nexit 0\n"},
	{"script",
	 "while [ $# -gt 0 ]; do case $1 in -*c | --command) exec /bin/sh -c \"$2\" ;; --command=*) exec /bin/sh -c \"${1#*=}\" ;;\n"
	 "*) shift ;; esac; done\n"},
	{"gdb",
	 "while [ $# -gt 0 ] && [ \"$1\" != --args ] && [ \"$1\" != -args ]; do shift; done\nshift\n[ $# -gt 0 ] || exit 0\nexec \"$@\"\n"},
	{"tmux", tmux},
	/* the host's, which is still there by that name */
	{"mkdir", RECORD_DIR "/real/mkdir \"$@\" 2>/dev/null\nexit 0\n"},
	{"qemu-img", "case $1 in create | convert | resize | commit | rebase | amend | snapshot | dd | check) exit 0 ;; esac\n"
		     "PATH=${PATH#" RECORD_DIR ":} exec qemu-img \"$@\"\n"},
};

static const char *const by_users[] = {"su", "runuser"};

const char *stand_in_name(size_t i)
{
	if (i < ARRAY_LEN(nothing_s))
		return nothing_s[i].name;
	i -= ARRAY_LEN(nothing_s);
	if (i < ARRAY_LEN(wrappers))
		return wrappers[i].name;
	i -= ARRAY_LEN(wrappers);
	if (i < ARRAY_LEN(by_users))
		return by_users[i];
	i -= ARRAY_LEN(by_users);
	return i < ARRAY_LEN(others) ? others[i].name : NULL;
}

char *stand_in_text(size_t i)
{
	AUTO_FREE char *run = text_of_run();

	if (i < ARRAY_LEN(nothing_s))
		return text_of_nothing(nothing_s[i].name, nothing_s[i].acts);
	i -= ARRAY_LEN(nothing_s);
	if (i < ARRAY_LEN(wrappers))
		return text_of_wrapper(i);
	i -= ARRAY_LEN(wrappers);
	if (i < ARRAY_LEN(by_users))
		return xasprintf("%s%s", by_user, run);
	return xstrdup(others[i - ARRAY_LEN(by_users)].text);
}
