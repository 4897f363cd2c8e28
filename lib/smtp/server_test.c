/* Each case is a conversation: what the client says, what must come back, and the messages that
 * must be taken. Fed whole and one byte at a time: no answer may depend on how TCP cut the stream.
 */
#include "base/test.h"

#include "lib/smtp/server.h"

static const struct smtp_server_settings plain = {.hostname = "mx.example"};
static const struct smtp_server_settings small = {
    .hostname = "mx.example",
    .message_max_bytes = 20,
    .recipients_max = 2,
    .command_max_bytes = 64,
    .body_line_max_bytes = 10,
    .errors_max = 2,
    .idle_commands_max = 4,
    .refused_recipients_max = 1,
};
static const struct smtp_server_settings secure = {
    .hostname = "mx.example", .offer_starttls = true, .require_tls = true, .offer_auth = true};
static const struct smtp_server_settings logins = {.hostname = "mx.example",
                                                   .offer_auth = true,
                                                   .offer_auth_in_clear = true,
                                                   .require_auth = true};
static const struct smtp_server_settings lax = {.hostname = "mx.example",
                                                .bare_line_end = SMTP_BARE_NORMALISE};
static const struct smtp_server_settings bare = {.hostname = "mx.example",
                                                 .hide_smtputf8 = true,
                                                 .hide_chunking = true,
                                                 .hide_dsn = true,
                                                 .hide_pipelining = true};

struct talk {
    const char *name;
    const struct smtp_server_settings *settings;
    struct slice client;
    const char *server;   /* everything behind the answer to the first EHLO; NULL: see `first` */
    const char *messages; /* each one ended by "$" */
};

#define ENVELOPE "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
#define ENVELOPE_OK "250 2.1.0 sender\r\n250 2.1.5 recipient\r\n"
#define GO "354 Send it, then CR LF . CR LF\r\n"
#define TAKEN "250 2.0.0 taken\r\n"
#define BYE "221 2.0.0 Bye\r\n"
#define BARE_CLOSED "550 5.6.11 Bare CR or LF in the message, closing\r\n"
#define COMMAND_CLOSED "500 5.5.2 Bare CR or LF in a command, closing\r\n"
#define SAYS(text) SLICE_INIT("EHLO c.example\r\n" text)
/* Every one of these must neither end DATA nor be passed on. */
#define SMUGGLE(text)                                                                              \
    SAYS(ENVELOPE "DATA\r\nfirst" text "MAIL FROM:<evil@x.example>\r\nRCPT TO:<v@y.example>\r\n"   \
                  "DATA\r\nsecond\r\n.\r\nQUIT\r\n")
#define SMUGGLED(name, text)                                                                       \
    {                                                                                              \
        "smuggling: " name, &plain, SMUGGLE(text), ENVELOPE_OK GO BARE_CLOSED, ""                  \
    }
#define SMUGGLED_LAX(name, text, body)                                                             \
    {                                                                                              \
        "normalised: " name, &lax, SMUGGLE(text), ENVELOPE_OK GO TAKEN BYE,                        \
            "first" body "MAIL FROM:<evil@x.example>\r\nRCPT TO:<v@y.example>\r\nDATA\r\nsecond"   \
            "\r\n$"                                                                                \
    }

