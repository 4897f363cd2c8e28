#include "lib/bounce/phrases_in.h"

#include <assert.h>
#include <hs/hs.h>

#include "lib/bounce/shipped_in.h"

struct phrase {
    const char *pattern;
    unsigned kind;
};

static const struct phrase phrases[] = {
    /* failed */
    {"undeliver(able|ed)", PHRASE_FAILED},
    {"non-?deliver", PHRASE_FAILED},
    {"not deliver", PHRASE_FAILED},
    {"deliver(y|ing)?[^.\\n]{0,60}fail", PHRASE_FAILED},
    {"fail[a-z]*[^.\\n]{0,20}(to )?deliver", PHRASE_FAILED},
    {"(not|n't|unable to|cannot|can not) be (delivered|sent|processed|returned)", PHRASE_FAILED},
    {"(unable|not able|failed|cannot|can't|couldn't|could not) (to )?(deliver|send|relay|forward|"
     "process your)",
     PHRASE_FAILED},
    {"(not|n't) (been |be )?(successfully )?(delivered|reach|received?)", PHRASE_FAILED},
    {"did(n't| not) (receive|reach)", PHRASE_FAILED},
    {"returned (mail|message|to sender|because)", PHRASE_FAILED},
    {"mail system error", PHRASE_FAILED},
    {"delivery (status )?(notification|report|problem|error|failure|incomplete)", PHRASE_FAILED},
    {"(mail|failure|error|bounce|delivery|rejection) (notice|notification)", PHRASE_FAILED},
    {"(user|recipient|mailbox|account|address|host|domain) ?(is |was )?(unknown|not found|not "
     "known|does not exist|doesn't exist|invalid|not listed|disabled|full|no longer)",
     PHRASE_FAILED},
    {"(unknown|no such|invalid|unrouteable) (local )?(user|recipient|mailbox|account|address|host|"
     "domain|final)",
     PHRASE_FAILED},
    {"(message|mail|email|e-mail|recipient|address) (has been |was |is |been )?(permanently )?"
     "(rejected|refused|bounced|blocked|returned|undeliverable)",
     PHRASE_FAILED},
    {"(permanent|fatal|unrecoverable) (fatal )?(error|failure|problem)",
     PHRASE_FAILED | PHRASE_FINAL},
    {"failed permanently", PHRASE_FAILED | PHRASE_FINAL},
    {"(mailbox|quota|inbox)[^.\\n]{0,30}(full|exceed)", PHRASE_FAILED},
    {"over quota", PHRASE_FAILED},
    {"n't have a [^ ]+ account", PHRASE_FAILED},
    {"failed (addresses|recipients)|failed delivery", PHRASE_FAILED},
    {"error (has )?(occurred|sending|while|delivering)|trouble delivering", PHRASE_FAILED},
    {"rejected by|failure reasons|loop alert", PHRASE_FAILED},
    {"encountered an? (error|problem)", PHRASE_FAILED},
    {"(wrong|no longer) (or no longer )?valid", PHRASE_FAILED},
    {"mail (delivery )?(failed|failure|error|not delivered)", PHRASE_FAILED},
    {"message (delivery )?(failed|failure)", PHRASE_FAILED},
    {"(nicht|konnte) [^.\\n]{0,40}zugestellt", PHRASE_FAILED},
    {"unzustellbar", PHRASE_FAILED},
    {"(no|n'a) (pudo|se pudo|pas (pu|ete|\xc3\xa9t\xc3\xa9))[^.\\n]{0,40}(entregar|"
     "remis|distribu|livr)",
     PHRASE_FAILED},
    {"\xe9\x85\x8d\xe4\xbf\xa1|\xe9\x85\x8d\xe9\x80\x81|\xe9\x80\x80\xe4\xbf\xa1|"
     "\xe9\x80\x80\xe5\x9b\x9e",
     PHRASE_FAILED}, /* haishin, haisou, tuixin, tuihui: delivery, returned */
    {"(non|n.{1,2}o|niet|nie|ikke|inte) "
     "[^.\\n]{0,40}(recapitat|consegnat|entregu|bezorgd|afgeleverd|"
     "dostarcz|levere)",
     PHRASE_FAILED},
    {"не (удалось|может быть|была?|было) [^.\\n]{0,60}доставл|недоставл|не доставлен",
     PHRASE_FAILED},
    {"投递失败|无法投递|未能送达|送達でき|送信できません|届けることができ|전달되지|전송되지|반송",
     PHRASE_FAILED},
    /* delayed */
    {"noch nicht [^.\\n]{0,30}zugestellt|zustellung [^.\\n]{0,20}verz.{1,2}gert", PHRASE_DELAYED},
    {"pas encore [^.\\n]{0,40}(remis|distribu|livr)|(remise|livraison) [^.\\n]{0,20}retard",
     PHRASE_DELAYED},
    {"(a.{1,2}n no|ainda n.{1,2}o|non ancora|non .{1,4} ancora) [^.\\n]{0,40}(entreg|recapitat|"
     "consegnat)",
     PHRASE_DELAYED},
    {"(has|have) been delayed", PHRASE_DELAYED},
    {"not (yet )?been delivered (yet|to all|after)", PHRASE_DELAYED},
    {"(not|n't) yet (been )?(delivered|deliver)", PHRASE_DELAYED},
    {"still (being )?(undelivered|queued|in the (mail )?queue|trying)", PHRASE_DELAYED},
    {"warning message only", PHRASE_DELAYED | PHRASE_WARNING},
    {"not need to resend", PHRASE_DELAYED | PHRASE_WARNING},
    {"(will|shall) (be retried|retry|keep trying|continue|try again)", PHRASE_DELAYED},
    {"delivery incomplete", PHRASE_DELAYED | PHRASE_WARNING},
    {"message will be retried|will retry for", PHRASE_DELAYED | PHRASE_WARNING},
    {"attempts will continue", PHRASE_DELAYED | PHRASE_WARNING},
    {"no action is required", PHRASE_DELAYED | PHRASE_WARNING},
    {"temporarily delayed", PHRASE_DELAYED},
    {"notification \\(delay", PHRASE_DELAYED},
    {"transient (non-?fatal )?(error|failure)", PHRASE_DELAYED},
    {"only a notification", PHRASE_DELAYED | PHRASE_WARNING},
    {"delivery (of your message )?(is |was |has been )?(delayed|deferred)", PHRASE_DELAYED},
    {"(message|mail|delivery) delayed", PHRASE_DELAYED},
    {"is experiencing (some )?delay", PHRASE_DELAYED},
    /* final */
    {"could not be delivered (for|within|in|after) [0-9]", PHRASE_FINAL},
    {"(will|has) (be|been) (deleted|removed) from (the )?queue", PHRASE_FINAL},
    {"giv(en|ing) up", PHRASE_FINAL},
    {"not going to try again", PHRASE_FINAL},
    {"no further (delivery )?attempts", PHRASE_FINAL},
    {"(not|n't) be delivered\\.", PHRASE_FINAL},
    {"failed permanently", PHRASE_FINAL},
    {"message (was |is )?undeliverable", PHRASE_FINAL},
    {"undelivered mail returned", PHRASE_FINAL},
    {"returning message to sender", PHRASE_FINAL},
    {"(queue|retry) (time|timeout|lifetime)[^\\n]{0,20}(expired|exceeded)", PHRASE_FINAL},
    /* delivered */
    {"(was|were|been) (successfully )?(delivered|relayed|expanded)( to|:| success)",
     PHRASE_DELIVERED},
    {"successful(ly)? (mail )?deliver", PHRASE_DELIVERED},
    {"successful delivery", PHRASE_DELIVERED},
    {"successfully sent", PHRASE_DELIVERED},
    /* where the original begins */
    {"copy of (the|your) (original |returned |rejected )?(message|mail|e-?mail)", PHRASE_ORIGINAL},
    {"original (message|mail|e-?mail|header|text)", PHRASE_ORIGINAL},
    {"(returned|unsent|undelivered|undeliverable|bounced|rejected|attached|forwarded|failed) "
     "(message|mail|e-?mail|header)",
     PHRASE_ORIGINAL},
    {"(message|mail)( text| headers?| body)? follow", PHRASE_ORIGINAL},
    {"headers? (of|from) the", PHRASE_ORIGINAL},
    {"start of message", PHRASE_ORIGINAL},
    {"old message", PHRASE_ORIGINAL},
    {"mensaje original|message d'origine|nachricht(en)?kopf|mensagem original", PHRASE_ORIGINAL},
    {"(text|contents?|lines) of (the|your) (message|mail)", PHRASE_ORIGINAL},
    {"message header", PHRASE_ORIGINAL},
    /* the sender, and who may be asked */
    {"(message|mail) sent by:?", PHRASE_SENDER},
    {"message from:?$", PHRASE_SENDER},
    {"mail from:", PHRASE_SENDER},
    {"contact", PHRASE_CONTACT},
    {"postmaster", PHRASE_CONTACT},
    {"assistance", PHRASE_CONTACT},
    {"question", PHRASE_CONTACT},
    {"please (send|e-?mail|write|forward|visit|call|let|notify|reply)", PHRASE_CONTACT},
    {"help ?desk", PHRASE_CONTACT},
    {"support", PHRASE_CONTACT},
    {"administrator", PHRASE_CONTACT},
    {"http://|https://|mailto:", PHRASE_CONTACT},
    {"(new|my) (e-?mail )?address", PHRASE_CONTACT},
    /* challenges and auto-replies */
    {"(verify|prove|confirm) (that )?(you|your|yourself)[^\\n]{0,40}(human|person|identity|not a|"
     "sender|e-?mail|address|message)",
     PHRASE_CHALLENGE},
    {"(spam ?arrest|boxbe|bluebottle|mailblocks|choicemail|challenge.response|tmda)",
     PHRASE_CHALLENGE},
    {"(one-?time|sender) (verification|confirmation|approval)", PHRASE_CHALLENGE},
    {"approved? sender", PHRASE_CHALLENGE},
    {"(click|follow|reply)[^\\n]{0,60}(deliver(ed)? your (message|mail)|to be (added|approved))",
     PHRASE_CHALLENGE},
    {"out of (the )?(office|town)", PHRASE_AUTO_REPLY},
    {"(on|am on) (vacation|holiday|leave|business trip)", PHRASE_AUTO_REPLY},
    {"auto(matic)?[- ]?(re(ply|sponse|sponder)|answer)", PHRASE_AUTO_REPLY},
    {"(away|absent) (from|until|till)", PHRASE_AUTO_REPLY},
    {"abwesen(d|heit)", PHRASE_AUTO_REPLY},
    {"(thank you|thanks) for (your|contacting|writing)", PHRASE_AUTO_REPLY},
    {"(have|has) (been )?received your (e-?mail|message)", PHRASE_AUTO_REPLY},
    {"technical details", PHRASE_DETAILS},
    {"transcript of session", PHRASE_DETAILS},
    {"diagnostic information", PHRASE_DETAILS},
};

