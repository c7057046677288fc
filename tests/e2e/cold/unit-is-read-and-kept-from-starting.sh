#!/bin/bash
# A guest that is shut down goes by the name of its unit, an instance of a template that runs QEMU itself: its line is what systemd makes of the unit's
# files, and is shown. The unit does not start the guest here afterwards, nor does one that runs a script whose words are the shell's to find, or that takes
# words of its own.
# takes: 15
. "$(dirname "$0")/../../lib/systemd.sh"

manager_start
head -c 8M /dev/urandom >"$DIR/web1.raw"
cat >"$UNITS/vm@.service" <<END
[Unit]
Description=Guest %i
[Service]
Environment=MEM=64 "OTHER=a b"
EnvironmentFile=-$DIR/%i.conf
WorkingDirectory=$DIR
ExecStart=/usr/bin/env $QEMU -accel tcg -machine q35 -m \${MEM} -display none -nodefaults -no-user-config \\
    # name and disk of the guest
    -name %i \$DISK \\
    -smbios 'type=11,value=a b' -pidfile $DIR/%i.pid
END
echo "DISK='-drive file=web1.raw,format=raw,if=virtio'" >"$DIR/web1.conf"
"${SYSTEMCTL[@]}" daemon-reload
goes() { "$BIN/vmferry" migrate vm@web1.service local --how cold --disk-dir "$DIR/there" "$@" >"$DIR/cold.out" 2>&1; }

mkdir "$DIR/there"
sum=$(md5sum <"$DIR/web1.raw")
goes -v || fail "$(tail -n 5 "$DIR/cold.out")"
grep -q "the unit vm@web1.service starts: .*-m 64 .*-name web1 -drive file=web1.raw,format=raw,if=virtio" "$DIR/cold.out" || fail "$(<"$DIR/cold.out")"
assert_eq "$(md5sum <"$DIR/there/web1.raw")" "$sum" "the disk"
grep -q "file=$DIR/there/web1.raw" "$DIR/there/web1.sh" || fail "$(<"$DIR/there/web1.sh")"
grep -q "'type=11,value=a b'" "$DIR/there/web1.sh" || fail "$(<"$DIR/there/web1.sh")"
"${SYSTEMCTL[@]}" start vm@web1.service || true
assert_eq "$(show ConditionResult vm@web1.service)" no "may the unit start"
[[ ! -e $DIR/web1.pid ]] || fail "the unit has started the guest here"

head -c 8M /dev/urandom >"$DIR/web2.raw"
cat >"$DIR/web2.sh" <<END
#!/bin/sh
MEM=\$((32 + 32))
exec $QEMU -accel tcg -machine q35 -m \$MEM -display none -nodefaults -no-user-config -name web2 -drive file=$DIR/web2.raw,format=raw,if=virtio
END
chmod 700 "$DIR/web2.sh"
printf '[Service]\nExecStart=/bin/sh %s\n' "$DIR/web2.sh" >"$UNITS/web2.service"
"${SYSTEMCTL[@]}" daemon-reload
"$BIN/vmferry" migrate web2.service local --how cold --disk-dir "$DIR/there" >"$DIR/cold.out" 2>&1 || fail "$(tail -n 5 "$DIR/cold.out")"
"${SYSTEMCTL[@]}" start web2.service || true
assert_eq "$(show ConditionResult web2.service)" no "may the unit of a script start"

head -c 8M /dev/urandom >"$DIR/web3.raw"
cat >"$DIR/vm" <<END
#!/bin/bash
name=\$2
case \$1 in start) exec $QEMU -accel tcg -machine q35 -m \$MEM -display none -nodefaults -no-user-config -name \$name \
	-drive file=\$name.raw,format=raw,if=virtio >\$name.log 2>&1 ;; esac
END
chmod 700 "$DIR/vm"
printf '[Service]\nEnvironment=MEM=64\nWorkingDirectory=%s\nExecStart=%s/vm start %%i\n' "$DIR" "$DIR" >"$UNITS/run@.service"
"${SYSTEMCTL[@]}" daemon-reload
"$BIN/vmferry" migrate run@web3.service local --how cold --disk-dir "$DIR/there" >"$DIR/cold.out" 2>&1 || fail "$(tail -n 5 "$DIR/cold.out")"
grep -q "file=$DIR/there/web3.raw" "$DIR/there/web3.sh" || fail "$(<"$DIR/there/web3.sh")"
"${SYSTEMCTL[@]}" start run@web3.service || true
assert_eq "$(show ConditionResult run@web3.service)" no "may the unit of a script with words start"
