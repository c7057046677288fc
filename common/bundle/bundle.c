/* bundle.c: see bundle.h. */
#include "bundle.h"
#include "json-members.h"
#include "json-text.h"
#include "shell-quote.h"
#include "util.h"
#include "version.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FORMAT	"vmferry-bundle"
#define VERSION 1

#define NAME_MAX_BYTES 200
#define TEXT_MAX       65536

/* ---- names ---- */

bool bundle_name_is_plain(const char *name)
{
	static const char others[] = "._-";
	const char *p;

	for (p = name; *p; p++)
		if (!(*p >= 'a' && *p <= 'z') && !(*p >= 'A' && *p <= 'Z') && !(*p >= '0' && *p <= '9') && !strchr(others, *p))
			return false;
	return p > name && p - name <= NAME_MAX_BYTES && *name != '.' && *name != '-';
}

const struct bundle_file *bundle_next(const struct bundle *b, size_t *i)
{
	while (*i <= b->disk_count + b->file_count) {
		size_t at = (*i)++;
		const struct bundle_file *f = at < b->disk_count		   ? &b->disks[at]
					      : at < b->disk_count + b->file_count ? &b->files[at - b->disk_count]
										   : &b->memory;

		if (f->file)
			return f;
	}
	return NULL;
}

const struct bundle_file *bundle_find(const struct bundle *b, const char *name)
{
	const struct bundle_file *f;
	size_t i = 0;

	while ((f = bundle_next(b, &i)) && strcmp(f->file, name))
		;
	return f;
}

/* ---- writing ---- */

static json_t *print_file(const struct bundle_file *f)
{
	return json_pack("{s:s*,s:I,s:s,s:s*,s:s*}", "file", f->file, "bytes", (json_int_t)f->bytes, "sha256", f->sha256, "path", f->path,
			 "real_path", f->real_path);
}

char *bundle_print(const struct bundle *b)
{
	json_t *argv = json_array(), *disks = json_array(), *files = json_array(), *needs = json_array(), *qemu, *all;
	char *text, *line;

	for (size_t i = 0; i < b->argc; i++)
		json_array_append_new(argv, json_string(b->argv[i]));
	for (size_t i = 0; i < b->disk_count; i++) {
		json_t *d = print_file(&b->disks[i]);

		json_object_set_new(d, "format", json_string(b->disks[i].format));
		json_object_set_new(d, "virtual_bytes", json_integer((json_int_t)b->disks[i].virtual_bytes));
		json_array_append_new(disks, d);
	}
	for (size_t i = 0; i < b->file_count; i++) {
		json_t *f = print_file(&b->files[i]);

		json_object_set_new(f, "role", json_string(args_role_name(b->files[i].role)));
		json_array_append_new(files, f);
	}
	if (b->memory.file)
		json_array_append_new(needs, json_string(BUNDLE_MEMORY));
	qemu = json_of(MEMBER_TEXT("program", b->program), MEMBER_TEXT("version", b->version), MEMBER_TEXT("machine", b->machine));
	all = json_of(MEMBER_TEXT("format", FORMAT), MEMBER_COUNT("version", VERSION), MEMBER_NEW("needs", needs),
		      MEMBER_TEXT("made_by", "vmferry " VMFERRY_VERSION), MEMBER_TEXT("made", b->made), MEMBER_TEXT("name", b->name),
		      MEMBER_TEXT("state", b->state), MEMBER_FLAG("frozen", b->frozen), MEMBER_NEW("qemu", qemu),
		      MEMBER_TEXT("cwd", b->cwd), MEMBER_NEW("argv", argv), MEMBER_NEW("disks", disks), MEMBER_NEW("files", files),
		      MEMBER_MAYBE("memory", b->memory.file ? print_file(&b->memory) : NULL));
	text = all && json_array_size(argv) == b->argc ? json_text_dump(all, JSON_INDENT(1)) : NULL;
	json_decref(all);
	if (!text)
		return NULL;
	line = xasprintf("%s\n", text);
	free(text);
	return line;
}

/* ---- reading ---- */

static int text_of(char **out, const json_t *o, const char *key, bool must, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	const char *s = json_string_value(v);

	if (!v && !must)
		return 0;
	if (!s || strlen(s) > TEXT_MAX)
		return err_set(e, EINVAL, "'%s' is no text, or too long a one", key);
	*out = xstrdup(s);
	return 0;
}