static const struct talk talks[] = {
    {"a message is taken", &plain, SAYS(ENVELOPE "DATA\r\nhello\r\n.\r\nQUIT\r\n"),
     ENVELOPE_OK GO TAKEN BYE, "hello\r\n$"},
    {"an empty message is taken", &plain, SAYS(ENVELOPE "DATA\r\n.\r\nQUIT\r\n"),
     ENVELOPE_OK GO TAKEN BYE, "$"},
    {"dots are removed", &plain,
     SAYS(ENVELOPE "DATA\r\n..\r\n...a\r\n.b\r\nc.\r\n. \r\n.\r\nQUIT\r\n"),
     ENVELOPE_OK GO TAKEN BYE, ".\r\n..a\r\nb\r\nc.\r\n \r\n$"},
    {"two messages on one connection", &plain,
     SAYS(ENVELOPE "DATA\r\none\r\n.\r\n" ENVELOPE "DATA\r\ntwo\r\n.\r\nQUIT\r\n"),
     ENVELOPE_OK GO TAKEN ENVELOPE_OK GO TAKEN BYE, "one\r\n$two\r\n$"},
    {"verbs are read in any case, with space around", &plain,
     SAYS("mail from: <a@x.example> \r\nRcpt To:<b@y.example>\r\ndata \r\n.\r\nquit\r\n"),
     ENVELOPE_OK GO TAKEN BYE, "$"},
    {"a recipient needs a sender first", &plain, SAYS("RCPT TO:<b@y.example>\r\n"),
     "503 5.5.1 Say MAIL first\r\n", ""},
    {"a sender needs a greeting first", &plain, SLICE_INIT("MAIL FROM:<>\r\n"),
     "503 5.5.1 Say EHLO first\r\n", ""},
    {"two senders are one too many", &plain, SAYS("MAIL FROM:<>\r\nMAIL FROM:<>\r\n"),
     "250 2.1.0 sender\r\n503 5.5.1 Not in the middle of a transaction\r\n", ""},
    {"a refused sender begins nothing", &plain,
     SAYS("MAIL FROM:<bad@x.example>\r\nRCPT TO:<b@y.e>\r\n"),
     "550 5.7.1 bad\r\n503 5.5.1 Say MAIL first\r\n", ""},
    {"data needs an accepted recipient", &plain,
     SAYS("MAIL FROM:<>\r\nRCPT TO:<bad@y.example>\r\nDATA\r\nRSET\r\n"),
     "250 2.1.0 sender\r\n550 5.7.1 bad\r\n554 5.5.1 No recipient was accepted\r\n"
     "250 2.0.0 Forgotten\r\n",
     ""},
    {"a message to one of two", &plain,
     SAYS("MAIL FROM:<>\r\nRCPT TO:<bad@y.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\nx\r\n.\r\n"),
     "250 2.1.0 sender\r\n550 5.7.1 bad\r\n250 2.1.5 recipient\r\n" GO TAKEN, "x\r\n$"},
    {"postmaster needs no domain", &plain, SAYS("MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\n"),
     ENVELOPE_OK, ""},
    {"a path must be a path", &plain,
     SAYS("MAIL FROM:a@b\r\nMAIL FROM\r\nMAIL\r\nMAIL TO:<a@b.example>\r\n"),
     "501 5.5.4 Say MAIL FROM:<address>\r\n501 5.5.4 Say MAIL FROM:<address>\r\n"
     "501 5.5.4 Say MAIL FROM:<address>\r\n501 5.5.4 Say MAIL FROM:<address>\r\n",
     ""},
    {"RSET forgets", &plain, SAYS(ENVELOPE "RSET\r\nDATA\r\nRSET x\r\n"),
     ENVELOPE_OK "250 2.0.0 Forgotten\r\n503 5.5.1 Say MAIL first\r\n"
                 "501 5.5.4 RSET takes no argument\r\n",
     ""},
    {"small commands", &plain,
     SAYS("NOOP x\r\nVRFY a\r\nVRFY\r\nEXPN a\r\nHELP\r\nFOO\r\n\r\nDATA x\r\nBDAT\r\n"),
     "250 2.0.0 Here\r\n252 2.5.0 Not verified; send the mail and see\r\n"
     "501 5.5.4 VRFY needs an address\r\n502 5.5.1 EXPN is not offered\r\n"
     "214 2.0.0 See RFC 5321\r\n500 5.5.1 Unknown command\r\n500 5.5.1 Unknown command\r\n"
     "503 5.5.1 Say MAIL first\r\n501 5.5.4 Say BDAT size [LAST]; closing\r\n",
     ""},
    {"HELO is answered with one line", &plain, SLICE_INIT("HELO c.example\r\nNOOP\r\n"),
     "250 mx.example\r\n250 2.0.0 Here\r\n", ""},
    {"a HELO that is refused", &plain, SLICE_INIT("EHLO bad\r\nHELO\r\nHELO a b\r\n"),
     "550 5.7.1 bad\r\n501 5.5.4 A host name is needed\r\n"
     "501 5.5.4 The name holds bytes that no host name has\r\n",
     ""},
    {"EHLO lists what is offered", &plain, SLICE_INIT("EHLO c\r\n"),
     "250-mx.example\r\n250-PIPELINING\r\n250-SIZE\r\n250-DSN\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n"
     "250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
     ""},
    {"EHLO hides what is hidden", &bare, SLICE_INIT("EHLO c\r\n"),
     "250-mx.example\r\n250-SIZE\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n", ""},
    {"no AUTH is offered in clear", &secure, SLICE_INIT("EHLO c\r\n"),
     "250-mx.example\r\n250-PIPELINING\r\n250-SIZE\r\n250-STARTTLS\r\n250-DSN\r\n250-SMTPUTF8\r\n"
     "250-CHUNKING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
     ""},
    {"EHLO in the middle forgets", &plain, SAYS(ENVELOPE "HELO c\r\nDATA\r\n"),
     ENVELOPE_OK "250 mx.example\r\n503 5.5.1 Say MAIL first\r\n", ""},
    {"a web client is sent away", &plain, SLICE_INIT("POST / HTTP/1.1\r\nEHLO x\r\n"),
     "421 4.7.0 This is SMTP, not HTTP\r\n", ""},

    {"parameters are read", &plain,
     SAYS("MAIL FROM:<show@x.example> SIZE=10 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb "
          "AUTH=<>\r\n"
          "RCPT TO:<show@y.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c@z.example\r\n"),
     "250 2.1.0 size 10 body 1 utf8 1 ret 2 envid a+2Bb auth <>\r\n"
     "250 2.1.5 notify 10 orcpt rfc822;c@z.example\r\n",
     ""},
    {"wrong parameters are refused", &plain,
     SAYS("MAIL FROM:<> SIZE=x\r\nMAIL FROM:<> BODY=9BIT\r\nMAIL FROM:<> FOO=1\r\n"
          "MAIL FROM:<> SIZE=1 SIZE=1\r\nMAIL FROM:<> RET=\r\nMAIL FROM:<>SIZE=1\r\n"
          "MAIL FROM:<> NOTIFY=NEVER\r\nMAIL FROM:<> SMTPUTF8=1\r\nMAIL FROM:<> ENVID=a=b\r\n"),
     "501 5.5.4 SIZE takes a number\r\n501 5.5.4 BODY is 7BIT or 8BITMIME\r\n"
     "555 5.5.4 Unknown parameter\r\n501 5.5.4 A parameter stands twice\r\n"
     "501 5.5.4 A parameter has no value\r\n501 5.5.4 A space is needed behind the address\r\n"
     "555 5.5.4 Unknown parameter\r\n501 5.5.4 SMTPUTF8 takes no value\r\n"
     "501 5.5.4 ENVID takes up to 100 characters of xtext\r\n",
     ""},
    {"wrong parameters of a recipient", &plain,
     SAYS("MAIL FROM:<>\r\nRCPT TO:<b@y.example> NOTIFY=NEVER,DELAY\r\n"
          "RCPT TO:<b@y.example> NOTIFY=X\r\nRCPT TO:<b@y.example> ORCPT=x\r\n"
          "RCPT TO:<b@y.example> ORCPT=rfc822;a+zz\r\n"),
     "250 2.1.0 sender\r\n501 5.5.4 NOTIFY is NEVER, or of SUCCESS,FAILURE,DELAY\r\n"
     "501 5.5.4 NOTIFY is NEVER, or of SUCCESS,FAILURE,DELAY\r\n"
     "501 5.5.4 ORCPT takes type;address, the address as xtext\r\n"
     "501 5.5.4 ORCPT takes type;address, the address as xtext\r\n",
     ""},
    {"UTF-8 in an address needs SMTPUTF8", &plain,
     SAYS("MAIL FROM:<\xc3\xbc@x.example>\r\nMAIL FROM:<\xc3\xbc@x.example> SMTPUTF8\r\n"),
     "553 5.6.7 An address in UTF-8 needs SMTPUTF8\r\n250 2.1.0 sender\r\n", ""},
    {"hidden extensions take no parameters", &bare,
     SAYS("MAIL FROM:<> SMTPUTF8\r\nMAIL FROM:<> RET=FULL\r\n"),
     "555 5.5.4 Unknown parameter\r\n555 5.5.4 Unknown parameter\r\n", ""},

    /* limits */
    {"SIZE over the limit is refused at once", &small, SAYS("MAIL FROM:<> SIZE=21\r\n"),
     "552 5.3.4 The message is larger than we take\r\n", ""},
    {"a message over the limit is refused at its end", &small,
     SAYS("MAIL FROM:<>\r\nRCPT TO:<b@y.e>\r\nDATA\r\n12345678\r\n12345678\r\n1\r\n.\r\nNOOP\r\n"),
     ENVELOPE_OK GO "552 5.3.4 The message is larger than we take\r\n250 2.0.0 Here\r\n", ""},
    {"a line over the limit is refused at the end", &small,
     SAYS("MAIL FROM:<>\r\nRCPT TO:<b@y.e>\r\nDATA\r\n12345678901\r\n.\r\nNOOP\r\n"),
     ENVELOPE_OK GO "554 5.6.0 A line of the message is too long\r\n250 2.0.0 Here\r\n", ""},
    {"a line at the limit is taken", &small,
     SAYS("MAIL FROM:<>\r\nRCPT TO:<b@y.e>\r\nDATA\r\n1234567890\r\n.\r\nNOOP\r\n"),
     ENVELOPE_OK GO TAKEN "250 2.0.0 Here\r\n", "1234567890\r\n$"},
    {"recipients over the limit are for later", &small,
     SAYS("MAIL FROM:<>\r\nRCPT TO:<b@y.e>\r\nRCPT TO:<c@y.e>\r\nRCPT TO:<d@y.e>\r\nDATA\r\n.\r\n"),
     ENVELOPE_OK "250 2.1.5 recipient\r\n452 4.5.3 Too many recipients, send the rest in another "
                 "message\r\n" GO TAKEN,
     "$"},
    {"an oversized line is one error", &small,
     SAYS("NOOP 123456789012345678901234567890123456789012345678901234567890\r\nNOOP\r\n"),
     "500 5.5.2 Line too long\r\n250 2.0.0 Here\r\n", ""},
    {"an oversized line that ends in a bare LF closes", &small,
     SAYS("NOOP 123456789012345678901234567890123456789012345678901234567890\nNOOP\r\n"),
     "500 5.5.2 Bare LF in a command, closing\r\n", ""},
    {"too many errors close", &small, SAYS("FOO\r\nFOO\r\nFOO\r\nFOO\r\n"),
     "500 5.5.1 Unknown command\r\n500 5.5.1 Unknown command\r\n"
     "421 4.7.0 Too many errors, closing\r\n",
     ""},
    {"too many commands that bring no mail close", &small,
     SAYS("NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\n"),
     "250 2.0.0 Here\r\n250 2.0.0 Here\r\n250 2.0.0 Here\r\n421 4.7.0 Too many commands, "
     "closing\r\n",
     ""},
    {"too many refused recipients close", &small,
     SAYS("MAIL FROM:<>\r\nRCPT TO:<bad@y.e>\r\nRCPT TO:<bad@y.e>\r\nRCPT TO:<b@y.e>\r\n"),
     "250 2.1.0 sender\r\n550 5.7.1 bad\r\n421 4.7.0 Too many refused recipients, closing\r\n", ""},

    /* the caller refuses */
    {"DATA is refused", &plain,
     SAYS("MAIL FROM:<>\r\nRCPT TO:<nodata@y.example>\r\nDATA\r\nNOOP\r\n"),
     ENVELOPE_OK "451 4.3.0 not now\r\n250 2.0.0 Here\r\n", ""},
    {"a discarded message is refused at its end", &plain,
     SAYS("MAIL FROM:<>\r\nRCPT TO:<discard@y.example>\r\nDATA\r\nx\r\n..y\r\n.\r\nNOOP\r\n"),
     ENVELOPE_OK GO "554 5.7.1 discarded\r\n250 2.0.0 Here\r\n", ""},
    {"a refused message does not end the session", &plain,
     SAYS("MAIL FROM:<>\r\nRCPT TO:<noend@y.example>\r\nDATA\r\nx\r\n.\r\n" ENVELOPE),
     ENVELOPE_OK GO "452 4.3.1 full\r\n" ENVELOPE_OK, ""},
    {"a 421 closes", &plain, SAYS("MAIL FROM:<>\r\nRCPT TO:<shut@y.example>\r\nDATA\r\n"),
     "250 2.1.0 sender\r\n421 4.3.2 shut\r\n", ""},

    /* CHUNKING */
    {"a message in one chunk", &plain, SAYS(ENVELOPE "BDAT 5 LAST\r\nab\r\n.QUIT\r\n"),
     ENVELOPE_OK TAKEN BYE, "ab\r\n.\r\n$"},
    {"a message in three chunks, cut in a line end", &plain,
     SAYS(ENVELOPE "BDAT 3\r\nab\rBDAT 4\r\n\n..\rBDAT 1 LAST\r\n\nQUIT\r\n"),
     ENVELOPE_OK "250 2.0.0 3 bytes taken\r\n250 2.0.0 4 bytes taken\r\n" TAKEN BYE,
     "ab\r\n..\r\n$"},
    {"an empty last chunk", &plain, SAYS(ENVELOPE "BDAT 4\r\nab\r\nBDAT 0 LAST\r\nQUIT\r\n"),
     ENVELOPE_OK "250 2.0.0 4 bytes taken\r\n" TAKEN BYE, "ab\r\n$"},
    {"only an empty last chunk", &plain, SAYS(ENVELOPE "BDAT 0 LAST\r\nQUIT\r\n"),
     ENVELOPE_OK TAKEN BYE, "$"},
    {"an empty first chunk", &plain, SAYS(ENVELOPE "BDAT 0\r\nBDAT 1 LAST\r\nxQUIT\r\n"),
     ENVELOPE_OK "250 2.0.0 0 bytes taken\r\n" TAKEN BYE, "x\r\n$"},
    {"DATA after BDAT is refused", &plain, SAYS(ENVELOPE "BDAT 1\r\nxDATA\r\nBDAT 0 LAST\r\n"),
     ENVELOPE_OK "250 2.0.0 1 bytes taken\r\n503 5.5.1 A message is being sent with BDAT\r\n" TAKEN,
     "x\r\n$"},
    {"MAIL and RCPT between chunks are refused", &plain,
     SAYS(ENVELOPE "BDAT 1\r\nx" ENVELOPE "NOOP\r\n"),
     ENVELOPE_OK "250 2.0.0 1 bytes taken\r\n503 5.5.1 A message is being sent with BDAT\r\n"
                 "503 5.5.1 A message is being sent with BDAT\r\n250 2.0.0 Here\r\n",
     ""},
    {"RSET between chunks forgets", &plain,
     SAYS(ENVELOPE "BDAT 1\r\nxRSET\r\n" ENVELOPE "BDAT 1 LAST\r\ny"),
     ENVELOPE_OK "250 2.0.0 1 bytes taken\r\n250 2.0.0 Forgotten\r\n" ENVELOPE_OK TAKEN, "y\r\n$"},
    {"chunks for nobody are thrown away", &plain,
     SAYS("MAIL FROM:<>\r\nRCPT TO:<bad@y.e>\r\nBDAT 6\r\nNOOP\r\nBDAT 2 LAST\r\nxxNOOP\r\n"),
     "250 2.1.0 sender\r\n550 5.7.1 bad\r\n554 5.5.1 No recipient was accepted\r\n"
     "503 5.5.1 Say MAIL and RCPT first\r\n250 2.0.0 Here\r\n",
     ""},
    {"a chunk before EHLO is thrown away", &plain, SLICE_INIT("BDAT 6 LAST\r\nNOOP\r\nNOOP\r\n"),
     "503 5.5.1 Say MAIL and RCPT first\r\n250 2.0.0 Here\r\n", ""},
    {"a refused BDAT throws its bytes away", &plain,
     SAYS("MAIL FROM:<>\r\nRCPT TO:<nodata@y.example>\r\nBDAT 6\r\nNOOP\r\nNOOP\r\n"),
     ENVELOPE_OK "451 4.3.0 not now\r\n250 2.0.0 Here\r\n", ""},
    {"a chunk over the limit is refused", &small,
     SAYS("MAIL FROM:<>\r\nRCPT TO:<b@y.e>\r\nBDAT 24 "
          "LAST\r\n12345678\r\n12345678\r\n12\r\nNOOP\r\n"),
     ENVELOPE_OK "552 5.3.4 The message is larger than we take\r\n250 2.0.0 Here\r\n", ""},
    {"a bare LF in a chunk is refused", &plain, SAYS(ENVELOPE "BDAT 5 LAST\r\na\nb\r\nNOOP\r\n"),
     ENVELOPE_OK "550 5.6.11 Bare CR or LF in the message\r\n250 2.0.0 Here\r\n", ""},
    {"a bare CR at the end of the last chunk is refused", &plain,
     SAYS(ENVELOPE "BDAT 2 LAST\r\na\rNOOP\r\n"),
     ENVELOPE_OK "550 5.6.11 Bare CR or LF in the message\r\n250 2.0.0 Here\r\n", ""},
    {"bare ends in a chunk are normalised", &lax, SAYS(ENVELOPE "BDAT 6 LAST\r\na\nb\r.\nNOOP\r\n"),
     ENVELOPE_OK TAKEN "250 2.0.0 Here\r\n", "a\r\nb\r\n.\r\n$"},
    {"a CR at the end of the last chunk is normalised", &lax,
     SAYS(ENVELOPE "BDAT 2 LAST\r\na\rNOOP\r\n"), ENVELOPE_OK TAKEN "250 2.0.0 Here\r\n", "a\r\n$"},
    {"a size that is no number closes", &plain, SAYS(ENVELOPE "BDAT -1 LAST\r\nNOOP\r\n"),
     ENVELOPE_OK "501 5.5.4 Say BDAT size [LAST]; closing\r\n", ""},
    {"a size beyond all numbers closes", &plain,
     SAYS(ENVELOPE "BDAT 18446744073709551616 LAST\r\nNOOP\r\n"),
     ENVELOPE_OK "501 5.5.4 Say BDAT size [LAST]; closing\r\n", ""},
    {"a huge size is no trouble", &plain, SAYS(ENVELOPE "BDAT 9999999999999999999\r\nabc"),
     ENVELOPE_OK, ""},

    /* TLS, AUTH */
    {"mail needs TLS where it is required", &secure, SAYS("MAIL FROM:<>\r\n"),
     "530 5.7.0 Say STARTTLS first\r\n", ""},
    {"a password in clear is refused", &secure, SAYS("AUTH PLAIN AHUAcA==\r\n"),
     "538 5.7.11 Say STARTTLS first: no passwords in clear\r\n", ""},
    {"STARTTLS takes no argument, and is not offered everywhere", &plain,
     SAYS("STARTTLS\r\nAUTH PLAIN\r\n"),
     "502 5.5.1 TLS is not offered here\r\n502 5.5.1 AUTH is not offered here\r\n", ""},
    {"mail needs a login where it is required", &logins, SAYS("MAIL FROM:<>\r\n"),
     "530 5.7.0 Log in first\r\n", ""},
    {"AUTH PLAIN at once", &logins, SAYS("AUTH PLAIN AHVzZXIAcGFzcw==\r\nMAIL FROM:<>\r\n"),
     "235 2.7.0 welcome user\r\n250 2.1.0 sender\r\n", ""},
    {"AUTH PLAIN in two steps", &logins, SAYS("AUTH plain\r\nYQB1c2VyAHBhc3M=\r\nAUTH LOGIN\r\n"),
     "334 \r\n235 2.7.0 welcome user\r\n503 5.5.1 Logged in already\r\n", ""},
    {"AUTH LOGIN", &logins, SAYS("AUTH LOGIN\r\ndXNlcg==\r\ncGFzcw==\r\n"),
     "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n235 2.7.0 welcome user\r\n", ""},
    {"AUTH LOGIN with the user at once", &logins, SAYS("AUTH LOGIN dXNlcg==\r\ncGFzcw==\r\n"),
     "334 UGFzc3dvcmQ6\r\n235 2.7.0 welcome user\r\n", ""},
    {"a wrong password", &logins, SAYS("AUTH LOGIN dXNlcg==\r\nd3Jvbmc=\r\nMAIL FROM:<>\r\n"),
     "334 UGFzc3dvcmQ6\r\n535 5.7.8 wrong\r\n530 5.7.0 Log in first\r\n", ""},
    {"AUTH that is given up, or no base64", &logins,
     SAYS(
         "AUTH LOGIN\r\n*\r\nAUTH PLAIN ?\r\nAUTH PLAIN =\r\nAUTH CRAM-MD5\r\nAUTH PLAIN AGE=\r\n"),
     "334 VXNlcm5hbWU6\r\n501 5.7.0 AUTH was given up\r\n501 5.5.2 This is not base64\r\n"
     "501 5.5.2 AUTH PLAIN needs identity, user and password\r\n"
     "504 5.5.4 Only PLAIN and LOGIN are offered\r\n"
     "501 5.5.2 AUTH PLAIN needs identity, user and password\r\n",
     ""},

    /* SMTP smuggling: all public variants of the end of data */
    {"commands end in CR LF", &plain, SLICE_INIT("EHLO a\nMAIL FROM:<x@y.example>\r\n"),
     COMMAND_CLOSED, ""},
    {"a bare CR in a command closes", &plain, SLICE_INIT("EHLO a\rNOOP\r\nNOOP\r\n"),
     COMMAND_CLOSED, ""},
    SMUGGLED("LF . LF", "\n.\n"),
    SMUGGLED("LF . CR LF", "\n.\r\n"),
    SMUGGLED("CR LF . LF", "\r\n.\n"),
    SMUGGLED("CR . CR", "\r.\r"),
    SMUGGLED("CR LF . CR", "\r\n.\r"),
    SMUGGLED("CR . CR LF", "\r.\r\n"),
    SMUGGLED("CR . LF", "\r.\n"),
    SMUGGLED("LF . CR", "\n.\r"),
    SMUGGLED("CR CR LF . CR CR LF", "\r\r\n.\r\r\n"),
    SMUGGLED("CR LF . CR CR LF", "\r\n.\r\r\n"),
    SMUGGLED("CR LF CR . CR LF", "\r\n\r.\r\n"),
    SMUGGLED("LF LF . CR LF", "\n\n.\r\n"),
    SMUGGLED("CR LF NUL CR . CR LF", "\r\n\0\r.\r\n"),
    SMUGGLED("CR NUL LF . CR LF", "\r\0\n.\r\n"),
    SMUGGLED("CR LF . CR NUL LF", "\r\n.\r\0\n"),
    SMUGGLED("CR LF . NUL LF", "\r\n.\0\n"),
    {"smuggling: CR LF NUL . CR LF", &plain, SMUGGLE("\r\n\0.\r\n"),
     ENVELOPE_OK GO "550 5.6.0 A NUL byte in the message\r\n" BYE, ""},
    {"smuggling: CR LF . NUL CR LF", &plain, SMUGGLE("\r\n.\0\r\n"),
     ENVELOPE_OK GO "550 5.6.0 A NUL byte in the message\r\n" BYE, ""},
    {"smuggling: a dot and a space are no end", &plain, SMUGGLE("\r\n. \r\n"),
     ENVELOPE_OK GO TAKEN BYE,
     "first\r\n \r\nMAIL FROM:<evil@x.example>\r\nRCPT TO:<v@y.example>\r\nDATA\r\nsecond\r\n$"},
    {"smuggling: two dots are no end", &plain, SMUGGLE("\r\n..\r\n"), ENVELOPE_OK GO TAKEN BYE,
     "first\r\n.\r\nMAIL FROM:<evil@x.example>\r\nRCPT TO:<v@y.example>\r\nDATA\r\nsecond\r\n$"},
    SMUGGLED_LAX("LF . LF", "\n.\n", "\r\n.\r\n"),
    SMUGGLED_LAX("LF . CR LF", "\n.\r\n", "\r\n.\r\n"),
    SMUGGLED_LAX("CR LF . LF", "\r\n.\n", "\r\n.\r\n"),
    SMUGGLED_LAX("CR . CR", "\r.\r", "\r\n.\r\n"),
    SMUGGLED_LAX("CR LF . CR", "\r\n.\r", "\r\n.\r\n"),
    SMUGGLED_LAX("CR . CR LF", "\r.\r\n", "\r\n.\r\n"),
    SMUGGLED_LAX("CR LF . CR CR LF", "\r\n.\r\r\n", "\r\n.\r\n\r\n"),
    SMUGGLED_LAX("LF LF . CR LF", "\n\n.\r\n", "\r\n\r\n.\r\n"),
};

