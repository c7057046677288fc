#!/bin/bash
# scripts/install-deps takes what it unpacks from Debian's own archive, whatever else this machine's package sources name, and by
# whatever name they ask for it. Archives are directories here; apt reads them, and nothing is installed.
# timeout: 600
# tier: gate
. "$(dirname "$0")/../../lib/base.sh"
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || skip "this is no Debian"
test_begins
. "$TOP/scripts/install-deps"
codename=bookworm

archive() { # ROOT SUITE COMPONENT PACKAGE
	local dir=$1/dists/$2
	mkdir -p "$dir/$3/binary-amd64" "$DIR/package/DEBIAN" "$1/pool"
	printf 'Package: %s\nVersion: 1\nArchitecture: amd64\nMaintainer: a\nDescription: a\n' "$4" >"$DIR/package/DEBIAN/control"
	dpkg-deb -b "$DIR/package" "$1/pool/$2-$4.deb" >/dev/null
	{
		cat "$DIR/package/DEBIAN/control"
		printf 'Filename: pool/%s\nSize: %s\nSHA256: %s\n' "$2-$4.deb" "$(stat -c %s "$1/pool/$2-$4.deb")" "$(sha256sum <"$1/pool/$2-$4.deb" | cut -d' ' -f1)"
	} >"$dir/$3/binary-amd64/Packages"
	{
		printf 'Suite: %s\nCodename: %s\nComponents: %s\nArchitectures: amd64\nDate: %s\nSHA256:\n' "$2" "$2" "$3" "$(date -Ru)"
		(cd "$dir" && printf ' %s %s %s\n' "$(sha256sum "$3/binary-amd64/Packages" | cut -d' ' -f1)" \
			"$(stat -c %s "$3/binary-amd64/Packages")" "$3/binary-amd64/Packages")
	} >"$dir/Release"
}

machine() { # FILE: this machine's only package source is what is read
	rm -rf "$DIR/etc" "$DIR/apt"
	mkdir -p "$DIR/etc/parts"
	cat >"$DIR/etc/parts/$1"
	printf 'Dir::Etc::sourcelist "%s/none";\nDir::Etc::sourceparts "%s";\n' "$DIR/etc" "$DIR/etc/parts" >"$DIR/etc/apt.conf"
	export APT_CONFIG=$DIR/etc/apt.conf
}

takes() { # WORDS: package lists are read, and QEMU is in the backports
	(set -euo pipefail; prepare_apt "$DIR/apt" bookworm-backports) >"$DIR/said" 2>&1 || fail "$1: $(cat "$DIR/said" "$DIR"/apt/sources.d/*)"
	offers "$DIR/apt" bookworm-backports || fail "$1: there is no QEMU"
}

debian=$DIR/srv/debian others=$DIR/srv/others docker=$DIR/srv/linux/debian
archive "$debian" bookworm main linux-image-cloud-amd64
archive "$debian" bookworm-updates main tzdata
archive "$debian" bookworm-backports main qemu-system-x86
archive "$others" bookworm main vault
archive "$docker" bookworm stable docker-ce
cp -r "$debian" "$DIR/srv/mirror"

machine a.sources <<-END_OF_SOURCES
	Types: deb
	URIs: file:$debian
	Suites: bookworm bookworm-updates
	Components: main
	Trusted: yes

	Types: deb
	URIs: file:$docker
	Suites: bookworm
	Components: stable
	Trusted: yes

	Types: deb
	URIs: file:$others
	Suites: bookworm
	Components: main
	Trusted: yes
END_OF_SOURCES
takes "beside others' archives"
assert_eq "$(grep -c bookworm-backports "$DIR/apt/sources.d/vmferry.sources")" 1 "stanzas with backports"
! grep -q "could not be read" "$DIR/said" || fail "others were asked for backports: $(cat "$DIR/apt/log")"

