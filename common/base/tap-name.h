/*
 * tap-name.h: the name of a tap that stands in for another until that is free (common/host/tap.h). Pure: no I/O.
 */
#ifndef VMFERRY_TAP_NAME_H
#define VMFERRY_TAP_NAME_H

#define TAP_STAND_IN "vmft" /* followed by the other's interface index, decimal */

/* "vmft12" to 12; 0: it is no such name. */
unsigned tap_stood_in_for(const char *name);

#endif
