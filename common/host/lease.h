/*
 * lease.h: tells whether anyone else has a file open, in any process, namespace or loop device. The kernel grants a lease (fcntl(2)) only
 * if nobody has.
 */
#ifndef VMFERRY_LEASE_H
#define VMFERRY_LEASE_H

/* type: F_WRLCK: asks for anyone who has it open; F_RDLCK: only for writers. 0: nobody; -EAGAIN: somebody; another -errno: the file system
 * does not tell. */
int lease_try(int fd, int type);

#endif
