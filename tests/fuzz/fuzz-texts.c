/*
 * fuzz-texts.c: libFuzzer on small texts that others wrote: what systemctl shows and what goes into units (common/host), words for a shell
 * and keys (common), the formats of SSH that are read here (agent-src/ssh), scripts that start a guest and what they start (agent-src/guest), what an image
 * says of the files that it needs (common/disk) and of its options and its base (common/qemu), and which functions a program exports (agent-src/attach).
 *
 * The first byte chooses. What is quoted is unquoted here, by the rules of who will read it.
 */
#include "disk-line.h"
#include "exe-symbols.h"
#include "guest-scripts.h"
#include "hex.h"
#include "image-name.h"
#include "net.h"
#include "processor.h"
#include "psk.h"
#include "qcow2-header.h"
#include "qcow2-options.h"
#include "qemu-calls.h"
#include "script-read.h"
#include "script-record.h"
#include "seed.h"
#include "shell-quote.h"
#include "ssh-format.h"
#include "ssh.h"
#include "start-script.h"
#include "unit-text.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum selector {
	SHOWN,
	UNIT_QUOTE,
	SHELL_QUOTE,
	PLAIN_NAME,
	PSK,
	TARGET,
	KNOWN_HOSTS,
	KNOWN_HOST,
	PRIVATE_KEY,
	KEXINIT,
	ADDRESS,
	START_SCRIPT,
	QCOW2,
	QCOW2_OPTIONS,
	RECORDS,
	PROGRAM,
	IMAGE_NAME,
	SELECT_COUNT
};

static void expect_printable(const char *s)
{
	for (; *s; s++)
		require((unsigned char)*s >= ' ' && *s != 0x7f);
}

static void try_shown(const char *text)
{
	char *value = unit_property(text, "Restart");

	require(!strchr(value, '\n') && strstr(text, value));
	unit_restarts(value);
	unit_is_wanted(value);
	unit_is_generic(value);
	free(value);
}

/* systemd.service(5), "Command lines"; systemd.syntax(7), "Quoting". */
static void try_unit_quote(const char *text)
{
	AUTO_FREE char *quoted = unit_quote(text);
	AUTO_FREE char *back = xcalloc(1, strlen(quoted) + 1);
	char *out = back;
	const char *p = quoted + 1;
	char hex[3] = "";
	uint8_t c;

	expect_printable(quoted);
	require(*quoted == '"' && quoted[strlen(quoted) - 1] == '"');
	for (; p[1]; p++) {
		require(*p != '"');
		if (*p == '\\' && p[1] == 'x') {
			memcpy(hex, p + 2, 2);
			require(hex_parse(hex, &c, 1) && c);
			*out++ = (char)c;
			p += 3;
			continue;
		}
		if (*p == '\\' || *p == '%' || *p == '$')
			require(*p == '\\' ? *++p == '"' || *p == '\\' : p[1] == *p && *++p);
		*out++ = *p;
	}
	require(!strcmp(back, text));
}

/* POSIX, "Quoting": within single quotes all stands for itself; outside of them nothing may that means something to a shell. */
static void try_shell_quote(const char *text)
{
	AUTO_FREE char *quoted = shell_quote(text);
	AUTO_FREE char *back = xcalloc(1, strlen(quoted) + 1);
	char *out = back;
	const char *p;
	bool in = false;

	for (p = quoted; *p; p++) {
		if (*p == '\'') {
			in = !in;
			continue;
		}
		if (!in && *p == '\\')
			p++;
		else
			require(in || isalnum((unsigned char)*p) || strchr("_-./,:=@%+", *p));
		*out++ = *p;
	}
	require(!in && *quoted && !strcmp(back, text));
}

static void try_plain_name(const char *text)
{
	AUTO_FREE char *name = unit_plain_name(text);
	AUTO_FREE char *again = unit_plain_name(name);
	const char *p;

	require(*name && strlen(name) <= 100 && *name != '.' && *name != '-' && !strcmp(name, again));
	for (p = name; *p; p++)
		require(isalnum((unsigned char)*p) || strchr("._-", *p));
}