machine a.list <<-END_OF_LIST
	deb [trusted=yes] file:$DIR/srv/mirror bookworm main
	deb [trusted=yes] file:$DIR/srv/mirror bookworm-updates main
	deb [trusted=yes] file:$docker bookworm stable
	deb [trusted=yes] file:$others bookworm main # vault
END_OF_LIST
takes "a mirror of another name, in one line each"
! grep -q "could not be read" "$DIR/said" || fail "others were asked for backports: $(cat "$DIR/apt/log")"

mv "$DIR/srv/mirror" "$DIR/srv/packages"
machine a.list <<<"deb [trusted=yes] file:$DIR/srv/packages bookworm main"
takes "a mirror by whose name nothing can be told"

# A source of packages that is gone stops nothing.
machine a.list <<-END_OF_LIST
	deb [trusted=yes] file:$debian bookworm main
	deb [trusted=yes] file:$DIR/srv/gone bookworm main
END_OF_LIST
takes "beside one that is gone"
grep -q "could not be read" "$DIR/said" || fail "it does not say that one is gone: $(<"$DIR/said")"

for suite in stable oldstable; do
	machine a.sources <<-END_OF_SOURCES
		Types: deb
		URIs: file:$debian
		Suites: $suite $suite-updates
		Components: main
		Trusted: yes
	END_OF_SOURCES
	takes "$suite, deb822"
	machine a.list <<<"deb [trusted=yes] file:$debian $suite main"
	takes "$suite"
done

# Another release is taken from the same archive, and this machine's release is then not.
takes_foreign() { # WORDS CODENAME SUITE
	(set -euo pipefail; prepare_foreign_apt "$DIR/apt" "$2" "$3") >"$DIR/said" 2>&1 || fail "$1: $(cat "$DIR/said" "$DIR"/apt/sources.d/*)"
	assert_eq "$(private_apt "$DIR/apt" apt-get indextargets --format '$(RELEASE)' "Identifier: Packages" | sort -u | paste -sd' ')" "$(printf "%s\n" "${@:2}" | sort -u | paste -sd" ")" "$1: suites read"
	! grep -q "$others" "$DIR"/apt/sources.d/* || fail "$1: others are asked for it: $(cat "$DIR"/apt/sources.d/*)"
}
archive "$debian" trixie main libc6
archive "$debian" trixie-backports main qemu-system-x86
machine a.sources <<-END_OF_SOURCES
	Types: deb
	URIs: file:$others
	Suites: bookworm
	Components: main
	Trusted: yes

	Types: deb
	URIs: file:$debian
	Suites: bookworm bookworm-updates
	Components: main
	Trusted: yes
END_OF_SOURCES
takes_foreign "another release, deb822" trixie trixie-backports
machine a.list <<-END_OF_LIST
	deb [trusted=yes] file:$others bookworm main
	deb [trusted=yes] file:$debian bookworm main
	deb [trusted=yes] file:$debian bookworm-updates main
END_OF_LIST
takes_foreign "another release" trixie trixie-backports
codename=trixie
machine a.list <<<"deb [trusted=yes] file:$debian trixie main"
archive "$debian" bookworm main qemu-system-x86
takes_foreign "an older release" bookworm bookworm
codename=bookworm

# Without the backports it says what is missing; without anything, too.
machine a.list <<<"deb [trusted=yes] file:$others bookworm main"
! (prepare_apt "$DIR/apt" bookworm-backports) >"$DIR/said" 2>&1 || fail "there are no backports"
grep -q 'no package lists of bookworm-backports' "$DIR/said" || fail "it does not say what is missing: $(<"$DIR/said")"
machine a.list <<<"deb [trusted=yes] file:$others sid main"
! (prepare_apt "$DIR/apt" '') >"$DIR/said" 2>&1 || fail "there is nothing for this release"
grep -q 'found no package source for bookworm' "$DIR/said" || fail "it does not say what is missing: $(<"$DIR/said")"
