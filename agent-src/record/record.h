/*
 * record.h: runs a script that starts a guest, with a QEMU that only prints its words, where it can do nothing to this host.
 *
 * The script is run by its own interpreter, so that it means what it means: variables, arrays, functions, conditions. It runs in namespaces of its
 * own (no network, no other process), without a capability; every file system is read-only, device nodes but a few do not open, and
 * a filter refuses connections and what changes the system. What it may still do is to read, from a named pipe, too. Each QEMU of this host, and swtpm, is a script there that writes its words to
 * a pipe; programs that prepare something for a guest (ip, modprobe, chmod …) do nothing, and succeed. Directories that it makes are in memory only, and so are small files that it writes beside itself and where temporary files are. Another file that it opens to write to it, a log or a
 * pidfile, is /dev/null, and calls that change files do nothing, and succeed. Programs that run others (tmux, start-stop-daemon …) just do that; as another
 * user (sudo -u …) they run nothing. Records say what could not be as it is outside.
 */
#ifndef VMFERRY_RECORD_H
#define VMFERRY_RECORD_H

#define RECORD_WORD "--record-script"
/* Beginning of a record: then the number of words that QEMU has, its directory, LD_LIBRARY_PATH, QEMU_MODULE_DIR, its program, and its
 * words; each ends with NUL. */
#define RECORD_MARK "vmferry-record"
/*
 * How another record begins: then what it is (a word below), the program, a user, and the program's words in one string. All end with NUL.
 * user: it would have run these words as another user, and did not; spoke: it would have spoken to a monitor; asked: it was asked something, or was to do what
 * the script's next question may be about, and answered nothing, or did nothing; failed: QEMU was asked something of itself, and ended with an error; made: it would have
 * made a file that is not there; cut: the script was ended before it had done all that it does; reached, abroad: it would have connected to a socket of this host,
 * or of another one; deaf: this kernel does not let these three be told; read: it looks at a file that it has written, whose contents went nowhere; waited: it looks again and again for a file that is not there;
 * config: a QEMU whose record follows was to read this text by -readconfig from a stream, whose name stands in the user's place; held: a QEMU whose record follows is started by these words
 * (nice, taskset, unshare …), which give it something of this host, or keep it from something.
 */
#define RECORD_NOTE    "vmferry-note"
#define RECORD_USER    "user"
#define RECORD_SPOKE   "spoke"
#define RECORD_ASKED   "asked"
#define RECORD_MADE    "made"
#define RECORD_CUT     "cut"
#define RECORD_FAILED  "failed"
#define RECORD_REACHED "reached"
#define RECORD_ABROAD  "abroad"
#define RECORD_READ    "read"
#define RECORD_DEAF    "deaf"
#define RECORD_WAITED  "waited"
#define RECORD_CONFIG  "config"
#define RECORD_HELD    "held"

/*
 * `vmferry --record-script DIRECTORY PATH [WORD…]`: that script, or program, is run there with these words. Records on standard output; on
 * standard error what the script says, and why not. Returns the exit code: 0, also if the script failed after all. words: from PATH on, and a NULL.
 */
int record_script(const char *dir, char **words);

#endif