static void try_psk(const char *text)
{
	char again[PSK_TEXT_MAX];
	struct tls_key key;
	struct err e;

	if (psk_parse(text, &key, &e))
		return;
	psk_print(&key, again);
	require(!strcasecmp(again, text));
}

static void try_target(const char *text)
{
	AUTO_FREE char *again = NULL;
	struct ssh_target t, u;
	struct err e;

	if (ssh_target_parse(text, &t, &e))
		return;
	require(*t.host && *t.host != '-' && (!t.user || (*t.user && *t.user != '-')));
	expect_printable(t.host);
	again = xasprintf("%s%s%s%s%s%s%s", t.user ? t.user : "", t.user ? "@" : "", t.port ? "[" : "", t.host, t.port ? "]" : "",
			  t.port ? ":" : "", t.port ? t.port : "");
	if (strchr(t.host, ':') || !t.port) {
		require(!ssh_target_parse(again, &u, &e) && !strcmp(t.host, u.host) && !t.user == !u.user && !t.port == !u.port);
		ssh_target_fini(&u);
	}
	ssh_target_fini(&t);
}

static void try_known_hosts(const char *text, size_t bytes)
{
	static const uint8_t key[] = "\0\0\0\x0bssh-ed25519\0\0\0\2ab";
	struct known_hosts found = {.verdict = KNOWN_NOT};
	unsigned lines = 1;
	size_t i;

	for (i = 0; i < bytes; i++)
		lines += text[i] == '\n';
	known_hosts_look(text, bytes, "Host-B", 2222, key, sizeof(key) - 1, &found);
	require(found.line <= lines && !found.line == (found.verdict == KNOWN_NOT) && strlen(found.types) < SSH_TYPES_MAX);
	expect_printable(found.types);
}

/* Checks that a key written to known_hosts is found again. */
static void try_known_host(const uint8_t *p, size_t n)
{
	struct known_hosts found = {.verdict = KNOWN_NOT};
	AUTO_FREE char *line = NULL;
	char type[64], print[64];

	n = MIN(n, SSH_KEY_MAX);
	line = known_hosts_line("host-b", 22, p, n);
	ssh_fingerprint(p, n, print);
	expect_printable(print);
	require(strchr(line, '\n') == line + strlen(line) - 1);
	known_hosts_look(line, strlen(line), "host-b", 22, p, n, &found);
	require(found.verdict == (ssh_key_type(p, n, type) ? KNOWN_SAME : KNOWN_NOT));
}

static void try_private_key(const char *text)
{
	static struct private_key key;

	if (!private_key_look(text, &key))
		return;
	require(strlen(key.type) < sizeof(key.type) && key.public_bytes <= SSH_KEY_MAX);
	expect_printable(key.type);
}

static void try_kexinit(const uint8_t *p, size_t n)
{
	char types[SSH_TYPES_MAX];

	kexinit_host_keys(p, n, types);
	require(strlen(types) < sizeof(types));
	expect_printable(types);
}

static void try_address(const char *text)
{
	struct net_ports ports;
	char *host, *port;
	struct err e;

	if (!net_parse(text, &host, &port, &e)) {
		require(*host && *port && strspn(port, "0123456789") == strlen(port) && atol(port) <= 65535);
		free(host);
		free(port);
	}
	if (!net_parse_ports(text, &ports, &e))
		require(ports.first <= ports.last && ports.last <= 65535);
}

static bool is_path(void *ctx, const char *path)
{
	return !strcmp(ctx, path);
}

/* A line that has the disk once has the other in its place afterwards, and says the same of it. */
static void try_disk(char *const *argv, size_t argc)
{
	static char is[] = "/a", to[] = "/n,w";
	struct disk_line_change change = {.is_it = is_path, .ctx = is, .to = to, .format = "raw"}, look = {.is_it = is_path, .ctx = to};
	char **out = NULL;
	struct err e;
	size_t n = 0;

	if (disk_line_change(argv, argc, &change, &out, &n, NULL, &e) != 1)
		return;
	require(n >= argc && !out[n]);
	require(disk_line_change(out, n, &look, NULL, NULL, NULL, &e) == 1);
	look.ctx = is;
	require(!disk_line_change(out, n, &look, NULL, NULL, NULL, &e));
	args_free_strings(out, n);
}

