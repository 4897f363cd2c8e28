#include "store/ledger/sql_in.h"

/* Everything that is written for a new message goes to the end of a table: message and event by
 * time, recipient by number; work is ordered by site and due time, flight is tiny. So a group
 * touches few pages, however long the queue is.
 *
 *   message.id      the upper half of the id (time and counter): unique, grows with time
 *   recipient.id    first + n - 1; a message's recipients lie side by side
 *   recipient.part, .due, .site with .message are the key of the unit it waits in
 *   work.recipients '' when it is the one recipient `part`
 *   event.prev      the event before in the life of the same unit; so the history of a message is
 *                   found without an index. event_aside has those that belong to no unit
 *   event.took      milliseconds from the start of the attempt, event.waited from the dot; -1:
 *                   there was none
 *   message.unfinished is kept for messages with several recipients; a single one has a state */
const char *const migrations[SCHEMA_VERSION] = {
    "CREATE TABLE message(id INTEGER PRIMARY KEY, low INTEGER NOT NULL, digest BLOB,"
    " received INTEGER NOT NULL, first INTEGER NOT NULL, recipients INTEGER NOT NULL,"
    " unfinished INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL,"
    " body INTEGER NOT NULL, head INTEGER NOT NULL, size INTEGER NOT NULL, stream TEXT, tag TEXT,"
    " sender TEXT, options TEXT, client TEXT, client_ip TEXT, helo TEXT, login TEXT, tls TEXT,"
    " message_id TEXT, from_field TEXT, subject TEXT);"
    "CREATE TABLE recipient(id INTEGER PRIMARY KEY, message INTEGER NOT NULL, address TEXT,"
    " options TEXT, site INTEGER NOT NULL, state INTEGER NOT NULL, attempts INTEGER NOT NULL,"
    " due INTEGER NOT NULL, part INTEGER NOT NULL, event INTEGER NOT NULL);"
    "CREATE TABLE work(site INTEGER NOT NULL, due INTEGER NOT NULL, message INTEGER NOT NULL,"
    " part INTEGER NOT NULL, recipients TEXT, attempts INTEGER NOT NULL, event INTEGER NOT NULL,"
    " PRIMARY KEY(site, due, message, part)) WITHOUT ROWID;"
    "CREATE TABLE flight(message INTEGER NOT NULL, part INTEGER NOT NULL, n INTEGER NOT NULL,"
    " site INTEGER NOT NULL, due INTEGER NOT NULL, recipients TEXT, dot INTEGER NOT NULL,"
    " host TEXT, ip TEXT, PRIMARY KEY(message, part, n)) WITHOUT ROWID;"
    "CREATE TABLE event(seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, message INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, recipients TEXT, host TEXT, ip TEXT, code INTEGER NOT NULL,"
    " enhanced TEXT, text TEXT, took INTEGER, waited INTEGER, prev INTEGER);"
    "CREATE TABLE event_aside(message INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " PRIMARY KEY(message, seq)) WITHOUT ROWID;"
    "CREATE TABLE site(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE segment(id INTEGER PRIMARY KEY, total INTEGER NOT NULL, live INTEGER NOT NULL,"
    " live_count INTEGER NOT NULL, last INTEGER NOT NULL, low_id INTEGER NOT NULL,"
    " high_id INTEGER NOT NULL);"
    "CREATE TABLE stat(hour INTEGER NOT NULL, stream TEXT NOT NULL, tag TEXT NOT NULL,"
    " messages INTEGER NOT NULL, sent INTEGER NOT NULL, delivered INTEGER NOT NULL,"
    " deferred INTEGER NOT NULL, bounced INTEGER NOT NULL, unknown INTEGER NOT NULL,"
    " expired INTEGER NOT NULL, duplicates INTEGER NOT NULL,"
    " PRIMARY KEY(hour, stream, tag)) WITHOUT ROWID;"
    "CREATE TABLE latency(hour INTEGER NOT NULL, stream TEXT NOT NULL, tag TEXT NOT NULL,"
    " bucket INTEGER NOT NULL, count INTEGER NOT NULL,"
    " PRIMARY KEY(hour, stream, tag, bucket)) WITHOUT ROWID;"
    "CREATE TABLE suppression(address TEXT NOT NULL, scope TEXT NOT NULL, reason TEXT NOT NULL,"
    " source TEXT NOT NULL, message INTEGER, since INTEGER NOT NULL, until INTEGER,"
    " PRIMARY KEY(address, scope)) WITHOUT ROWID;",
    /* addresses are stored in lower case; scope '' is every stream; until 0 is for ever */
    "ALTER TABLE event ADD COLUMN category TEXT;"
    "ALTER TABLE suppression ADD COLUMN evidence TEXT;"
    "CREATE TABLE failure(address TEXT NOT NULL, scope TEXT NOT NULL, category TEXT NOT NULL,"
    " time INTEGER NOT NULL, message INTEGER NOT NULL,"
    " PRIMARY KEY(address, scope, category, time, message)) WITHOUT ROWID;",
    /* rows and policies are lines of lib/dmarc/tally.h; dmarc_period and _row are what we see and
     * report, dmarc_received and _received_row what others report to us. Times are unix seconds. */
    "CREATE TABLE dmarc_period(id INTEGER PRIMARY KEY, day INTEGER NOT NULL, domain TEXT NOT NULL,"
    " part INTEGER NOT NULL, policy TEXT NOT NULL, rua TEXT NOT NULL, begin INTEGER NOT NULL,"
    " end INTEGER NOT NULL, rows INTEGER NOT NULL, messages INTEGER NOT NULL,"
    " left_out INTEGER NOT NULL, state INTEGER NOT NULL, note TEXT NOT NULL,"
    " UNIQUE(day, domain, part));"
    "CREATE INDEX dmarc_period_open ON dmarc_period(id) WHERE state = 0;"
    "CREATE TABLE dmarc_row(period INTEGER NOT NULL, row TEXT NOT NULL, count INTEGER NOT NULL,"
    " PRIMARY KEY(period, row)) WITHOUT ROWID;"
    "CREATE TABLE dmarc_received(id INTEGER PRIMARY KEY, org TEXT NOT NULL,"
    " report_id TEXT NOT NULL, domain TEXT NOT NULL, email TEXT NOT NULL, policy TEXT NOT NULL,"
    " begin INTEGER NOT NULL, end INTEGER NOT NULL, received INTEGER NOT NULL,"
    " whole INTEGER NOT NULL, UNIQUE(org, report_id, domain));"
    "CREATE INDEX dmarc_received_when ON dmarc_received(received);"
    "CREATE TABLE dmarc_received_row(report INTEGER NOT NULL, n INTEGER NOT NULL,"
    " row TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY(report, n)) WITHOUT ROWID;",
    /* source: local addresses that mail left from; via '' is straight to the receivers. A notice is
     * an event without a message: its seq is one of event.seq's */
    "CREATE TABLE source(day INTEGER NOT NULL, domain TEXT NOT NULL, address TEXT NOT NULL,"
    " via TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    " messages INTEGER NOT NULL, PRIMARY KEY(day, domain, address, via)) WITHOUT ROWID;"
    "CREATE TABLE doctor_run(domain TEXT PRIMARY KEY, time INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE doctor_finding(domain TEXT NOT NULL, n INTEGER NOT NULL,"
    " severity INTEGER NOT NULL, temporary INTEGER NOT NULL, area TEXT NOT NULL,"
    " rule TEXT NOT NULL, name TEXT NOT NULL, detail TEXT NOT NULL, text TEXT NOT NULL,"
    " publish TEXT NOT NULL, since INTEGER NOT NULL, PRIMARY KEY(domain, n)) WITHOUT ROWID;"
    "CREATE TABLE notice(seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " severity INTEGER NOT NULL, domain TEXT, rule TEXT, name TEXT, text TEXT, publish TEXT);",
};

