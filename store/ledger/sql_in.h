/* store/ledger/sql_in.h -- every SQL statement has a name here and its text in sql.c. */
#ifndef STORE_LEDGER_SQL_IN_H
#define STORE_LEDGER_SQL_IN_H

/* The writer's statements. */
enum writer_statement {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_LAST_MESSAGE,
    SQL_LAST_RECIPIENT,
    SQL_LAST_EVENT,
    SQL_COUNT_WORK,
    SQL_ALL_SEGMENTS,
    SQL_RECENT_DIGESTS,
    SQL_FIRST_SINCE,
    SQL_DIGEST_OF,
    SQL_ADD_MESSAGE,
    SQL_ADD_RECIPIENT,
    SQL_ADD_WORK,
    SQL_ADD_EVENT,
    SQL_ADD_ASIDE,
    SQL_FIND_SITE,
    SQL_ADD_SITE,
    SQL_SITE_NAME,
    SQL_DUE_WORK,
    SQL_NEXT_SITE,
    SQL_FIRST_DUE,
    SQL_GET_WORK,
    SQL_UNIT_MESSAGE,
    SQL_GET_MESSAGE,
    SQL_GET_RECIPIENTS,
    SQL_REMOVE_WORK,
    SQL_MOVE_WORK,
    SQL_LATE_WORK,
    SQL_SET_RECIPIENTS,
    SQL_MOVE_RECIPIENTS,
    SQL_LESS_UNFINISHED,
    SQL_ADD_FLIGHT,
    SQL_REMOVE_FLIGHTS,
    SQL_ALL_FLIGHTS,
    SQL_OPEN_RECIPIENTS,
    SQL_SET_SEGMENT,
    SQL_REMOVE_SEGMENT,
    SQL_ADD_STAT,
    SQL_ADD_LATENCY,
    SQL_TAGS_OF_HOUR,
    SQL_OLD_MESSAGES,
    SQL_REMOVE_MESSAGE,
    SQL_REMOVE_RECIPIENTS,
    SQL_REMOVE_ASIDE,
    SQL_REMOVE_EVENTS,
    SQL_REMOVE_STATS,
    SQL_REMOVE_LATENCIES,
    SQL_LIVE_IN_SEGMENT,
    SQL_MOVE_MESSAGE,
    SQL_RECOUNT,
    SQL_LOST,
    SQL_REMOVE_STRAY,
    SQL_WRITER_COUNT
};
extern const char *const writer_sql[SQL_WRITER_COUNT];

/* The reader's. */
enum reader_statement {
    READ_BEGIN,
    READ_END,
    READ_WAITING,
    READ_ALL,
    READ_ROWS,
    READ_MESSAGE,
    READ_RECIPIENTS,
    READ_EVENT,
    READ_ASIDE,
    READ_NEWEST,
    READ_EVENTS,
    READ_LAST_SEQ,
    READ_STATS,
    READ_LATENCIES,
    READ_STORED,
    READ_SEGMENTS,
    READ_ONE_STORED,
    READ_QUICK_CHECK,
    READ_LOST,
    READ_STRAY,
    READ_COUNT
};
extern const char *const reader_sql[READ_COUNT];

/* The columns of struct ledger_message, in the order in which load_message() takes them. */
#define SCHEMA_VERSION 1
extern const char *const migrations[SCHEMA_VERSION]; /* [i] takes version i to i+1 */

#endif
