/*
 * line-trust.h: what a stranger's command line would do on this host. It may read what came along in the bundle, and whatever else it names of the
 * host is either said or refused.
 *
 * The check goes by what is known to be harmless, and not by what is known to be a file: options, and properties whose values cannot name
 * anything outside. So a property that these tables do not know is refused if its value could be the name of a file here.
 */
#ifndef VMFERRY_LINE_TRUST_H
#define VMFERRY_LINE_TRUST_H

#include "qemu-args.h"

/* Words for the plan, one per option: ports that the line opens to a network (monitors first), and things of this host that it uses. */
struct line_words {
	char **ports, **host;
	size_t port_count, host_count;
};

/*
 * line: rewritten for this host, so that line->files has every file that the rewriter knows of; the caller checks those. trusted: what would be
 * refused is in the words instead. 0 or -EINVAL.
 */
int line_judge(struct line_words *out, const struct args_result *line, bool trusted, struct err *e);
void line_words_fini(struct line_words *w);

#endif