#define IS_LIVE                                                                                    \
    "CASE WHEN recipients > 1 THEN unfinished > 0 ELSE EXISTS(SELECT 1 FROM recipient"             \
    " WHERE recipient.id = message.first AND " UNFINISHED ") END"
#define ITS_WORK                                                                                   \
    "work.site = recipient.site AND work.due = recipient.due AND work.message ="                   \
    " recipient.message AND work.part = recipient.part"
#define UNFINISHED "recipient.state IN (0, 6, 7)"
#define DMARC_PERIOD_COLUMNS                                                                       \
    "id, day, domain, part, policy, rua, begin, end, rows, messages, left_out, state, note"
#define NEWEST_SEQ                                                                                 \
    "SELECT max(ifnull((SELECT max(seq) FROM event), 0), ifnull((SELECT max(seq) FROM notice), "   \
    "0))"
#define SOURCES                                                                                    \
    "SELECT domain, address, via, min(first), max(last), sum(messages) FROM source"                \
    " GROUP BY 1, 2, 3 ORDER BY 1, 3, 2"
#define FINDING_COLUMNS "severity, temporary, area, rule, name, detail, text, publish, since"
#define MESSAGE_COLUMNS                                                                            \
    "low, received, segment, offset, body, head, size, stream, tag, sender, options, client,"      \
    " client_ip, helo, login, tls, message_id, from_field, subject, recipients, first"

