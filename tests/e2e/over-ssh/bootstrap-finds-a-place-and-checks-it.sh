#!/bin/bash
# vmferry-dst gets to the other host and runs there: the first time, again, over a damaged one; as root and not; where
# programs may not be executed or there is no room; through a login shell that talks. What must not stay does not.
# timeout: 300
. "$(dirname "$0")/../../lib/ssh-host.sh"

unmount() { # Retries, as a session that has just ended may use the mount for a moment.
	wait_for 60 on_b umount "$1" 2>"$DIR/umount" || fail "$(<"$DIR/umount")"
}
ssh_hosts_start
program=$DIR/program # prints its arguments, its directory and what it reads
cc -O1 -o "$program" -x c - <<-'END'
	#include <signal.h>
	#include <stdio.h>
	#include <unistd.h>
	static volatile char bulk[3 << 20] = {1}; /* as large as the real one */
	int main(int n, char **v)
	{
		char line[256];
		for (int i = 1; i < n; i++)
			printf("[%s]", v[i]);
		signal(SIGHUP, SIG_IGN) == SIG_IGN ? puts(" immune") : puts(" mortal");
		fflush(stdout);
		if (fgets(line, sizeof(line), stdin))
			printf("read %s", line);
		return bulk[0] + 4;
	}
END
name=vmferry-dst-$(sha256sum "$program" | cut -c1-16)
cache=$HOME_B/.cache/vmferry
opts=()

run() { # STATUS yes|no USER [ARGUMENT...]
	local status=0
	echo "a line" | on_a timeout -k 1 60 "$BIN/ssh-tool" "${opts[@]}" "$3@host-b" bootstrap "$2" "$program" "${@:4}" >"$DIR/out" 2>"$DIR/err" || status=$?
	assert_eq "$status" "$1" "status of bootstrap ($(<"$DIR/err"))"
}

ran() { # DIRECTORY
	said "^runs from $1\$"
	assert_eq "$(<"$DIR/out")" $'[one]['"it's \$two"$'] immune\nread a line' "what it says"
}

is_empty() { # DIRECTORY there
	[[ -z $(on_b ls -A "$1" 2>/dev/null) ]]
}

args=(one "it's \$two")
check() {
	run 5 no root "${args[@]}"
	ran "$cache"
	wait_for 60 is_empty "$cache" || fail "left: $(on_b ls -la "$cache")"
	run 5 yes root "${args[@]}"
	ran "$cache"
	assert_eq "$(on_b ls -A "$cache")" "$name"
	assert_eq "$(on_b stat -c '%a %A' "$cache" "$cache/$name" | tr '\n' ' ')" '700 drwx------ 700 -rwx------ '
	local before
	before=$(on_b stat -c %i "$cache/$name")
	on_b touch -d '30 days ago' "$cache/vmferry-dst-0123456789abcdef" "$cache/.vmferry-dst.1"
	on_b touch "$cache/vmferry-dst-fedcba9876543210"
	run 5 yes root "${args[@]}" # again
	assert_eq "$(on_b stat -c %i "$cache/$name")" "$before" "sent though it was there"
	assert_eq "$(on_b ls -A "$cache" | sort | tr '\n' ' ')" "$name vmferry-dst-fedcba9876543210 "
	run 5 no root "${args[@]}" # a kept agent is used, and stays
	assert_eq "$(on_b stat -c %i "$cache/$name")" "$before"
	printf x | on_b dd of="$cache/$name" bs=1 seek=100 conv=notrunc status=none # damaged
	run 5 yes root "${args[@]}"
	ran "$cache"
	cmp "$program" "$(at_b "$cache/$name")" || fail "still damaged"
	on_b ln -sf /bin/true "$cache/$name" # a link
	run 5 yes root "${args[@]}"
	ran "$cache"
	cmp "$program" "$(at_b "$cache/$name")" || fail "the link was followed"
	on_b rm -rf "$cache"
}

check
opts=(-o -b)
check
opts=()

