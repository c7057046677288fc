/*
 * libvirt-walk.h: what stands where in a domain's XML, once for its reader, its rewriter and `import`. Elements of a foreign namespace are none
 * of libvirt's and are not seen. Pure. Texts are malloc'ed.
 */
#ifndef VMFERRY_LIBVIRT_WALK_H
#define VMFERRY_LIBVIRT_WALK_H

#include "libvirt-xml.h"
#include "xml.h"

/* The first such child of libvirt's own, the next sibling, and the element at the end of "a/b/c"; NULL: none. */
xmlNode *libvirt_child(const xmlNode *parent, const char *name);
xmlNode *libvirt_next(const xmlNode *node, const char *name);
xmlNode *libvirt_at(const xmlNode *parent, const char *path);
bool libvirt_is(const xmlNode *node, const char *name);
/* An attribute, or an element's text, to the byte, with its blanks. NULL: none, empty, or longer than XML_TEXT_MAX. */
char *libvirt_attr(const xmlNode *node, const char *name);
char *libvirt_attr_at(const xmlNode *parent, const char *path, const char *name);
char *libvirt_text(const xmlNode *node);

/* The kind of <source> in an element with type= (<disk>, <backingStore>, <nvram>), and its path or "POOL/VOLUME": NULL, it has none. */
enum libvirt_source libvirt_source_of(const xmlNode *holder);
char *libvirt_source_name(const xmlNode *holder);
/* The element whose <source> is below that of this one: its backing file, or where its data is; NULL: none. */
xmlNode *libvirt_backing(const xmlNode *holder);
xmlNode *libvirt_data_store(const xmlNode *holder);

/* The path of <nvram>: of its <source>, or in the older form its text. */
char *libvirt_nvram_name(const xmlNode *nvram);

/* <disk> and <interface>, without any check of what they say. */
void libvirt_disk_read(struct libvirt_disk *out, const xmlNode *node);
void libvirt_disk_fini(struct libvirt_disk *d);
void libvirt_nic_read(struct libvirt_nic *out, const xmlNode *node);
void libvirt_nic_fini(struct libvirt_nic *n);

/* A guest's name as libvirt takes one: no "/", no control character, bounded. 0 or -EINVAL. */
int libvirt_name_check(const char *name, struct err *e);
/* An absolute path without control characters, or NULL. 0 or -EINVAL; what: "the disk vda". */
int libvirt_path_check(const char *path, const char *what, struct err *e);

#endif
