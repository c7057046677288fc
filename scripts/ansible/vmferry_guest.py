#!/usr/bin/python3
# vmferry_guest.py: an Ansible module: a guest of the managed host is to be at another host. Copy it to library/ beside the playbook.
DOCUMENTATION = r"""
module: vmferry_guest
short_description: Move a QEMU guest of this host to another host, with vmferry
description:
  - Moves the guest as it runs. A guest that has gone to that host already is left there, and nothing is changed.
  - In check mode C(vmferry check) says whether it would go, and nothing is touched.
  - A failure says where the guest is; the exit code of vmferry is in C(rc).
options:
  guest: {description: Name or pid of the guest, type: str, required: true}
  host: {description: Where to (DEST of vmferry migrate), type: str, required: true}
  options: {description: More options of vmferry migrate, type: list, elements: str, default: []}
  binary: {description: The vmferry to call, type: path, default: vmferry}
attributes:
  check_mode: {support: full}
"""
EXAMPLES = r"""
- vmferry_guest:
    guest: vm1
    host: root@host-b
    options: [--reuse, auto, --bwlimit, 800mbit]
"""
RETURN = r"""
where: {description: Where the guest is now, type: str, returned: always, sample: destination}
rc: {description: Exit code of vmferry, type: int, returned: when vmferry was asked to move or to check}
result: {description: Last event of vmferry migrate --json (docs/report.md), type: dict, returned: when there is one}
"""

import json

from ansible.module_utils.basic import AnsibleModule

# The exit codes that leave no doubt about the guest; those of a move that has been carried out come first.
WHERE = {0: "destination", 7: "destination", 1: "source", 2: "source", 3: "source", 4: "source", 5: "source, paused", 8: "nowhere"}
MOVED = (0, 7)
# With these the end of the command is not the end of the move.
NOT_TO_THE_END = ("--detach", "--dry-run", "--script", "--only-disks")


def last_event(out):
    """The result, of NDJSON; or {}."""
    for line in reversed(out.splitlines()):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            return event if event.get("event") in ("result", "estimate", "plan") else {}
    return {}


def runs_here(module, ferry, guest):
    rc, out, err = module.run_command([ferry, "list", "--json", guest])
    answer = json.loads(out) if out.strip() else {}
    if rc != 0 and "absent" not in answer:
        module.fail_json(msg=f"cannot tell whether guest {guest} runs here: {err.strip()}", where="unknown")
    return rc == 0 and any(entry.get("pid") for entry in answer["guests"])


def went_to(module, ferry, guest, host):
    """By what this host remembers of its last move."""
    rc, out, dummy = module.run_command([ferry, "may-start", guest, "--json"])
    return rc == 3 and json.loads(out).get("gone_to") == host


def fail(module, rc, event, err):
    where = WHERE.get(rc, "undecided: vmferry recover")
    lines = err.strip().splitlines()
    reason = event.get("reason") or (lines[-1] if lines else f"vmferry ended with {rc}")
    module.fail_json(msg=f"guest {module.params['guest']}: {reason} (the guest is now: {where})", rc=rc, where=where, result=event)


def main():
    module = AnsibleModule(
        argument_spec={
            "guest": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "options": {"type": "list", "elements": "str", "default": []},
            "binary": {"type": "path", "default": "vmferry"},
        },
        supports_check_mode=True,
    )
    guest, host, options = (module.params[name] for name in ("guest", "host", "options"))
    refused = [option for option in options if option.split("=")[0] in NOT_TO_THE_END]
    if refused:
        module.fail_json(msg=f"options must not have {' '.join(refused)}")
    ferry = module.get_bin_path(module.params["binary"], required=True, opt_dirs=["/usr/local/bin"])
    if not runs_here(module, ferry, guest):
        if went_to(module, ferry, guest, host):
            module.exit_json(changed=False, where="destination", msg=f"it has gone to {host} before")
        module.fail_json(msg=f"no guest {guest} runs here, and none has gone to {host}", where="unknown")
    command = "check" if module.check_mode else "migrate"
    rc, out, err = module.run_command([ferry, command, guest, host, "--json", *options])
    event = last_event(out)
    if module.check_mode and rc == 0:
        module.exit_json(changed=True, rc=rc, where="source", result=event)
    if module.check_mode or rc not in MOVED or event.get("where") != "destination":
        fail(module, rc, event, err)
    if rc == 7:
        module.warn(f"guest {guest} is at {host} as far as is known: {host} does not answer")
    module.exit_json(changed=True, rc=rc, where="destination", result=event)


if __name__ == "__main__":
    main()