const char *const writer_sql[SQL_WRITER_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_LAST_MESSAGE] = "SELECT id, low FROM message ORDER BY id DESC LIMIT 1",
    [SQL_LAST_RECIPIENT] = "SELECT max(id) FROM recipient",
    [SQL_LAST_EVENT] = NEWEST_SEQ,
    [SQL_EVENT_TIME] = "SELECT time FROM event WHERE seq = ?",
    [SQL_COUNT_WORK] = "SELECT count(*) FROM work",
    [SQL_ALL_SEGMENTS] = "SELECT id, total, live, live_count, last, low_id, high_id"
                         " FROM segment ORDER BY id",
    [SQL_RECENT_DIGESTS] = "SELECT first, digest FROM message WHERE id >= ? ORDER BY id",
    [SQL_FIRST_SINCE] = "SELECT first FROM message WHERE id >= ? ORDER BY id LIMIT 1",
    [SQL_DIGEST_OF] = "SELECT message.id, low, digest, received FROM recipient"
                      " JOIN message ON message.id = recipient.message WHERE recipient.id = ?",
    [SQL_ADD_MESSAGE] = "INSERT INTO message VALUES"
                        "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_ADD_RECIPIENT] = "INSERT INTO recipient VALUES(?,?,?,?,?,?,0,?,?,?)",
    [SQL_ADD_WORK] = "INSERT INTO work VALUES(?,?,?,?,?,?,?)",
    [SQL_ADD_EVENT] = "INSERT INTO event VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_ADD_ASIDE] = "INSERT INTO event_aside VALUES(?,?)",
    [SQL_COUNT_ASIDE] = "SELECT count(*) FROM (SELECT 1 FROM event_aside JOIN event"
                        " ON event.seq = event_aside.seq WHERE event_aside.message = ?"
                        " AND recipients = ? AND kind = ? LIMIT ?)",
    [SQL_FIND_SITE] = "SELECT id FROM site WHERE name = ?",
    [SQL_ADD_SITE] = "INSERT INTO site(name) VALUES(?) RETURNING id",
    [SQL_SITE_NAME] = "SELECT name FROM site WHERE id = ?",
    [SQL_DUE_WORK] = "SELECT due, message, part, recipients, attempts, event FROM work"
                     " WHERE site = ? AND due <= ? ORDER BY due, message, part",
    [SQL_NEXT_SITE] = "SELECT site FROM work WHERE site > ? ORDER BY site LIMIT 1",
    [SQL_FIRST_DUE] = "SELECT due, message, part FROM work WHERE site = ?"
                      " ORDER BY due, message, part",
    [SQL_GET_WORK] = "SELECT recipients, attempts, event FROM work"
                     " WHERE site = ? AND due = ? AND message = ? AND part = ?",
    [SQL_UNIT_MESSAGE] = "SELECT low, received, first, recipients, segment, body + head, stream,"
                         " tag FROM message WHERE id = ?",
    [SQL_GET_MESSAGE] = "SELECT " MESSAGE_COLUMNS " FROM message WHERE id = ?",
    [SQL_GET_RECIPIENTS] = "SELECT address, options, site FROM recipient"
                           " WHERE id BETWEEN ? AND ? ORDER BY id",
    [SQL_REMOVE_WORK] = "DELETE FROM work"
                        " WHERE site = ? AND due = ? AND message = ? AND part = ?",
    [SQL_MOVE_WORK] = "UPDATE work SET due = ?, event = ?"
                      " WHERE site = ? AND due = ? AND message = ? AND part = ?",
    [SQL_LATE_WORK] = "SELECT DISTINCT message, low FROM work JOIN message ON id = message"
                      " WHERE site = ? AND due > ? AND due < ? LIMIT ?",
    [SQL_SET_RECIPIENTS] = "UPDATE recipient SET state = ?, attempts = ?, due = ?, part = ?,"
                           " event = ? WHERE id BETWEEN ? AND ?",
    [SQL_MOVE_RECIPIENTS] = "UPDATE recipient SET due = ?, part = ? WHERE id BETWEEN ? AND ?",
    [SQL_LESS_UNFINISHED] = "UPDATE message SET unfinished = unfinished - ? WHERE id = ?"
                            " RETURNING unfinished",
    [SQL_ADD_FLIGHT] = "INSERT OR REPLACE INTO flight VALUES(?,?,?,?,?,?,?,?,?)",
    [SQL_REMOVE_FLIGHTS] = "DELETE FROM flight WHERE message = ? AND part = ?",
    [SQL_ALL_FLIGHTS] = "SELECT message, part, site, due, recipients, dot, host, ip FROM flight"
                        " ORDER BY message, part, n",
    [SQL_OPEN_RECIPIENTS] = "SELECT id, state, site, due, part FROM recipient"
                            " WHERE id BETWEEN ? AND ? AND " UNFINISHED " ORDER BY id",
    [SQL_SET_SEGMENT] = "INSERT OR REPLACE INTO segment VALUES(?,?,?,?,?,?,?)",
    [SQL_REMOVE_SEGMENT] = "DELETE FROM segment WHERE id = ?",
    [SQL_ADD_STAT] = "INSERT INTO stat VALUES(?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
                     " messages = messages + excluded.messages, sent = sent + excluded.sent,"
                     " delivered = delivered + excluded.delivered,"
                     " deferred = deferred + excluded.deferred,"
                     " bounced = bounced + excluded.bounced,"
                     " unknown = unknown + excluded.unknown,"
                     " expired = expired + excluded.expired,"
                     " duplicates = duplicates + excluded.duplicates",
    [SQL_ADD_LATENCY] = "INSERT INTO latency VALUES(?,?,?,?,?)"
                        " ON CONFLICT DO UPDATE SET count = count + excluded.count",
    [SQL_TAGS_OF_HOUR] = "SELECT stream, tag FROM stat WHERE hour = ?",
    [SQL_OLD_MESSAGES] = "SELECT id, first, recipients, received,"
                         " " IS_LIVE " FROM message WHERE id > ? ORDER BY id LIMIT ?",
    [SQL_REMOVE_MESSAGE] = "DELETE FROM message WHERE id = ?",
    [SQL_REMOVE_RECIPIENTS] = "DELETE FROM recipient WHERE id BETWEEN ? AND ?",
    [SQL_REMOVE_ASIDE] = "DELETE FROM event_aside WHERE message = ?",
    /* The newest event stays, whatever its age: sequence numbers must not be given out twice. */
    [SQL_REMOVE_EVENTS] = "DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE seq <"
                          " (SELECT max(seq) FROM event) ORDER BY seq LIMIT ?) AND time < ?",
    [SQL_REMOVE_STATS] = "DELETE FROM stat WHERE hour < ?",
    [SQL_REMOVE_LATENCIES] = "DELETE FROM latency WHERE hour < ?",
    [SQL_LIVE_IN_SEGMENT] = "SELECT id, low, offset, body, head FROM message WHERE id > ? AND"
                            " id BETWEEN ? AND ? AND segment = ? AND"
                            " " IS_LIVE " ORDER BY id LIMIT ?",
    /* For waybill fsck --repair. */
    [SQL_RECOUNT] = "SELECT segment, sum(64 + body + head), count(*), min(id), max(id)"
                    " FROM message WHERE segment > 0 AND " IS_LIVE " GROUP BY segment",
    [SQL_LOST] = "SELECT message, site, due, part, attempts, event, recipient.id - first + 1"
                 " FROM recipient JOIN message ON message.id = recipient.message WHERE " UNFINISHED
                 " AND NOT EXISTS(SELECT 1 FROM work WHERE " ITS_WORK ")"
                 " ORDER BY message, site, due, part, recipient.id LIMIT 100000",
    [SQL_REMOVE_STRAY] = "DELETE FROM work WHERE NOT EXISTS(SELECT 1 FROM recipient JOIN message"
                         " ON message.id = work.message WHERE recipient.id BETWEEN first AND"
                         " first + recipients - 1 AND " UNFINISHED " AND " ITS_WORK ")",
    [SQL_MOVE_MESSAGE] = "UPDATE message SET segment = ?, offset = ? WHERE id = ?",
    [SQL_REPLACE_BYTES] = "UPDATE message SET segment = ?, offset = ?, body = ?, head = ?, size = ?"
                          " WHERE id = ?",
    [SQL_SUPPRESS] = "INSERT OR REPLACE INTO suppression(address, scope, reason, source, message,"
                     " since, until, evidence) VALUES(?,?,?,?,?,?,?,?)",
    [SQL_UNSUPPRESS] = "DELETE FROM suppression WHERE address = ?1 AND (?2 OR scope = ?3)",
    [SQL_FIND_SUPPRESSION] = "SELECT scope, reason, source, message, since, until, evidence"
                             " FROM suppression WHERE address = ?1 AND scope IN ('', ?2)"
                             " AND (until = 0 OR until > ?3) ORDER BY scope LIMIT 1",
    [SQL_ALL_SUPPRESSED] = "SELECT DISTINCT address FROM suppression",
    [SQL_REMOVE_EXPIRED] = "DELETE FROM suppression WHERE until > 0 AND until <= ?",
    [SQL_ADD_FAILURE] = "INSERT OR IGNORE INTO failure VALUES(?,?,?,?,?)",
    [SQL_COUNT_FAILURES] = "SELECT count(DISTINCT message), min(time) FROM failure"
                           " WHERE address = ? AND scope = ? AND category = ? AND time > ?",
    [SQL_CLEAR_FAILURES] = "DELETE FROM failure WHERE address = ? AND scope IN ('', ?)",
    [SQL_ALL_FAILING] = "SELECT DISTINCT address FROM failure",
    [SQL_REMOVE_FAILURES] = "DELETE FROM failure WHERE time < ?",
    [SQL_FIND_RECIPIENT] =
        "SELECT recipient.id, address, state, low, stream, tag, received,"
        " recipient.options FROM message JOIN recipient ON recipient.id = first + ?2 - 1"
        " WHERE message.id = ?1 AND ?2 BETWEEN 1 AND recipients",
    [SQL_RECIPIENT_BOUNCED] = "UPDATE recipient SET state = 2 WHERE id = ? AND state IN (1, 8)",
    [SQL_DMARC_DAY] = "SELECT count(*), coalesce(sum(rows), 0) FROM dmarc_period WHERE day = ?",
    [SQL_DMARC_PERIOD] = "SELECT id, rows, policy, rua FROM dmarc_period WHERE day = ? AND domain ="
                         " ? AND state = 0",
    [SQL_DMARC_POLICY] = "UPDATE dmarc_period SET policy = ?, rua = ? WHERE id = ?",
    [SQL_DMARC_PARTS] = "SELECT count(*), max(end) FROM dmarc_period WHERE day = ? AND domain = ?",
    [SQL_DMARC_OPEN] = "INSERT INTO dmarc_period(day, domain, part, policy, rua, begin, end, rows,"
                       " messages, left_out, state, note) VALUES(?,?,?,?,?,?,0,0,0,0,0,'')"
                       " RETURNING id",
    [SQL_DMARC_MORE] = "UPDATE dmarc_row SET count = count + ? WHERE period = ? AND row = ?",
    [SQL_DMARC_ROW] = "INSERT INTO dmarc_row VALUES(?,?,?)",
    [SQL_DMARC_ROWS] = "UPDATE dmarc_period SET rows = rows + 1 WHERE id = ?",
    [SQL_DMARC_MESSAGES] = "UPDATE dmarc_period SET messages = messages + ?,"
                           " left_out = left_out + ? WHERE id = ?",
    [SQL_DMARC_NEXT] = "SELECT " DMARC_PERIOD_COLUMNS " FROM dmarc_period WHERE id > ?"
                       " AND day BETWEEN ? AND ? AND state = 0 ORDER BY id LIMIT 1",
    [SQL_DMARC_ALL_ROWS] = "SELECT row, count FROM dmarc_row WHERE period = ? ORDER BY count DESC,"
                           " row",
    [SQL_DMARC_CLOSE] = "UPDATE dmarc_period SET state = ?, end = ?, note = ? WHERE id = ?",
    [SQL_DMARC_FIND_REPORT] = "SELECT id, whole FROM dmarc_received WHERE org = ? AND report_id = ?"
                              " AND domain = ?",
    [SQL_DMARC_RECEIVED_SINCE] = "SELECT count(*) FROM dmarc_received WHERE received >= ?",
    [SQL_DMARC_RECEIVE] = "INSERT INTO dmarc_received(org, report_id, domain, email, policy, begin,"
                          " end, received, whole) VALUES(?,?,?,?,?,?,?,?,0) RETURNING id",
    [SQL_DMARC_WHOLE] = "UPDATE dmarc_received SET whole = 1 WHERE id = ?",
    [SQL_DMARC_RECEIVED_ROW] = "INSERT OR REPLACE INTO dmarc_received_row VALUES(?,?,?,?)",
    [SQL_DMARC_OLD_PERIODS] = "SELECT id FROM dmarc_period WHERE day < ? / 86400 LIMIT ?",
    [SQL_DMARC_REMOVE_ROWS] = "DELETE FROM dmarc_row WHERE period = ?",
    [SQL_DMARC_REMOVE_PERIOD] = "DELETE FROM dmarc_period WHERE id = ?",
    [SQL_DMARC_OLD_REPORTS] = "SELECT id FROM dmarc_received WHERE received < ? LIMIT ?",
    [SQL_DMARC_REMOVE_RECEIVED_ROWS] = "DELETE FROM dmarc_received_row WHERE report = ?",
    [SQL_DMARC_REMOVE_RECEIVED] = "DELETE FROM dmarc_received WHERE id = ?",
    [SQL_SOURCES_OF_DAY] = "SELECT domain, address, via FROM source WHERE day = ?",
    [SQL_ADD_SOURCE] = "INSERT INTO source VALUES(?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
                       " last = max(last, excluded.last), messages = messages + excluded.messages",
    [SQL_ALL_SOURCES] = SOURCES,
    [SQL_REMOVE_SOURCES] = "DELETE FROM source WHERE day < ?",
    [SQL_FINDINGS_OF] =
        "SELECT " FINDING_COLUMNS " FROM doctor_finding WHERE domain = ? ORDER BY n",
    [SQL_ADD_FINDING] = "INSERT INTO doctor_finding VALUES(?,?,?,?,?,?,?,?,?,?,?)",
    [SQL_REMOVE_FINDINGS] = "DELETE FROM doctor_finding WHERE domain = ?",
    [SQL_COUNT_FINDINGS] = "SELECT severity, count(*) FROM doctor_finding WHERE temporary = 0"
                           " GROUP BY severity",
    [SQL_SET_DOCTOR_RUN] = "INSERT OR REPLACE INTO doctor_run VALUES(?,?)",
    [SQL_DOCTOR_DOMAINS] = "SELECT domain FROM doctor_run",
    [SQL_REMOVE_DOCTOR_RUN] = "DELETE FROM doctor_run WHERE domain = ?",
    [SQL_ADD_NOTICE] = "INSERT INTO notice VALUES(?,?,?,?,?,?,?,?,?)",
    [SQL_REMOVE_NOTICES] = "DELETE FROM notice WHERE seq < (SELECT max(seq) FROM notice)"
                           " AND time < ?",
};

