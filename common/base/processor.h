/* processor.h: the kind of processor that these programs are compiled for, as uname(1) and elf(5) call it. */
#ifndef VMFERRY_PROCESSOR_H
#define VMFERRY_PROCESSOR_H

#include <elf.h>

#if defined(__x86_64__)
#define PROCESSOR_NAME "x86_64"
#define PROCESSOR_ELF  EM_X86_64
#elif defined(__aarch64__)
#define PROCESSOR_NAME "aarch64"
#define PROCESSOR_ELF  EM_AARCH64
#else
#error "vmferry is for x86_64 and aarch64"
#endif

#endif