static int number_of(uint64_t *out, const json_t *o, const char *key, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || (uint64_t)n > BUNDLE_BYTES_MAX)
		return err_set(e, EINVAL, "'%s' is not a number of bytes", key);
	*out = (uint64_t)n;
	return 0;
}

static int digest_of(char out[BUNDLE_DIGEST + 1], const json_t *o, struct err *e)
{
	const char *s = json_text(o, "sha256");

	if (!s || strlen(s) != BUNDLE_DIGEST || strspn(s, "0123456789abcdef") != BUNDLE_DIGEST)
		return err_set(e, EINVAL, "'sha256' is no SHA-256");
	memcpy(out, s, BUNDLE_DIGEST + 1);
	return 0;
}

static int parse_content(const struct bundle *b, struct bundle_file *f, const json_t *o, struct err *e)
{
	if (!bundle_name_is_plain(f->file) || !strcmp(f->file, BUNDLE_MANIFEST) || !strcmp(f->file, BUNDLE_README))
		return err_set(e, EINVAL, "'%.100s' is not the name of a file in a bundle", f->file);
	if (bundle_find(b, f->file))
		return err_set(e, EINVAL, "two are called '%s'", f->file);
	return number_of(&f->bytes, o, "bytes", e) ?: digest_of(f->sha256, o, e);
}

static int parse_file(const struct bundle *b, struct bundle_file *f, const json_t *o, struct err *e)
{
	int r = json_is_object(o) ? text_of(&f->path, o, "path", true, e) : err_set(e, EINVAL, "it is no object");

	r = r ?: text_of(&f->real_path, o, "real_path", false, e) ?: text_of(&f->file, o, "file", false, e);
	return r || !f->file ? r : parse_content(b, f, o, e);
}

static int parse_memory(struct bundle *b, const json_t *all, struct err *e)
{
	const json_t *o = json_object_get(all, "memory");
	struct bundle_file m = {.file = NULL};
	int r;

	if (!o)
		return 0;
	r = json_is_object(o) ? text_of(&m.file, o, "file", true, e) : err_set(e, EINVAL, "it is no object");
	r = r ?: parse_content(b, &m, o, e);
	b->memory = m;
	return r ? err_prefix(e, "memory") : 0;
}

static int parse_disk(struct bundle *b, const json_t *o, struct err *e)
{
	struct bundle_file *d = &b->disks[b->disk_count];
	const char *format = json_text(o, "format");
	int r = parse_file(b, d, o, e);

	if (!r && !d->file)
		r = err_set(e, EINVAL, "'file' is missing");
	r = r ?: number_of(&d->virtual_bytes, o, "virtual_bytes", e);
	if (!r && (!format || (strcmp(format, "raw") && strcmp(format, "qcow2"))))
		r = err_set(e, EINVAL, "'format' is neither raw nor qcow2");
	if (!r)
		snprintf(d->format, sizeof(d->format), "%s", format);
	if (!r)
		b->disk_count++;
	return r;
}

static int parse_other(struct bundle *b, const json_t *o, struct err *e)
{
	struct bundle_file *f = &b->files[b->file_count];
	const char *role = json_text(o, "role");
	int r = parse_file(b, f, o, e);

	f->role = role ? args_role_of(role) : ARGS_ROLES;
	if (!r && !args_role_is_content(f->role))
		r = err_set(e, EINVAL, "'role' is none of a file that a guest reads");
	if (!r && !f->file && f->role != ARGS_MEDIA)
		r = err_set(e, EINVAL, "'file' is missing, and only a medium may be left out");
	if (!r)
		b->file_count++;
	return r;
}

static void file_fini(struct bundle_file *f)
{
	FREE_ALL(f->file, f->path, f->real_path);
	*f = (struct bundle_file){.file = NULL};
}

static int parse_list(struct bundle *b, const json_t *all, const char *key, size_t max,
		      int (*parse)(struct bundle *b, const json_t *o, struct err *e), struct err *e)
{
	const json_t *list = json_object_get(all, key);
	int r = 0;

	if (!json_is_array(list) || json_array_size(list) > max)
		return err_set(e, EINVAL, "'%s' is no list, or has more than %zu members", key, max);
	for (size_t i = 0; !r && i < json_array_size(list); i++) {
		r = parse(b, json_array_get(list, i), e);
		if (r)
			err_prefix(e, "%s[%zu]", key, i);
	}
	return r;
}