/* --- the caller that the conversations meet --- */

struct caller {
    struct smtp_server *s;
    struct buf output, message, messages;
    bool discards, is_refused;
};

static struct smtp_reply decide_sender(const struct smtp_sender *sender, char *text, size_t n)
{
    if (slice_starts(sender->path, SLICE("bad")))
        return (struct smtp_reply){550, "5.7.1", "bad"};
    if (!slice_starts(sender->path, SLICE("show")))
        return (struct smtp_reply){250, "2.1.0", "sender"};
    (void)snprintf(text, n, "size %llu body %d utf8 %d ret %d envid %.*s auth %.*s",
                   (unsigned long long)sender->size_bytes, (int)sender->body, sender->utf8,
                   (int)sender->ret, SLICE_ARG(sender->envelope_id), SLICE_ARG(sender->auth));
    return (struct smtp_reply){250, "2.1.0", text};
}

static struct smtp_reply decide_recipient(const struct smtp_recipient *r, char *text, size_t n)
{
    if (slice_starts(r->path, SLICE("bad")))
        return (struct smtp_reply){550, "5.7.1", "bad"};
    if (slice_starts(r->path, SLICE("shut")))
        return (struct smtp_reply){421, "4.3.2", "shut"};
    if (!slice_starts(r->path, SLICE("show")))
        return (struct smtp_reply){250, "2.1.5", "recipient"};
    (void)snprintf(text, n, "notify %u orcpt %.*s", r->notify, SLICE_ARG(r->origin));
    return (struct smtp_reply){250, "2.1.5", text};
}

