/* app/eml.h -- one message from a file, as signatures need it: CR LF at every line end.
 *
 * Files kept on Unix end their lines in LF: if the first line does, all of them get the CR back
 * that the file lost. A file whose first line ends in CR LF is taken octet by octet. */
#ifndef APP_EML_H
#define APP_EML_H

#include "app/cli.h"

struct eml {
    struct slice header; /* with the CR LF of its last field, without the empty line */
    struct slice body;
    struct cli_file file; /* inside */
    struct buf converted; /* inside */
};

/* Dies (cli_die) when the file cannot be read. An mbox "From " line at the top is skipped. */
void eml_open(const char *path, struct eml *eml_out);
void eml_close(struct eml *eml);

#endif
