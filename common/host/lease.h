/*
 * lease.h: does anybody else have a file open, in whatever process, namespace or loop device? The kernel grants a lease (fcntl(2)) only if nobody has.
 */
#ifndef VMFERRY_LEASE_H
#define VMFERRY_LEASE_H

/* type: F_WRLCK: has it open at all; F_RDLCK: for writing. 0: nobody; -EAGAIN: somebody; another -errno: the file system does not tell. */
int lease_try(int fd, int type);

#endif
