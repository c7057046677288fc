/* file-number.h: files with a number in them: pidfiles, and what the kernel tells of itself under /proc and /sys. */
#ifndef VMFERRY_FILE_NUMBER_H
#define VMFERRY_FILE_NUMBER_H

/* The number at the file's beginning; 0: there is no such file, or no number. */
long file_number(const char *path);

#endif
