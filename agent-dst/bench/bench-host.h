/*
 * bench-host.h: what `vmferry bench HOST` has done on that host. It sends vmferry-bench-dst there and starts it over SSH:
 *
 *     vmferry-bench-dst --host             makes a directory, then takes orders on standard input until that ends
 *     vmferry-bench-dst --reach SOCKET     joins standard input and output to a unix socket, once it is there
 *
 * Orders and answers are JSON, one object a line. The first line, unasked, is {dir, client, server}: the new directory and the
 * two addresses of the SSH connection as they are seen here. Paths in orders are relative and stay within the directory.
 *
 *     {order: "folder", path}                 {}              a new one
 *     {order: "file", path, bytes}            {}              its bytes follow the line
 *     {order: "image", path, bytes}           {direct}        an empty one; whether O_DIRECT works there
 *     {order: "allocated", path}              {bytes}
 *     {order: "tail", path}                   {text}          the end of a file
 *     {order: "room"}                         {memory, disk, disk_is_memory}   bytes that are available, on the file system of the
 *                                                             directory; whether that is a tmpfs
 *     {order: "port", first, last}            {port}          a free one of these (0, 0: of any)
 *     {order: "qemu", names}                  {path, version, netdevs}   of the first that can be run: what it prints about these
 *     {order: "spawn", argv, log}             {pid}
 *     {order: "beat", address, port, token}   {}              some datagrams like those of the guest's heartbeat
 *     {order: "remove", path}                 {}              the folder, and all of the bench's processes that have it on their command line
 *
 * {error: TEXT} is an answer to any of them. An empty line is no order, but says that somebody is still there.
 *
 * When input ends, or nothing has come for SILENCE_S seconds, everything goes: processes of the bench that name the directory on their
 * command line (its children, agents whose journals and sockets are there, the QEMUs of these), others that write to files there once
 * they had time to take back what they did, and the directory. Who only looks there is left alone, as is whoever is in a container.
 */
#ifndef VMFERRY_BENCH_HOST_H
#define VMFERRY_BENCH_HOST_H

/* Exit codes. */
int bench_host(void);
int bench_reach(const char *path);

#endif