# another user
run 5 no ferry "${args[@]}"
ran "$HOME_FERRY/.cache/vmferry"
# somebody else's directory, and a link in its place
on_b rm -rf "$HOME_FERRY/.cache"
on_b mkdir -p -m 777 "$HOME_FERRY/.cache/vmferry"
run 5 no ferry "${args[@]}"
ran '/run/tmp/vmferry\..*'
wait_for 60 is_empty /run/tmp || fail "left: $(on_b ls -A /run/tmp)"
on_b rm -rf "$HOME_FERRY/.cache/vmferry"
on_b mkdir -m 700 /run/elsewhere
on_b chown ferry /run/elsewhere
on_b ln -s /run/elsewhere "$HOME_FERRY/.cache/vmferry"
run 5 no ferry "${args[@]}"
ran '/run/tmp/vmferry\..*'
on_b rm -rf "$HOME_FERRY/.cache"
# the user's own cache, in a directory where others may replace it
on_b mkdir -p -m 777 "$HOME_FERRY/.cache"
on_b chmod 777 "$HOME_FERRY/.cache"
on_b mkdir -m 700 "$HOME_FERRY/.cache/vmferry"
on_b chown -R ferry "$HOME_FERRY/.cache"
run 5 no ferry "${args[@]}"
ran '/run/tmp/vmferry\..*'
on_b rm -rf "$HOME_FERRY/.cache"

# a cache where programs may not be executed, then one without room
for options in noexec size=1m; do
	on_b mkdir -p "$cache"
	on_b mount -t tmpfs -o "mode=700,$options" tiny "$cache"
	run 5 no root "${args[@]}"
	ran /var/cache/vmferry
	unmount "$cache"
done
on_b mount -o remount,noexec /var/cache
on_b mount -t tmpfs -o mode=1777,noexec bad /run/tmp
on_b mount -t tmpfs -o mode=700,size=1m bad "$HOME_B"
mkdir "$(at_b "$HOME_B/.ssh")"
cp "$(at_a "$HOME_A/.ssh/id_ed25519.pub")" "$(at_b "$HOME_B/.ssh/authorized_keys")"
run 99 no root "${args[@]}"
said "no directory there can hold the program: $cache: only [0-9]+ KiB are free; /var/cache/vmferry: programs may not be executed there; /run/tmp/vmferry.*: programs may not be executed there\$"
unmount "$HOME_B"
unmount /run/tmp
is_empty /run/tmp || fail "left: $(on_b ls -A /run/tmp)"

# a login shell that talks, without a newline at the end
printf 'echo Welcome; echo "vmferry- is not a mark"; printf "no newline "; echo noise >&2\n' >"$(at_b "$HOME_B/.bashrc")"
run 5 no root "${args[@]}"
ran "$cache"
on_b rm "$HOME_B/.bashrc"
# a shell that is no Bourne shell
for shell in csh tcsh fish; do
	[[ -x $(command -v "$shell" || true) ]] || continue
	login_shell "$(command -v "$shell")"
	run 5 no root "${args[@]}"
	ran "$cache"
done
cat >"$HOSTS/only-busybox" <<-'END'
	#!/bin/sh
	export PATH=/run/busybox
	exec /run/busybox/sh "$@"
END
chmod 755 "$HOSTS/only-busybox"
if busybox=$(command -v busybox); then
	on_b mkdir -p /run/busybox
	on_b "$busybox" --install -s /run/busybox
	on_b rm -f /run/busybox/setsid
	login_shell "$HOSTS/only-busybox"
	run 5 no root "${args[@]}"
	ran "$cache"
	wait_for 60 is_empty "$cache" || fail "left by busybox: $(on_b ls -la "$cache")"
fi
# a shell that lets nobody do anything
login_shell /usr/sbin/nologin
run 99 no root "${args[@]}"
said 'the login shell does not run our script in sh \(exit status 1\): This account is currently not available'

echo text >"$DIR/text"
tool 99 ferry@host-b bootstrap no "$DIR/text"
said 'is no program that could be sent'
tool 99 ferry@host-b bootstrap no "$DIR/none"
said 'none: No such file'

# the real one
tool 0 ferry@host-b bootstrap no "$BIN/vmferry-dst" --version
grep -q '^vmferry' "$DIR/out" || fail "vmferry-dst says: $(<"$DIR/out")"