static int parse_argv(struct bundle *b, const json_t *all, struct err *e)
{
	const json_t *list = json_object_get(all, "argv");

	if (!json_is_array(list) || !json_array_size(list) || json_array_size(list) > BUNDLE_WORDS_MAX)
		return err_set(e, EINVAL, "'argv' is no command line");
	b->argv = xcalloc(json_array_size(list) + 1, sizeof(*b->argv));
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);
		const char *s = json_string_value(v);

		if (!s || strlen(s) > TEXT_MAX)
			return err_set(e, EINVAL, "argv[%zu] is no text, or too long a one", i);
		b->argv[b->argc++] = xstrdup(s);
	}
	return 0;
}

static int check_version(const json_t *all, struct err *e)
{
	const char *format = json_text(all, "format");
	const json_t *needs = json_object_get(all, "needs"), *version = json_object_get(all, "version");
	const json_t *memory = json_object_get(all, "memory");
	const char *word;

	if (!format || strcmp(format, FORMAT) || !json_is_integer(version))
		return err_set(e, EINVAL, "it is no manifest of a bundle");
	if (json_integer_value(version) != VERSION)
		return err_set(e, ENOTSUP, "the bundle has version %lld, which this vmferry does not know",
			       (long long)json_integer_value(version));
	if (needs && !json_is_array(needs))
		return err_set(e, EINVAL, "'needs' is no list");
	for (size_t i = 0; i < json_array_size(needs); i++) {
		word = json_string_value(json_array_get(needs, i));
		if (!word || strcmp(word, BUNDLE_MEMORY) || !memory)
			return err_set(e, ENOTSUP, "the bundle needs '%.100s', which this vmferry does not know", word ?: "?");
	}
	return 0;
}

/* "qemu-system-ARCHITECTURE": no path, which would say where. */
static bool is_qemu(const char *program)
{
	static const char begin[] = "qemu-system-";

	return text_starts_with(program, begin) && bundle_name_is_plain(program);
}

static int parse(struct bundle *b, const json_t *all, struct err *e)
{
	const json_t *qemu = json_object_get(all, "qemu");
	int r = check_version(all, e) ?: text_of(&b->made, all, "made", false, e) ?: text_of(&b->name, all, "name", true, e);

	r = r ?: text_of(&b->state, all, "state", false, e) ?: text_of(&b->program, qemu, "program", true, e);
	if (!r && !is_qemu(b->program))
		r = err_set(e, EINVAL, "'program' is no QEMU: '%.100s'", b->program);
	r = r ?: text_of(&b->version, qemu, "version", false, e) ?: text_of(&b->machine, qemu, "machine", false, e);
	r = r ?: text_of(&b->cwd, all, "cwd", true, e);
	if (!r && *b->cwd != '/')
		r = err_set(e, EINVAL, "'cwd' is no absolute path");
	r = r ?: parse_argv(b, all, e) ?: parse_list(b, all, "disks", BUNDLE_DISKS_MAX, parse_disk, e);
	r = r ?: parse_list(b, all, "files", BUNDLE_FILES_MAX, parse_other, e) ?: parse_memory(b, all, e);
	b->frozen = json_is_true(json_object_get(all, "frozen"));
	return r;
}

int bundle_parse(struct bundle *b, const char *text, size_t n, struct err *e)
{
	json_error_t where;
	json_t *all;
	int r;

	*b = (struct bundle){.argc = 0};
	if (n > BUNDLE_MANIFEST_MAX)
		return err_set(e, EINVAL, "the manifest is longer than %u MiB", BUNDLE_MANIFEST_MAX >> 20);
	all = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
	if (!json_is_object(all))
		r = err_set(e, EINVAL, "it is no manifest: line %d: %s", where.line, all ? "no object" : where.text);
	else
		r = parse(b, all, e);
	json_decref(all);
	if (r)
		bundle_fini(b);
	return r;
}

