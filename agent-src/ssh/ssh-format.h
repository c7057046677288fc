/*
 * ssh-format.h: the few formats of SSH that we read ourselves, as libssh2 does not tell what we have to tell the user:
 * known_hosts, the outside of a private key, the server's first offer. Pure.
 */
#ifndef VMFERRY_SSH_FORMAT_H
#define VMFERRY_SSH_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SSH_KEY_MAX   16384 /* bytes of a public key */
#define SSH_TYPES_MAX 512   /* chars of a list of key types */

/* ---- public keys ---- */

/* "ssh-ed25519" and so on, from the key itself; false: it is none. */
bool ssh_key_type(const uint8_t *key, size_t n, char type[64]);
/* "SHA256:…" as OpenSSH writes it. */
void ssh_fingerprint(const uint8_t *key, size_t n, char out[64]);

/* ---- known_hosts, sshd(8) "SSH_KNOWN_HOSTS FILE FORMAT" ---- */

enum known { KNOWN_NOT, KNOWN_SAME, KNOWN_CHANGED, KNOWN_REVOKED };

struct known_hosts {
	enum known verdict;
	unsigned line;		   /* line that decided it: with the same, a changed or the revoked key */
	char types[SSH_TYPES_MAX]; /* key types known for this host, comma between them */
};

/*
 * Looks for the host in the text of one file. key is what the server shows; NULL: only collects the types. A key that is
 * not there counts as changed when any other key of this host is. Lines that cannot be read, and those of certificate
 * authorities, count for nothing; @revoked counts more than anything. A byte of zero ends its line, as it does for ssh(1), and not the text.
 * types and verdict go on from what is in *out.
 */
void known_hosts_look(const char *text, size_t bytes, const char *host, unsigned port, const uint8_t *key, size_t n,
		      struct known_hosts *out);
/* "HOST" or "[HOST]:PORT", in lower case, as known_hosts has it. malloc'ed. */
char *known_hosts_name(const char *host, unsigned port);
/* A line for known_hosts, with its newline. malloc'ed. */
char *known_hosts_line(const char *host, unsigned port, const uint8_t *key, size_t n);

/* ---- private keys: what they are before anyone can decrypt them ---- */

struct private_key {
	char type[64]; /* "ssh-ed25519" …; "": cannot be told */
	bool encrypted;
	uint8_t public_key[SSH_KEY_MAX]; /* public key, of the OpenSSH format only */
	size_t public_bytes;
};

/* false: not a private key in a format that libssh2 reads. */
bool private_key_look(const char *text, struct private_key *out);

/* ---- RFC 4253, 7.1 ---- */

/* The host key algorithms that a server offers, from the first bytes it sent: banner and KEXINIT. "": not (yet) there. */
void kexinit_host_keys(const uint8_t *data, size_t n, char out[SSH_TYPES_MAX]);

#endif