/* Checks that words read from a script, quoted again, read the same; sh would have the same. */
static void try_script(const char *text)
{
	struct guest g = {.pid = 0}, again = {.pid = 0};
	char *line = xstrdup("exec"), *longer;
	struct err e;
	size_t i;

	start_script_origin(text);
	text_has_name(text, "a.img");
	if (!script_parse("x", text, &g, &e)) {
		try_disk(g.line.argv, g.line.argc);
		for (i = 0; i < g.line.argc; i++) {
			AUTO_FREE char *quoted = shell_quote(g.line.argv[i]);

			longer = xasprintf("%s %s", line, quoted);
			free(line);
			line = longer;
		}
		require(!script_parse("x", line, &again, &e));
		require(again.line.argc == g.line.argc);
		for (i = 0; i < g.line.argc; i++)
			require(!strcmp(again.line.argv[i], g.line.argv[i]));
	}
	free(line);
	guest_fini(&g);
	guest_fini(&again);
}

static void try_qcow2(const uint8_t *p, size_t n)
{
	struct qcow2_header h;
	struct err e;

	if (qcow2_header_parse("x", p, n, &h, &e))
		return;
	require(h.is_qcow2 || (!h.backing && !h.data_file));
	qcow2_header_fini(&h);
}

/* Tries options of an image that a peer may ask for. */
static void try_qcow2_options(const char *text)
{
	json_t *said = json_loads(text, 0, NULL), *create = json_object(), *of = qcow2_options_of(said);
	static const char *const words[] = {"v2", "v3", "zlib", "zstd"};
	const char *key;
	json_t *value;
	size_t i;

	qcow2_options_add(create, said);
	qcow2_options_add(create, of);
	json_object_foreach(create, key, value) {
		for (i = 0; i < ARRAY_LEN(words) && json_is_string(value) && strcmp(json_string_value(value), words[i]); i++)
			;
		require(i < ARRAY_LEN(words) && (json_is_string(value) || json_is_boolean(value) || json_is_integer(value)));
		require(!json_is_integer(value) || (json_integer_value(value) >= 1 && json_integer_value(value) <= 64));
	}
	json_decref(said);
	json_decref(create);
	json_decref(of);
}

/* Tries the name of a backing file as an image states it. */
static void try_image_name(const char *text)
{
	AUTO_FREE char *file = image_name_file(text);

	require(!file || strstr(text, file) || !strncmp(text, "json:", 5));
	require(!image_is_plain(text) || file || strncmp(text, "json:", 5) != 0);
	image_begins_later(text);
	require(!image_ends_by_size(text) || !strncmp(text, "json:", 5));
	image_ends_by_size_below(text);
}

static void try_records(const char *text, size_t n)
{
	struct guest g = {.pid = 0};
	struct err e;
	size_t i;

	if (!script_take_records("x", text, n, NULL, &g, &e)) {
		require(g.line.argc > 1 && g.cwd && !g.line.argv[g.line.argc]);
		for (i = 0; i < g.line.argc; i++)
			require(strlen(g.line.argv[i]) < n);
	}
	guest_fini(&g);
}