void bundle_fini(struct bundle *b)
{
	for (size_t i = 0; i < BUNDLE_DISKS_MAX; i++) /* disks that were not counted may have something to free, too */
		file_fini(&b->disks[i]);
	for (size_t i = 0; i < BUNDLE_FILES_MAX; i++)
		file_fini(&b->files[i]);
	file_fini(&b->memory);
	args_free_strings(b->argv, b->argc);
	FREE_ALL(b->made, b->name, b->state, b->program, b->version, b->machine, b->cwd);
	*b = (struct bundle){.argc = 0};
}

/* ---- for people ---- */

/* The line with each file of the bundle under the name that the commands before it give it. */
static char *line_by_hand(const struct bundle *b)
{
	AUTO_FREE struct args_map *map = xcalloc(2 * (b->disk_count + b->file_count) + 1, sizeof(*map));
	struct args_options o = {.cwd = b->cwd, .disks = map, .machine = b->machine, .socket_dir = "HERE", .at_rest = true};
	char *made[BUNDLE_DISKS_MAX + BUNDLE_FILES_MAX];
	struct args_result line;
	char *text = NULL;
	size_t i, n = 0;
	struct err why;

	for (i = 0; i < b->disk_count + b->file_count; i++) {
		const struct bundle_file *f = i < b->disk_count ? &b->disks[i] : &b->files[i - b->disk_count];
		const char *format = i < b->disk_count ? f->format : NULL, *suffix = format && !strcmp(format, "raw") ? ".raw" : "";

		made[n] = f->file ? xasprintf("HERE/%s%s", f->file, suffix) : NULL;
		map[o.disk_count++] = (struct args_map){.from = f->path, .to = made[n], .format = format};
		if (f->real_path)
			map[o.disk_count++] = (struct args_map){.from = f->real_path, .to = made[n], .format = format};
		n++;
	}
	if (!qemu_args_rewrite(&line, b->argv, b->argc, &o, &why)) {
		text = qemu_args_start_line(line.argv, line.argc, b->program, NULL);
		args_result_fini(&line);
	} else {
		text = xasprintf("# %s", why.msg);
	}
	while (n)
		free(made[--n]);
	return text;
}

char *bundle_readme(const struct bundle *b)
{
	AUTO_FREE char *name = shell_comment(b->name), *line = line_by_hand(b);
	char *text;
	const struct bundle_file *d;
	size_t size, i;
	FILE *f = open_memstream(&text, &size);

	fprintf(f,
		"The guest %s, as it was on %s (%s%s), exported by vmferry %s.\n"
		"\n"
		"    vmferry import THIS-DIRECTORY --disk-dir /srv/vm\n"
		"\n"
		"verifies it and makes it a guest again (vmferry import --help). By hand, without vmferry: in a directory of its\n"
		"own, which HERE stands for below, with THERE for this one. What is started from a copy leaves the bundle as it is;\n"
		"see that the original does not run any more, or give the copy another -uuid and other MAC addresses.\n"
		"\n"
		"Is all of it here, and as it was?\n"
		"\n",
		name, b->made ? b->made : "?", b->state ? b->state : "?", b->frozen ? ", its file systems frozen" : "", VMFERRY_VERSION);
	for (i = 0; (d = bundle_next(b, &i));)
		fprintf(f, "    echo '%s  %s' | sha256sum -c\n", d->sha256, d->file);
	fputs("\nIts disks and files:\n\n", f);
	for (i = 0; i < b->disk_count; i++)
		fprintf(f, "    qemu-img convert -f qcow2 -O %s THERE/%s HERE/%s%s\n", b->disks[i].format, b->disks[i].file,
			b->disks[i].file, strcmp(b->disks[i].format, "raw") ? "" : ".raw");
	for (i = 0; i < b->file_count; i++)
		if (b->files[i].file)
			fprintf(f, "    cp THERE/%s HERE/\n", b->files[i].file);
	fprintf(f, "\nIts command line%s%s:\n\n%s\n", b->version ? ", of QEMU " : "", b->version ? b->version : "", line);
	if (b->memory.file)
		fprintf(f,
			"\nIt starts from its disks so. To go on where it was, with what it had in memory, add -S -incoming defer, and at its monitor\n"
			"say migrate_incoming file:THERE/%s and, when info migrate says completed, cont: once only, from disks that are as above.\n",
			b->memory.file);
	if (fclose(f))
		abort();
	return text;
}
