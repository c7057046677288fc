/* milestone.h: what parts of a transfer have reached (part_ops.reached), which the gates of the blackout wait for. */
#ifndef VMFERRY_MILESTONE_H
#define VMFERRY_MILESTONE_H

enum milestone {
	M_LOOKED_AT = 1 << 0,	  /* the guest was looked at since it stopped */
	M_DISKS_QUEUED = 1 << 1,  /* the last block of the last round is on its way */
	M_DISKS_DURABLE = 1 << 2, /* the last block of the last round is on stable storage at the destination */
	M_DISKS_CLOSED = 1 << 3,  /* the disks are durable there, and our agent there has closed them */
	M_RAM_QUEUED = 1 << 4,	  /* every page is on its way */
};

#endif