static void decide(struct caller *c, struct smtp_ask ask, const char *mode)
{
    char text[500];
    struct smtp_reply reply = {250, "2.0.0", "ok"};

    switch (ask.kind) {
    case SMTP_ASK_NOTHING:
        return;
    case SMTP_ASK_TLS:
        smtp_server_tls_started(c->s);
        return;
    case SMTP_ASK_BODY:
        buf_append(&c->message, ask.value);
        smtp_server_body_taken(c->s);
        return;
    case SMTP_ASK_HELO:
        if (slice_eq(ask.value, SLICE("bad")))
            reply = (struct smtp_reply){550, "5.7.1", "bad"};
        break;
    case SMTP_ASK_AUTH:
        (void)snprintf(text, sizeof text, "welcome %.*s", SLICE_ARG(ask.login->user));
        reply = slice_eq(ask.login->password, SLICE("pass"))
                    ? (struct smtp_reply){235, "2.7.0", text}
                    : (struct smtp_reply){535, "5.7.8", "wrong"};
        break;
    case SMTP_ASK_SENDER:
        buf_clear(&c->message);
        reply = decide_sender(ask.sender, text, sizeof text);
        break;
    case SMTP_ASK_RECIPIENT:
        reply = decide_recipient(ask.recipient, text, sizeof text);
        break;
    case SMTP_ASK_DATA:
        reply = strstr(mode, "nodata") != NULL ? (struct smtp_reply){451, "4.3.0", "not now"}
                                               : (struct smtp_reply){354, NULL, NULL};
        if (strstr(mode, "discard@") != NULL)
            smtp_server_discard(c->s);
        break;
    case SMTP_ASK_END:
        assert_true(ask.size_bytes == c->message.n || strstr(mode, "discard@") != NULL);
        reply = strstr(mode, "discard@") != NULL ? (struct smtp_reply){554, "5.7.1", "discarded"}
                : strstr(mode, "noend") != NULL  ? (struct smtp_reply){452, "4.3.1", "full"}
                                                 : (struct smtp_reply){250, "2.0.0", "taken"};
        if (reply.code == 250) {
            buf_append(&c->messages, buf_slice(&c->message));
            buf_append_char(&c->messages, '$');
        }
        buf_clear(&c->message);
        break;
    }
    smtp_server_answer(c->s, reply);
}

