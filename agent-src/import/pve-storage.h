/* pve-storage.h: where a host of Proxmox VE's has a volume, by its storage.cfg (pvesm(1)). Pure. */
#ifndef VMFERRY_IMPORT_PVE_STORAGE_H
#define VMFERRY_IMPORT_PVE_STORAGE_H

#include <stdbool.h>

#define PVE_DIRECTORY	"/etc/pve/"
#define PVE_STORAGE_CFG PVE_DIRECTORY "storage.cfg"
#define PVE_NODES	PVE_DIRECTORY "nodes/"

/* The two nodes of a cluster that matter: this one, and the guest's. */
struct pve_nodes {
	char here[64], there[64];
};

/*
 * volume: STORAGE:NAME. The path of a file or a block device; malloc'ed. NULL: cfg has no such storage, or one that has no path on that host (Ceph,
 * iSCSI), or the name is no volume's; or, of nodes, that there is no such volume here, which another one of that name would be taken for. nodes NULL: not known.
 */
char *pve_volume_path(const char *cfg, const char *volume, const struct pve_nodes *nodes);

#endif
