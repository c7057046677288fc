/* main.c: vmferry, the source agent and the whole command line. */
#include "cmd.h"
#include "confine.h"
#include "guard.h"
#include "libraries.h"
#include "nearest.h"
#include "process.h"
#include "record.h"
#include "text-wrap.h"
#include "unpack.h"
#include "util.h"
#include "version.h"
#include "words.h"

#include <libssh2.h>
#include <libxml/xmlversion.h>
#include <malloc.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
	const char *heading; /* above it in --help; NULL: it belongs to the one before */
} commands[] = {
	{"list", cmd_list, "show the guests that run here, and whether they can be moved", "Moving a guest:"},
	{"check", cmd_check, "say what a move would do, what would not work, and what it would cost; touch nothing", NULL},
	{"migrate", cmd_migrate, "move a running guest, its memory and its disks; or several", NULL},
	{"status", cmd_status, "show moves under way", "While it moves:"},
	{"set", cmd_set, "change a move under way (bwlimit=RATE)", NULL},
	{"switch", cmd_switch, "stop and switch a guest over now (after --hold, or when it does not converge)", NULL},
	{"cancel", cmd_cancel, "roll a move back: the guest stays here", NULL},
	{"revert", cmd_revert, "take a guest back that runs at the destination (migrate --revert-within)", NULL},
	{"keep", cmd_keep, "leave it there, and end the waiting", NULL},
	{"history", cmd_history, "show how the last moves from this host ended", "Afterwards:"},
	{"report", cmd_report, "make an HTML page of a move's JSON, or of a benchmark", NULL},
	{"recover", cmd_recover, "settle a move whose agents died", NULL},
	{"journal", cmd_journal, "print a move's journal", NULL},
	{"plan", cmd_plan, "say to which of several hosts guests would go, and why; touch nothing",
	 .heading = "Several guests, several hosts:"},
	{"drain", cmd_drain, "move all guests that run here to other hosts", NULL},
	{"jobs", cmd_jobs, "show what waits, is under way, and has ended here; as metrics, too", NULL},
	{"may-start", cmd_may_start, "say whether this host has the newest copy of a guest: exit 0, or 3", NULL},
	{"storage", cmd_storage, "move a guest's disks to other paths, formats or block devices of this host",
	 .heading = "A guest that stays here:"},
	{"replica", cmd_replica, "keep a guest's disks on another host, minutes old at most, at several moments", NULL},
	{"attach", cmd_attach, "give a QMP monitor to a running QEMU that has none", NULL},
	{"export", cmd_export, "make a bundle of a guest: its disks at one moment, and what starts it", "Guests as files:"},
	{"import", cmd_import, "make a guest of this host out of a bundle, another hypervisor's files, or disk images", NULL},
	{"bench", cmd_bench, "measure moves beside QEMU's own migration, as the guest's peers feel them", "Measuring:"},
};

static void help(FILE *to)
{
	fputs("vmferry " VMFERRY_VERSION ": moves a running QEMU guest, memory and disks, to another QEMU, live\n"
	      "\n"
	      "usage: vmferry COMMAND [options]\n",
	      to);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (commands[i].heading)
			fprintf(to, "\n%s\n", commands[i].heading);
		fprintf(to, "  %-9s  %s\n", commands[i].name, commands[i].help);
	}
	fputs("\n"
	      "vmferry help COMMAND tells more. The exit code says where the guest runs:\n"
	      "  0  at the destination\n"
	      "  1  at the source, and nothing is left behind\n"
	      "  2  wrong usage: nothing was done\n"
	      "  3  refused: nothing was touched\n"
	      "  4  at the source; what is left behind, on either side, is listed\n"
	      "  5  at the source, paused\n"
	      "  6  undecided: vmferry recover\n"
	      "  7  at the destination as far as is known, but that cannot be reached\n"
	      "  8  nowhere: its QEMU has ended\n",
	      to);
}

static int say_no_such_command(const char *typed)
{
	const char *names[ARRAY_LEN(commands)];

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		names[i] = commands[i].name;
	fprintf(stderr, "vmferry: there is no command '%s'; vmferry --help lists them\n", typed);
	nearest_propose("vmferry ", typed, names, ARRAY_LEN(commands));
	return EXIT_USAGE;
}

static int run(int argc, char **argv)
{
	__auto_type command = ROW_OF(commands, name, argv[0]);

	return command ? command->run(argc, argv) : say_no_such_command(argv[0]);
}

/* Prints words for completion: commands, or the options of a command, or of its subcommand. */
static int print_words(char *command, char *subcommand)
{
	char options[] = "--options";
	char *words[] = {command, subcommand ?: options, options, NULL};

	if (command)
		return run(subcommand ? 3 : 2, words);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		puts(commands[i].name);
	return 0;
}

/* systemd gives units of the system's no HOME, in which keys and known hosts are looked for. */
static void find_home(void)
{
	const char *home = getenv("HOME");
	const struct passwd *own = home && *home ? NULL : getpwuid(geteuid());

	if (own && own->pw_dir && *own->pw_dir == '/')
		setenv("HOME", own->pw_dir, 1);
}

int main(int argc, char **argv)
{
	char help_word[] = "--help";

	if (process_open_standard())
		return EXIT_REFUSED;
	find_home();
	signal(SIGXFSZ, SIG_IGN); /* EFBIG says which file is too large */
	signal(SIGCHLD, SIG_DFL); /* whoever started us may ignore it: then no program's end could be told */
	process_keep_to_itself(); /* keys, passwords, and the guest's memory pass through */
	text_wrap_streams();
	mallopt(M_MMAP_THRESHOLD, 64 * 1024 * 1024); /* buffers are reused, not unmapped */
	if (argc < 2) {
		help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "help") && argc > 2) /* is "COMMAND --help", or "COMMAND SUBCOMMAND --help" */
		return run(MIN(argc - 1, 3),
			   argc > 3 ? (char *[]){argv[2], argv[3], help_word, NULL} : (char *[]){argv[2], help_word, NULL});
	if (!strcmp(argv[1], "--options") && argc <= 4)
		return print_words(argv[2], argc > 3 ? argv[3] : NULL);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		help(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version")) {
		AUTO_FREE char *sandbox = confine_library();
		AUTO_FREE char *more = xasprintf("%s, libssh2 %s, libxml2 %s, zlib %s, liblzma %s, bzip2 %.*s", sandbox, libssh2_version(0),
						 LIBXML_DOTTED_VERSION, zlibVersion(), lzma_version_string(),
						 (int)strcspn(BZ2_bzlibVersion(), ","), BZ2_bzlibVersion());

		libraries_print("vmferry", more);
		return 0;
	}
	if (!strcmp(argv[1], RECORD_WORD) && argc > 3)
		_exit(record_script(argv[2],
				    argv + 3)); /* a sanitizer's search for leaks would need a thread, which its namespaces do not have */
	if (!strcmp(argv[1], UNPACK_WORD))
		return unpack_child(argc - 1, argv + 1);
	if (!strcmp(argv[1], GUARD_WORD)) /* internal word, not for users */
		return cmd_guard(argc - 1, argv + 1);
	return run(argc - 1, argv + 1);
}
