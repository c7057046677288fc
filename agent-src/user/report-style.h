/* report-style.h: colours of a terminal that has them. */
#ifndef VMFERRY_REPORT_STYLE_H
#define VMFERRY_REPORT_STYLE_H

/* Escape sequences, each "" where there are no colours. */
struct report_style {
	const char *good, *bad, *care, *plain;
};

#endif