struct phrases {
    hs_database_t *database;
    hs_scratch_t *scratch;
    phrase_found found;
    void *ctx;
};

struct phrases *phrases_create(void)
{
    struct phrases *p = mem_alloc(sizeof *p);
    const char *texts[COUNT(phrases)];
    unsigned flags[COUNT(phrases)], ids[COUNT(phrases)];
    struct err e;

    for (unsigned i = 0; i < COUNT(phrases); i++) {
        texts[i] = phrases[i].pattern;
        flags[i] = HS_FLAG_CASELESS | HS_FLAG_MULTILINE;
        ids[i] = i;
    }
    /* The patterns are ours and tested, so a failure is a bug or a lack of memory. */
    p->database = bounce_unpack(bounce_packed_phrases);
    if (p->database == NULL)
        p->database = bounce_compile(texts, flags, ids, COUNT(phrases), &e);
    assert(p->database != NULL);
    hs_error_t ready = hs_alloc_scratch(p->database, &p->scratch);
    assert(ready == HS_SUCCESS);
    (void)ready;
    return p;
}

void phrases_destroy(struct phrases **p)
{
    if (*p == NULL)
        return;
    hs_free_scratch((*p)->scratch);
    hs_free_database((*p)->database);
    free(*p);
    *p = NULL;
}

static int note(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                void *ctx)
{
    struct phrases *p = ctx;

    (void)from, (void)flags;
    p->found(p->ctx, phrases[id].kind, (size_t)to); /* an offset in a text of ours */
    return 0;
}

void phrases_find(struct phrases *p, struct slice text, phrase_found found, void *ctx)
{
    p->found = found;
    p->ctx = ctx;
    if (text.n > 0)
        (void)hs_scan(p->database, text.p, (unsigned)text.n, 0, p->scratch, note, p);
}

struct hs_database *phrases_database(const struct phrases *p)
{
    return p->database;
}