static void caller_init(struct caller *c, const struct smtp_server_settings *settings)
{
    *c = (struct caller){.s = smtp_server_create(settings)};
    buf_init(&c->output, 1 << 22);
    buf_init(&c->message, 1 << 22);
    buf_init(&c->messages, 1 << 22);
}

static void caller_finish(struct caller *c)
{
    smtp_server_destroy(&c->s);
    buf_finish(&c->output);
    buf_finish(&c->message);
    buf_finish(&c->messages);
}

static void feed(struct caller *c, struct slice in, size_t piece, const char *mode)
{
    while (in.n > 0 && !smtp_server_is_closed(c->s)) {
        size_t used = smtp_server_recv(c->s, slice_sub(in, 0, piece));

        in = slice_from(in, used);
        decide(c, smtp_server_ask(c->s), mode);
        while (smtp_server_ask(c->s).kind != SMTP_ASK_NOTHING)
            decide(c, smtp_server_ask(c->s), mode);
        buf_append(&c->output, smtp_server_output(c->s));
        smtp_server_sent(c->s, smtp_server_output(c->s).n);
    }
}

static void run_talk(void **state)
{
    const struct talk *t = *state;
    static const size_t pieces[] = {SIZE_MAX, 1, 2, 7};

    for (size_t i = 0; i < COUNT(pieces); i++) {
        struct caller c;
        /* The answer to a leading EHLO is the same everywhere, and has cases of its own. */
        bool skips_ehlo = slice_starts(t->client, SLICE("EHLO c.example\r\n"));
        size_t ehlo = skips_ehlo ? strlen("EHLO c.example\r\n") : 0;

        caller_init(&c, t->settings);
        feed(&c, slice_sub(t->client, 0, ehlo > 0 ? ehlo : 1), pieces[i], "");
        buf_clear(&c.output);
        feed(&c, slice_from(t->client, ehlo > 0 ? ehlo : 1), pieces[i], t->client.p);
        buf_append_char(&c.output, '\0');
        buf_append_char(&c.messages, '\0');
        assert_string_equal(c.output.p, t->server);
        assert_string_equal(c.messages.p, t->messages);
        caller_finish(&c);
    }
}

