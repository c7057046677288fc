/*
 * readers.h: every kind of description that can be imported; each fills a struct guest_description from the text of one file.
 *
 * A reader is pure: it opens nothing, believes nothing, and leaves *d to be freed by the caller whatever it returns. 0, or -EINVAL:
 * it is not what it claims to be, or something without which there would be no guest. All else that is not understood is a note.
 * A further kind of description (a bundle of vmferry's own, say) is a row of `readers` in file-kind.c and a function here.
 */
#ifndef VMFERRY_READERS_H
#define VMFERRY_READERS_H

#include "guest-description.h"

int read_ovf(struct guest_description *d, const char *text, size_t n, struct err *e);
int read_vmx(struct guest_description *d, const char *text, size_t n, struct err *e);
int read_libvirt(struct guest_description *d, const char *text, size_t n, struct err *e);
/* The configuration of an exported guest as Windows Server 2008 to 2012 R2 write it. */
int read_hyperv(struct guest_description *d, const char *text, size_t n, struct err *e);
/* Output of Get-VM … | ConvertTo-Json; is_…: whether a text that begins so is that. */
int read_hyperv_json(struct guest_description *d, const char *text, size_t n, struct err *e);
bool is_hyperv_json(const char *text, size_t n);
/* A .vbox, which VirtualBox itself keeps a guest's settings in. */
int read_virtualbox(struct guest_description *d, const char *text, size_t n, struct err *e);
/* The ova.xml of an XVA. Of a disk the file is "Ref:NUMBER", its folder there. */
int read_xva(struct guest_description *d, const char *text, size_t n, struct err *e);
/* The configuration of a guest of Proxmox VE's; is_…: whether a text that begins so is one. */
int read_proxmox(struct guest_description *d, const char *text, size_t n, struct err *e);
bool is_proxmox(const char *text, size_t n);
/* The metadata.json of a Vagrant box of libvirt's. */
int read_box(struct guest_description *d, const char *text, size_t n, struct err *e);
/* Reads quickemu's configuration. */
int read_quickemu(struct guest_description *d, const char *text, size_t n, struct err *e);
bool is_quickemu(const char *text, size_t n);

/* The config.plist of a .utm bundle of UTM's; is_…: whether a property list that begins so is one. */
int read_utm(struct guest_description *d, const char *text, size_t n, struct err *e);
bool is_utm(const char *text, size_t n);

#endif
