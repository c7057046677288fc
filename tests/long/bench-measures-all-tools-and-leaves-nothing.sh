#!/bin/bash
# timeout: 600
# As bench-measures-tools-and-leaves-nothing.sh of e2e/project, with more tools.
TOOLS=single,multifd,multifd+zstd,xbzrle,multifd+channels=3+tls,vmferry,vmferry+codec=zstd+channels=1+tls
. "$(dirname "$0")/../e2e/project/bench-measures-tools-and-leaves-nothing.sh"