#define ROW_COLUMNS                                                                                \
    "SELECT message.id, low, recipient.id - first + 1, received, recipient.due, sender, address,"  \
    " site.name, stream, tag, subject, size, state, attempts,"                                     \
    " EXISTS(SELECT 1 FROM flight WHERE flight.message = message.id AND flight.part ="             \
    " recipient.part), event.code, event.text FROM "
#define ROW_JOINS                                                                                  \
    " LEFT JOIN site ON site.id = recipient.site LEFT JOIN event ON event.seq = recipient.event"
#define EVENT_COLUMNS                                                                              \
    "seq, time, event.message, kind, event.recipients, host, ip, code, enhanced, text, took, "     \
    "waited, "                                                                                     \
    "prev, category"

const char *const reader_sql[READ_COUNT] = {
    [READ_BEGIN] = "BEGIN",
    [READ_END] = "COMMIT",
    [READ_WAITING] = "SELECT DISTINCT message FROM work ORDER BY message",
    [READ_ALL] = "SELECT id FROM message ORDER BY id",
    [READ_ROWS] = ROW_COLUMNS "message JOIN recipient ON recipient.id BETWEEN message.first AND"
                              " message.first + message.recipients - 1" ROW_JOINS
                              " WHERE message.id = ? AND (1 << state) & ? ORDER BY recipient.id",
    [READ_MESSAGE] = "SELECT " MESSAGE_COLUMNS ", digest FROM message WHERE id = ?",
    [READ_RECIPIENTS] = "SELECT address, options, site.name, state, attempts, due, event,"
                        " (SELECT max(dot) FROM flight WHERE flight.message = recipient.message"
                        " AND flight.part = recipient.part) FROM recipient"
                        " LEFT JOIN site ON site.id = recipient.site"
                        " WHERE recipient.id BETWEEN ? AND ? ORDER BY recipient.id",
    [READ_EVENT] = "SELECT " EVENT_COLUMNS " FROM event WHERE seq = ?",
    [READ_ASIDE] = "SELECT seq FROM event_aside WHERE message = ? ORDER BY seq",
    [READ_NEWEST] = "SELECT id, low, message_id FROM message ORDER BY id DESC LIMIT ?",
    [READ_EVENTS] = "SELECT " EVENT_COLUMNS ", low, stream, tag, client_ip, recipient.address,"
                    " CASE WHEN event.recipients = '' THEN message.recipients > 1"
                    " ELSE event.recipients GLOB '*[-,]*' END FROM event"
                    " LEFT JOIN message ON message.id = event.message"
                    " LEFT JOIN recipient ON recipient.id = message.first - 1"
                    " + max(1, CAST(event.recipients AS INTEGER))"
                    " WHERE seq > ? ORDER BY seq LIMIT ?",
    [READ_LAST_SEQ] = NEWEST_SEQ,
    [READ_STATS] = "SELECT stream, CASE WHEN ?3 THEN tag ELSE '' END, sum(messages), sum(sent),"
                   " sum(delivered), sum(deferred), sum(bounced), sum(unknown), sum(expired),"
                   " sum(duplicates) FROM stat WHERE hour BETWEEN ?1 AND ?2"
                   " GROUP BY 1, 2 ORDER BY 1, 2",
    [READ_LATENCIES] = "SELECT bucket, sum(count) FROM latency WHERE hour BETWEEN ?1 AND ?2 AND"
                       " stream = ?3 AND (?4 = 0 OR tag = ?5) GROUP BY bucket ORDER BY bucket",
    [READ_STORED] =
        "SELECT id, low, segment, offset, body, head, " IS_LIVE " FROM message ORDER BY id",
    [READ_SEGMENTS] = "SELECT id, total, live, live_count, last FROM segment ORDER BY id",
    [READ_ONE_STORED] =
        "SELECT low, segment, offset, body, head, " IS_LIVE " FROM message WHERE id = ?",
    [READ_QUICK_CHECK] = "PRAGMA quick_check(1)",
    [READ_LOST] = "SELECT count(*) FROM recipient WHERE " UNFINISHED
                  " AND NOT EXISTS(SELECT 1 FROM work WHERE " ITS_WORK ")",
    [READ_STRAY] = "SELECT count(*) FROM work WHERE NOT EXISTS(SELECT 1 FROM recipient JOIN message"
                   " ON message.id = work.message WHERE recipient.id BETWEEN first AND"
                   " first + recipients - 1 AND " UNFINISHED " AND " ITS_WORK ")",
    [READ_SUPPRESSIONS] = "SELECT address, scope, reason, source, message, since, until, evidence"
                          " FROM suppression WHERE (?1 = '' OR address = ?1)"
                          " AND (?2 = 0 OR scope = ?3) ORDER BY address, scope",
    [READ_FAILURES] = "SELECT address, scope, category, time, message FROM failure"
                      " WHERE address = ? ORDER BY time",
    [READ_DMARC_PERIODS] = "SELECT " DMARC_PERIOD_COLUMNS " FROM dmarc_period"
                           " WHERE day BETWEEN ? AND ? ORDER BY day, domain, part",
    [READ_DMARC_ROWS] = "SELECT row, count FROM dmarc_row WHERE period = ? ORDER BY count DESC,"
                        " row",
    [READ_DMARC_REPORTS] = "SELECT id, org, report_id, domain, email, policy, begin, end, received"
                           " FROM dmarc_received WHERE whole = 1 AND end >= ? ORDER BY domain, id",
    [READ_DMARC_RECEIVED_ROWS] = "SELECT row, count FROM dmarc_received_row WHERE report = ?"
                                 " ORDER BY n",
    [READ_SOURCES] = SOURCES,
    [READ_NOTICES] = "SELECT seq, time, kind, severity, domain, rule, name, text, publish FROM"
                     " notice WHERE seq > ? ORDER BY seq LIMIT ?",
    [READ_DOCTOR_RUNS] = "SELECT domain, time FROM doctor_run ORDER BY domain",
    [READ_FINDINGS] = "SELECT " FINDING_COLUMNS " FROM doctor_finding WHERE domain = ? ORDER BY n",
};