/* --- what does not fit the table --- */

static void what_came_before_tls_is_dropped(void **state)
{
    struct caller c;
    struct slice injected =
        SLICE("EHLO c\r\nSTARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@x.example>\r\n");
    (void)state;

    caller_init(&c, &secure);
    size_t used = smtp_server_recv(c.s, injected);
    smtp_server_answer(c.s, (struct smtp_reply){250, NULL, NULL});
    assert_string_equal(smtp_server_state_name(c.s), "waiting for MAIL");
    smtp_server_sent(c.s, smtp_server_output(c.s).n);
    injected = slice_from(injected, used);
    assert_int_equal(smtp_server_recv(c.s, injected), injected.n);
    assert_int_equal(smtp_server_ask(c.s).kind, SMTP_ASK_TLS);
    assert_true(slice_eq(smtp_server_output(c.s), SLICE("220 2.0.0 Ready to start TLS\r\n")));
    smtp_server_sent(c.s, smtp_server_output(c.s).n);
    assert_int_equal(smtp_server_recv(c.s, SLICE("MAIL FROM:<>\r\n")), 0);
    smtp_server_tls_started(c.s);
    assert_true(smtp_server_is_tls(c.s));
    assert_int_equal(smtp_server_helo(c.s).n, 0);
    feed(&c, SLICE("MAIL FROM:<>\r\n"), 1, "");
    assert_true(slice_eq(buf_slice(&c.output), SLICE("503 5.5.1 Say EHLO first\r\n")));
    buf_clear(&c.output);
    feed(&c, SLICE("EHLO c\r\nSTARTTLS\r\nAUTH PLAIN AHVzZXIAcGFzcw==\r\n"), 1, "");
    assert_true(slice_search(buf_slice(&c.output), SLICE("250-AUTH PLAIN LOGIN\r\n")) !=
                SLICE_NONE);
    assert_true(slice_search(buf_slice(&c.output), SLICE("STARTTLS")) == SLICE_NONE);
    assert_true(slice_ends(buf_slice(&c.output),
                           SLICE("503 5.5.1 TLS is on already\r\n235 2.7.0 welcome user\r\n")));
    assert_true(slice_eq(smtp_server_user(c.s), SLICE("user")));
    caller_finish(&c);
}

