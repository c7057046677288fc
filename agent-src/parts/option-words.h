/* option-words.h: what the enums of struct move_options are called on the command line, by value; each list ends with NULL. Pure. */
#ifndef VMFERRY_OPTION_WORDS_H
#define VMFERRY_OPTION_WORDS_H

extern const char *const chain_words[],
	*const dedup_words[], *const drop_words[], *const how_words[], *const media_words[], *const on_stall_words[],
												     *const ram_mode_words[],
													     *const recheck_words[],
														     *const unit_words[];

#endif
