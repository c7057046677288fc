#!/bin/bash
# timeout: 300
# Nothing that runs would start the guest again, but a table of this host does: cron's, at the next boot or each minute, rc.local, monit's. The plan names it, and
# the guest's disks get other names, so that the old copy does not start. In place a guest that is only started at the boot goes.
# takes: 20
. "$(dirname "$0")/../../lib/base.sh"
begin_in_own_mounts
. "$(dirname "$0")/../../lib/aftermath.sh"
[[ $EUID -eq 0 && -w /etc ]] || skip "only root can mount here"

mkdir "$DIR/etc" "$DIR/vm" "$DIR/bin"
cp -a /etc/. "$DIR/etc" 2>/dev/null || true
mount --bind "$DIR/etc" /etc || skip "no right to mount here"
mkdir -p /etc/cron.d /etc/monit/conf.d
cat >"$DIR/bin/start-a" <<END
#!/bin/bash
exec $QEMU -m 64 -display none -nodefaults -drive file=$DIR/vm/\$1.raw,format=raw -pidfile $DIR/vm/\$1.pid -daemonize
END
cat >"$DIR/bin/start-it" <<END
#!/bin/bash
cd $DIR/vm; $QEMU -m 64 -display none -nodefaults -drive file=a.raw,format=raw -daemonize \$MORE
END
chmod +x "$DIR"/bin/*

begin() {
	rm -f "$DIR"/vm/*
	guest_disk "$DIR/vm/a.raw" raw 16M
	unset "GUEST_AT[a]"
	tiny_start a $(guest_drive d0 "$DIR/vm/a.raw" raw) -pidfile "$DIR/vm/a.pid"
}

is_told() { # TABLE TEXT
	begin
	mkdir -p "${1%/*}"
	echo "$2" >"$1"
	chmod +x "$1"
	move a local
	rm "$1"
	assert_result "any('($1) starts the guest' in x and 'does not start the guest here again' in x for x in plan['afterwards'])"
	assert_result "any('was started here whenever this host booted, by' in x and '($1); at the destination nothing starts it' in x for x in plan['warnings'])"
	[[ ! -e $DIR/vm/a.raw ]] || fail "the old disk has its name: $1 may start the old copy"
	assert_result "r['set_aside']['from'] == '$DIR/vm/a.raw'"
	end_process "${GUEST_PID[a]}"
}

is_told /etc/cron.d/vms "@reboot root $DIR/bin/start-it"
is_told /etc/rc.local "#!/bin/sh
$DIR/bin/start-it &"
is_told /etc/monit/conf.d/a "check process a with pidfile $DIR/vm/a.pid
  start program = \"$DIR/bin/start-a a\""

# a job that reads its disk, or was taken out, starts nothing
begin
printf '0 3 * * * root cp %s/vm/a.raw /backup\n# @reboot root %s\n' "$DIR" "$DIR/bin/start-it" >/etc/cron.d/vms
move a local
assert_result "not any('starts the guest here' in x or '/etc/cron.d' in x for x in plan['afterwards'])"
[[ -e $DIR/vm/a.raw ]] || fail "the disk has another name"
end_process "${GUEST_PID[a]}"

# in place what starts it at the boot does so then; what looks at it each minute would take its sockets
begin
echo "@reboot root $DIR/bin/start-it" >/etc/cron.d/vms
move a local --in-place
[[ -e $DIR/vm/a.raw ]] || fail "the disk has another name"
echo "* * * * * root kill -0 \$(cat $DIR/vm/a.pid) || $DIR/bin/start-a a" >/etc/cron.d/vms
move_refused "^cron (/etc/cron.d/vms) starts the guest, and may .*--starter-stopped" local --in-place
move a local --starter-stopped
[[ -e $DIR/vm/a.raw ]] || fail "the disk has another name, though its starter was said to be stopped"