static void a_session_can_be_ended_by_the_caller(void **state)
{
    struct caller c;
    (void)state;

    caller_init(&c, &plain);
    smtp_server_close(c.s, (struct smtp_reply){554, "5.7.1", "Not you"});
    assert_true(slice_eq(smtp_server_output(c.s), SLICE("554 5.7.1 Not you\r\n")));
    caller_finish(&c);

    caller_init(&c, &plain);
    feed(&c, SLICE("EHLO c\r\n" ENVELOPE "DATA\r\nabc"), SIZE_MAX, "");
    assert_true(smtp_server_in_transaction(c.s));
    assert_string_equal(smtp_server_state_name(c.s), "receiving the message");
    smtp_server_timeout(c.s);
    smtp_server_shutdown(c.s); /* twice is harmless */
    assert_false(smtp_server_in_transaction(c.s));
    assert_true(smtp_server_is_closed(c.s));
    assert_true(slice_eq(smtp_server_output(c.s),
                         SLICE("421 4.4.2 Nothing heard for too long, closing\r\n")));
    assert_int_equal(smtp_server_recv(c.s, SLICE("x\r\n")), 3);
    caller_finish(&c);
}

static void body_bytes_are_not_copied(void **state)
{
    struct caller c;
    struct slice in = SLICE("Subject: x\r\n\r\nbody\r\n.\r\n");
    (void)state;

    caller_init(&c, &plain);
    feed(&c, SLICE("EHLO c\r\n" ENVELOPE "DATA\r\n"), SIZE_MAX, "");
    size_t used = smtp_server_recv(c.s, in);
    struct smtp_ask ask = smtp_server_ask(c.s);
    assert_int_equal(ask.kind, SMTP_ASK_BODY);
    assert_ptr_equal(ask.value.p, in.p);
    assert_int_equal(ask.value.n, in.n - 3);
    assert_int_equal(smtp_server_recv(c.s, slice_from(in, used)), 0); /* the question stands */
    smtp_server_body_taken(c.s);
    assert_true(smtp_server_recv(c.s, slice_from(in, used)) > 0);
    caller_finish(&c);
}

