/* version.h: the release. The protocol has its own version (proto/messages.h). */
#ifndef VMFERRY_VERSION_H
#define VMFERRY_VERSION_H

#define VMFERRY_VERSION "0.1.0"

#endif
