/* lib/text/encoded_word.h -- =?charset?B?...?= in header fields (RFC 2047, RFC 2231 5). */
#ifndef LIB_TEXT_ENCODED_WORD_H
#define LIB_TEXT_ENCODED_WORD_H

#include "base/base.h"

/* Appends the unstructured text `in` as UTF-8 for display: folding is undone, encoded words are
 * decoded, white space between two of them goes, a character cut between two words of the same
 * set is joined. What is no encoded word, or a broken one, stays as it is. Control characters
 * become spaces, so that nothing decoded can forge a line. */
void encoded_word_decode(struct slice in, struct buf *out);

/* Appends UTF-8 text as it is when plain ASCII, else as B encoded words of at most 75 characters,
 * separated by CR LF SP. */
void encoded_word_encode(struct slice text, struct buf *out);

#endif