static void ten_thousand_recipients_are_bounded(void **state)
{
    struct caller c;
    (void)state;

    caller_init(&c, &plain);
    feed(&c, SLICE("EHLO c\r\nMAIL FROM:<>\r\n"), SIZE_MAX, "");
    buf_clear(&c.output);
    for (int i = 0; i < 10000; i++)
        feed(&c, SLICE("RCPT TO:<b@y.example>\r\n"), SIZE_MAX, "");
    struct slice rest = buf_slice(&c.output);
    size_t accepted = 0, later = 0;
    while (rest.n > 0) {
        struct slice line = slice_line(&rest);
        accepted += slice_starts(line, SLICE("250 2.1.5"));
        later += slice_starts(line, SLICE("452 4.5.3"));
    }
    assert_int_equal(accepted, 1000);
    assert_int_equal(later, 9000);
    assert_false(smtp_server_is_closed(c.s));
    caller_finish(&c);
}

static void a_peer_that_never_reads_is_closed(void **state)
{
    static const struct smtp_server_settings many = {.hostname = "mx.example",
                                                     .idle_commands_max = 1000000};
    struct smtp_server *s = smtp_server_create(&many);
    (void)state;

    for (int i = 0; i < 200000 && !smtp_server_is_closed(s); i++)
        assert_int_equal(smtp_server_recv(s, SLICE("NOOP\r\n")), 6);
    assert_true(smtp_server_is_closed(s));
    assert_true(smtp_server_output(s).n <= 1 << 20);
    smtp_server_destroy(&s);
    smtp_server_destroy(&s); /* NULL is fine */
}

int main(void)
{
    struct CMUnitTest tests[COUNT(talks) + 5];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(talks); i++)
        tests[n++] =
            (struct CMUnitTest){talks[i].name, run_talk, NULL, NULL, (void *)(uintptr_t)&talks[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(what_came_before_tls_is_dropped);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_session_can_be_ended_by_the_caller);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(body_bytes_are_not_copied);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(ten_thousand_recipients_are_bounded);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(a_peer_that_never_reads_is_closed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
