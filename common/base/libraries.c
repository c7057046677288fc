/* libraries.c: see libraries.h. In a static program these are what was built in. */
#include "libraries.h"
#include "version.h"

#include <jansson.h>
#include <lz4.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <xxhash.h>
#include <zstd.h>

#ifndef LIBURING_VERSION
#define LIBURING_VERSION "?"
#endif

void libraries_print(const char *name, const char *more)
{
	unsigned xxh = XXH_versionNumber();

	printf("%s " VMFERRY_VERSION "\n"
	       "%s; jansson %s, liburing " LIBURING_VERSION ", lz4 %s, xxHash %u.%u.%u, zstd %s%s\n",
	       name, OpenSSL_version(OPENSSL_VERSION), jansson_version_str(), LZ4_versionString(), xxh / 10000, xxh / 100 % 100, xxh % 100,
	       ZSTD_versionString(), more);
}
