/*
 * fuzz-qemu-args.c: libFuzzer on the reader of command lines: a peer, or whoever started a guest, wrote them.
 *
 * Words are separated by newlines; the last one is also the contents of -readconfig f. What has been
 * rewritten is rewritten once more, as when a guest moves on.
 */
#include "qemu-args.h"
#include "seed.h"
#include "util.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define WORDS_MAX 256

static const struct args_map maps[] = {
	{.from = "/a", .to = "/dev/a", .format = "raw", .to_device = true, .anew = true, .shows = 512},
	{.from = "/b", .to = "/dev/b", .format = "qcow2", .to_device = true},
	{.from = "/c"},
};
/* Each option of a few that have rules of their own. */
static const char seeds[] =
	" \n-drive\nfile=/a,format=raw,if=none,id=d\n-device\nvirtio-blk-pci,drive=d\n-netdev\ntap,id=n,ifname=t\n"
	"-blockdev\n{\"driver\":\"qcow2\",\"node-name\":\"x\",\"file\":{\"driver\":\"file\",\"filename\":\"/b\"}}\n"
	"-chardev\nsocket,id=c,path=/s,server=on\n-mon\nchardev=c,mode=control\n-object\nsecret,id=s,file=/k\n"
	"-set\ndevice.x.y=z\n-readconfig\nf\n-cdrom\n/c\n-initrd\n/i a,/j\n-nic\nuser,model=e1000,mac=1:2\n[device \"x\"]";

static const struct args_net_map nets[] = {{"n", "bridge:br1"}, {"m", "tap:t,script=/s"}};

/* The line of a file of tests/data/args, a word a line. */
static void write_line_of(const char *name)
{
	AUTO_FREE char *path = xasprintf("tests/data/args/%s", name);
	static char text[16384], out[sizeof(text) + 1];
	FILE *f = fopen(path, "re");
	size_t n = 0;
	bool quoted = false;
	char *p, *end;

	require(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	p = strstr(text, "== line\n");
	if (!p)
		return;
	p = strchr(strchr(p, '\n') + 1, ' '); /* without the program */
	end = p ? strstr(p, "\n==") : NULL;
	out[n++] = '\1';
	for (; p && *p && p != end; p++) {
		if (*p == '\'')
			quoted = !quoted;
		else if (*p == '\\' && p[1] == '\n')
			p++;
		else
			out[n++] = quoted || (*p != ' ' && *p != '\t') ? *p : '\n';
	}
	seed_write(name, out, n);
}

static void write_seeds(void)
{
	DIR *d = opendir("tests/data/args");
	struct dirent *x;

	require(d);
	while ((x = readdir(d)))
		if (x->d_name[0] != '.')
			write_line_of(x->d_name);
	closedir(d);
	seed_write("seed", seeds, sizeof(seeds) - 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text = xmalloc(n + 1), *argv[WORDS_MAX] = {"qemu"}, *save = NULL, *word, *start, **paths;
	struct args_config config = {"f", ""};
	struct args_options o = {.socket_dir = "/d",
				 .disks = maps,
				 .disk_count = ARRAY_LEN(maps),
				 .configs = &config,
				 .config_count = 1,
				 .machine = "pc-q35-10.0",
				 .private_qmp = "/d/private.qmp",
				 .cwd = "/w"};
	struct args_result once, twice;
	struct args_basics basics;
	size_t argc = 1, path_count;
	struct err e;

	memcpy(text, p, n);
	text[n] = '\0';
	if (n && p[0] & 1) {
		o.nets = nets;
		o.net_count = ARRAY_LEN(nets);
	}
	for (word = strtok_r(text, "\n", &save); word && argc < WORDS_MAX; word = strtok_r(NULL, "\n", &save))
		argv[argc++] = word;
	config.text = argv[argc - 1];
	qemu_args_basics(&basics, argv, argc);
	free(qemu_args_name(argv, argc));
	path_count = qemu_args_qmp_paths(argv, argc, &paths);
	args_free_strings(paths, path_count);
	if (qemu_args_rewrite(&once, argv, argc, &o, &e) == 0) {
		start = qemu_args_start_line(once.argv, once.argc, NULL, o.private_qmp);
		free(start);
		if (qemu_args_rewrite(&twice, once.argv, once.argc, &(struct args_options){.cwd = "/w"}, &e) == 0)
			args_result_fini(&twice);
		args_result_fini(&once);
	}
	free(text);
	return 0;
}
