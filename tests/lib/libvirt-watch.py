"""libvirt-watch.py FILE FILE: looks all along whether both are there at one moment, and prints "BAD ..." then. They are the definitions of one guest, each of
which its host's libvirt makes and removes."""
import os
import sys
import time

here, there = sys.argv[1:3]
while True:
    # a file that is there before and after was there all the time: neither is made again after it was removed, except if a move fails
    if os.path.exists(here) and os.path.exists(there) and os.path.exists(here):
        print("BAD both libvirts define the guest", flush=True)
        time.sleep(1)
    time.sleep(0.001)
