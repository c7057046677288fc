#!/bin/bash
# --version: the program's on the first line, and on the second those of the libraries that are inside or that it uses.
# tier: gate
. "$(dirname "$0")/../../lib/base.sh"

for program in vmferry vmferry-dst; do
	mapfile -t lines < <("$BIN/$program" --version)
	[[ ${lines[0]} =~ ^$program\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "$program: ${lines[*]}"
	for library in OpenSSL jansson liburing lz4 xxHash zstd libseccomp; do
		[[ ${lines[1]} =~ $library\ [0-9]+\.[0-9] ]] || fail "$program does not name $library: ${lines[*]}"
	done
	assert_eq "${#lines[@]}" 2 "lines of $program"
done
"$BIN/vmferry" --version | grep -qE 'libssh2 [0-9]+\.[0-9].*libxml2 [0-9]+\.[0-9].*zlib [0-9].*liblzma [0-9].*bzip2 [0-9]' || fail "vmferry does not name libssh2, libxml2, zlib, liblzma and bzip2"