static void try_program(const uint8_t *p, size_t n)
{
	AUTO_CLOSE int fd = memfd_create("fuzz", MFD_CLOEXEC);
	AUTO_FREE char *path = xasprintf("/proc/self/fd/%d", fd), *text = NULL;
	struct exe_symbols s;
	struct qemu_calls c;
	struct err e;

	require(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	if (exe_symbols_read(&s, path, 0, &e))
		return;
	require((const uint8_t *)s.symbols >= s.file && (const uint8_t *)s.symbols + s.count * sizeof(Elf64_Sym) <= s.file + n);
	require((const uint8_t *)s.names + s.names_bytes <= s.file + n && !s.names[s.names_bytes - 1]);
	if (!qemu_calls_find(&c, &s, &e))
		require(c.main_loop && c.lock);
	text = exe_text_after(&s, "version ");
	require(!text || strlen(text) <= 80);
	exe_symbols_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text;

	if (!n)
		return 0;
	text = xmalloc(n);
	memcpy(text, p + 1, n - 1);
	text[n - 1] = '\0';
	switch ((enum selector)(p[0] % SELECT_COUNT)) {
	case SHOWN:
		try_shown(text);
		break;
	case UNIT_QUOTE:
		try_unit_quote(text);
		break;
	case SHELL_QUOTE:
		try_shell_quote(text);
		break;
	case PLAIN_NAME:
		try_plain_name(text);
		break;
	case PSK:
		try_psk(text);
		break;
	case TARGET:
		try_target(text);
		break;
	case KNOWN_HOSTS:
		try_known_hosts(text, n - 1);
		break;
	case KNOWN_HOST:
		try_known_host((uint8_t *)text, n - 1);
		break;
	case PRIVATE_KEY:
		try_private_key(text);
		break;
	case KEXINIT:
		try_kexinit((uint8_t *)text, n - 1);
		break;
	case ADDRESS:
		try_address(text);
		break;
	case START_SCRIPT:
		try_script(text);
		break;
	case QCOW2:
		try_qcow2((uint8_t *)text, n - 1);
		break;
	case QCOW2_OPTIONS:
		try_qcow2_options(text);
		break;
	case RECORDS:
		try_records(text, n - 1);
		break;
	case PROGRAM:
		try_program((uint8_t *)text, n - 1);
		break;
	case IMAGE_NAME:
		try_image_name(text);
		break;
	case SELECT_COUNT:
		break;
	}
	free(text);
	return 0;
}

/* ---- seeds ---- */

static const struct {
	enum selector selector;
	const char *name, *text;
} seeds[] = {
	{SHOWN, "shown", "Id=vm1.service\nRestart=on-failure\nUnitFileState=enabled\nMainPID=5\n"},
	{UNIT_QUOTE, "unit-quote", "a \"b\" \\ %n $HOME\t\x01"},
	{SHELL_QUOTE, "shell-quote", "it's $(a) `b` \\ !\n"},
	{PLAIN_NAME, "plain-name", ".-vm one/../\xc3\xa9"},
	{PSK, "psk", "host-a:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"},
	{TARGET, "target", "ssh://root@[fe80::1%eth0]:2222/"},
	{TARGET, "target-name", "root@host-b:22"},
	{ADDRESS, "address", "[::1]:7788"},
	{ADDRESS, "ports", "50000-50100"},
	{START_SCRIPT, "script",
	 "#!/bin/sh\n# a\ncd / || exit\nexport QEMU_MODULE_DIR='/a b'\nexec q \\\n  -name 'it'\\''s' \\\n  a#b ''\n"},
	{START_SCRIPT, "disk", "exec q -drive file=/a,format=raw,if=none,id=d,discard=unmap -device virtio-blk-pci,drive=d"},
	{START_SCRIPT, "blockdev",
	 "exec q -blockdev '{\"driver\":\"qcow2\",\"node-name\":\"d\",\"file\":{\"driver\":\"file\",\"filename\":\"/a\"}}'"},
	{START_SCRIPT, "blockdevs", "exec q -blockdev driver=file,node-name=f,filename=/a -blockdev driver=raw,node-name=d,file=f -hda /b"},
	{KNOWN_HOSTS, "known-hosts",
	 "# c\n[host-b]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAmFi x\n@revoked *,!host-c ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAmFj\n"
	 "|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|AAAAAAAAAAAAAAAAAAAAAAAAAAA= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAmFi\n"
	 "@cert-authority *.h?st ssh-rsa AAAA\n"},
	{PRIVATE_KEY, "private-key",
	 "-----BEGIN OPENSSH PRIVATE KEY-----\n"
	 "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAFwAAAAtzc2gtZWQyNTUxOQAAAAJhYgAA\n-----END OPENSSH PRIVATE KEY-----\n"},
	{QCOW2_OPTIONS, "qcow2-options",
	 "{\"compat\":\"1.1\",\"version\":\"v3\",\"refcount-bits\":16,\"lazy-refcounts\":true,\"extended-l2\":false,"
	 "\"compression-type\":\"zstd\"}"},
	{IMAGE_NAME, "image-name",
	 "json:{\"driver\":\"raw\",\"size\":512,\"offset\":\"0\",\"file\":{\"driver\":\"host_device\",\"filename\":\"/a\"}}"},
	{PRIVATE_KEY, "private-pem", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n-----END"},
};

/* A program with a QEMU's functions. */
static void write_program(void)
{
	static const char names[] = "\0bql_locked\0bql_lock_impl\0bql_unlock\0monitor_init_qmp\0qemu_chr_new_noreplay\0main_loop_wait";
	static struct {
		Elf64_Ehdr head;
		Elf64_Shdr sections[3];
		Elf64_Sym symbols[7];
		char names[sizeof(names)], banner[40];
	} f = {.head = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64},
			.e_machine = PROCESSOR_ELF,
			.e_shoff = sizeof(Elf64_Ehdr),
			.e_shentsize = sizeof(Elf64_Shdr),
			.e_shnum = 3},
	       .sections = {{.sh_type = SHT_NULL},
			    {.sh_type = SHT_DYNSYM,
			     .sh_link = 2,
			     .sh_offset = sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Shdr),
			     .sh_size = 7 * sizeof(Elf64_Sym)},
			    {.sh_type = SHT_STRTAB,
			     .sh_offset = sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Shdr) + 7 * sizeof(Elf64_Sym),
			     .sh_size = sizeof(names)}},
	       .banner = "QEMU emulator version 10.0.2 (Debian)"};
	char buf[1 + sizeof(f)] = {PROGRAM};
	size_t i, at = 0;

	memcpy(f.names, names, sizeof(names));
	for (i = 1; i < 7; i++) {
		at += strlen(names + at) + 1;
		f.symbols[i] = (Elf64_Sym){.st_name = (Elf64_Word)at, .st_info = STT_FUNC, .st_value = 4096 * i, .st_size = 64};
	}
	memcpy(buf + 1, &f, sizeof(f));
	seed_write("program", buf, sizeof(buf));
}

