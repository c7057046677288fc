/* qemu-args-rules.h: shared by the parts of the rewriter, and included by no other file. */
#ifndef VMFERRY_QEMU_ARGS_RULES_H
#define VMFERRY_QEMU_ARGS_RULES_H

#include "qemu-args.h"
#include "qemu-opts.h"
#include "qemu-props.h"

#include <stdbool.h>
#include <stddef.h>

/* An option of the line. Its rule changes props and emits them; ids stay as they are, so that other rules can look it up. */
struct item {
	const char *name, *value;
	struct props p;
	bool ejected;		    /* -blockdev: its medium is not taken along */
	size_t nic;		    /* a network's back end: its index in the result */
	const struct args_map *map; /* -blockdev: of the file that it names itself; NULL: it is in none, or names no file */
};

/* An index entry: an item by its own id, or by an id that it refers to. */
struct args_ref {
	const char *name, *key;
	char *value;
	size_t item;
};

struct rewrite {
	const struct args_options *o;
	struct args_result *r;
	struct err *e;
	struct item *items;
	size_t item_count;
	struct args_ref *refs; /* sorted: lines may have thousands of options */
	size_t ref_count;
	json_t *said;	 /* keys that args_is_new() has seen */
	size_t slirps;	 /* names made for user networks that stay */
	size_t appended; /* names made for files that are gone on with */
	json_t *moved;	 /* names that went to socket_dir: old to new */
	json_t *taken;	 /* names there, so that two files never get one: the number with which the next like it is tried */
	bool machine_typed, has_display;
};

typedef int rule_fn(struct rewrite *w, struct item *it);

/* Appends an option to the result; without a name ("") only its value. */
void args_emit(struct rewrite *w, const char *name, const char *value);
void args_emit_list(struct rewrite *w, const char *name, const struct kv_list *l);
/* The option with its props as they are now. */
void args_emit_item(struct rewrite *w, const struct item *it);
/* A line for the plan; the same one only once. */
void args_note(struct rewrite *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void args_note_stdio(struct rewrite *w);
/* True the first time that it is called with this text. */
bool args_is_new(struct rewrite *w, const char *what);
/* "name" equals one of count patterns; '*' at a pattern's end stands for anything. */
bool args_among(const char *name, const char *const *patterns, size_t count);
/* The first option of that name whose key has that value on the line as it was read: NULL if there is none. Only the keys in
 * args_index()'s table. */
struct item *args_find(const struct rewrite *w, const char *name, const char *key, const char *value);
/* A client's socket with the options l, of a -chardev or -netdev that name tells of in notes: what is the path's noun. */
void args_connect(struct rewrite *w, struct item *it, const struct kv_list *l, const char *what, const char *name, char **path);
/* A network back end in whose place another is made, so that nothing of it counts there. */
bool args_network_is_mapped(const struct rewrite *w, const struct item *it);
int args_refuse_descriptor(struct rewrite *w, const struct item *it);
#define ARGS_ONE_PORT "only one process can listen on a port"
#define ARGS_EMPTIED  "a QEMU that starts empties that file"
/* Refuses with "-OPTION VALUE: WHY" if in_place is set, for something that two QEMUs cannot share; else 0. */
int args_check_in_place(struct rewrite *w, const struct item *it, const char *why);

/* qemu-args-files.c */

const struct args_map *args_find_map(const struct rewrite *w, const char *path);
/*
 * A file that the option names: noted in the result, and *path replaced by its name at the destination. Returns its entry
 * in the map, or NULL. An entry without `to` leaves *path: the caller takes the medium out. what: in the note; NULL:
 * as the role is called.
 */
const struct args_map *args_file(struct rewrite *w, const struct item *it, enum args_role role, bool read_only, const char *what,
				 char **path);
/* The same as args_file() for a socket that QEMU listens on; refuses a path that would be too long. */
int args_listen(struct rewrite *w, const struct item *it, const char *what, char **path);

/* qemu-args-part.c */

/* Gives the node above a file the offset and size that m asks for. filename_key of this list names the file ("file" of a -drive,
 * "file.filename" …). */
int args_show_part(struct rewrite *w, const struct item *it, struct props *in, const char *filename_key, const struct args_map *m);
/* True if the list is a -blockdev that is the file itself. */
bool args_is_file_node(const struct item *it, const struct props *in, const char *filename_key);
/* The same of a -blockdev whose file is another node, or which is such a file. */
int args_show_part_of_node(struct rewrite *w, struct item *it);
/* Finds the map's entry of each -blockdev that is a file, before the walk. */
void args_find_files(struct rewrite *w);

/* Rules: 0 or -errno. */
rule_fn args_on_machine, args_on_accel, args_on_cpu, args_on_mem_path, args_on_icount;	     /* qemu-args-machine.c */
rule_fn args_on_run_with, args_on_trace, args_on_old_word;				     /* qemu-args-machine.c */
rule_fn args_on_data_file, args_on_option_rom, args_on_initrd, args_on_file_keys;	     /* qemu-args-machine.c */
rule_fn args_on_drive, args_on_blockdev, args_on_disk_file, args_on_media, args_on_snapshot; /* qemu-args-disks.c */
rule_fn args_on_chardev, args_on_chardev_compat, args_on_qmp;				     /* qemu-args-chars.c */
rule_fn args_on_vnc, args_on_spice, args_on_display, args_on_window, args_on_nographic;	     /* qemu-args-display.c */
rule_fn args_on_audiodev, args_on_audio;						     /* qemu-args-display.c */
rule_fn args_on_network;								     /* qemu-args-net.c */
rule_fn args_on_device, args_on_object, args_on_fsdev, args_on_tpmdev, args_on_usbdevice;    /* qemu-args-devices.c */
rule_fn args_on_global;									     /* qemu-args-devices.c */

/* Marks ejected media, before the walk. */
void args_mark_ejected(struct rewrite *w);	  /* qemu-args-disks.c */
int args_list_nics(struct rewrite *w);		  /* qemu-args-net.c: fills r->nics and checks o->nets */
int args_check_monitors(const struct rewrite *w); /* qemu-args-monitors.c */

#endif
