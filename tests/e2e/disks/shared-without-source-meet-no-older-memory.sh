#!/bin/bash
# The source is gone for good when the destination has promised, and the disk is one that both hosts saw: a person has the copy started, if
# nobody has written to the disk since its memory came; otherwise it is older than the disk, and is not run over it.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener src-ready:stop --disk d0=shared
there=$(qemu_dst)
kill_now "${GUEST_PID[a]}" # first: without its agent it would go on, and write
kill_agent_here
end_agents_there
kill_at_exit "$there"
then=$(stat -c %y "$DIR/a.raw")

touch "$DIR/a.raw"
recover_there 6 a --peer-is-fenced
said recover.log "was written since the guest's memory came here"
[[ $(status_of "$TO/a.mon" 2>/dev/null) != running ]] || fail "the guest runs"
process_is_gone "$there" && fail "its QEMU was ended"

touch -d "$then" "$DIR/a.raw"
recover_there 0 a --peer-is-fenced
guest_is_there "$there"
guest_verify "$(orders a)" blocks
