/* shell-quote.h: text for a POSIX shell script. Pure. The caller frees what is returned. */
#ifndef VMFERRY_SHELL_QUOTE_H
#define VMFERRY_SHELL_QUOTE_H

/* s as one word that sh reads back byte for byte: as it is if nothing in it is special, otherwise in single quotes. */
char *shell_quote(const char *s);
/* Does the same as shell_quote(), and is safe to show on a terminal: a printf(1) in the script produces unprintable characters when it
 * runs. (Newlines at the end stay as they are, in quotes: $(…) would drop them.) */
char *shell_quote_shown(const char *s);
/* s with '?' for every control character, so that it stays within one line of a comment. */
char *shell_comment(const char *s);

#endif
