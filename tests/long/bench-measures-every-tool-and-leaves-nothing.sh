#!/bin/bash
# timeout: 600
# As the test of that name in e2e, with more tools.
TOOLS=single,multifd,multifd+zstd,xbzrle,multifd+channels=3+tls,vmferry,vmferry+codec=zstd+channels=1+tls
. "$(dirname "$0")/../e2e/bench-measures-every-tool-and-leaves-nothing.sh"