static void write_seeds(void)
{
	static const char record[] = "vmferry-record\0003\0/vm\0\0\0/usr/bin/qemu-system-x86_64\0-name\0a\0-S";
	static const char key[] = "\x07\0\0\0\x0bssh-ed25519\0\0\0\2ab";
	static const char kexinit[] = "\x9hi\nSSH-2.0-x\r\n\0\0\0\x2e\4\x14"
				      "0123456789abcdef\0\0\0\3kex\0\0\0\x0bssh-ed25519\0\0\0\3aes";
	static const uint8_t qcow2[] = {QCOW2, 'Q',
					'F',   'I',
					0xfb,  0,
					0,     0,
					3,     0,
					0,     0,
					0,     0,
					0,     0,
					128,   0,
					0,     0,
					4,     [1 + 103] = 104,
					0xe2,  0x79,
					0x2a,  0xca,
					0,     0,
					0,     3,
					'r',   'a',
					'w',   [1 + 128] = 'b',
					'a',   's',
					'e'};
	char buf[1024];
	size_t i;

	for (i = 0; i < ARRAY_LEN(seeds); i++)
		seed_write(seeds[i].name, buf,
			   (size_t)snprintf(buf, sizeof(buf), "%c%s", (int)seeds[i].selector + 10 * SELECT_COUNT, seeds[i].text));
	buf[0] = RECORDS;
	memcpy(buf + 1, record, sizeof(record));
	seed_write("record", buf, 1 + sizeof(record));
	write_program();
	seed_write("qcow2", qcow2, sizeof(qcow2));
	seed_write("known-host", key, sizeof(key) - 1);
	seed_write("kexinit", kexinit, sizeof(kexinit) - 1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	seeds_if_asked(write_seeds);
	return 0;
}
