/* libraries.h: which libraries this program runs with, or has inside: for --version. */
#ifndef VMFERRY_LIBRARIES_H
#define VMFERRY_LIBRARIES_H

/* Prints "NAME VERSION", and below it the libraries' versions; more: further ones, "" for none. */
void libraries_print(const char *name, const char *more);

#endif
