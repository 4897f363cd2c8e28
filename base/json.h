/* base/json.h -- writes JSON (RFC 8259) into a buf, one call a token.
 *
 *     json_begin(&j, &out);
 *     json_object(&j);  json_key(&j, "id");  json_text(&j, id);  json_end(&j);
 *
 * Commas and escapes are its business. Bytes that are not UTF-8 become U+FFFD, so the output is
 * always legal. Reading JSON is not done here. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/base.h"

#define JSON_DEPTH_MAX 32

struct json {
    struct buf *out;
    unsigned depth;
    bool has_items[JSON_DEPTH_MAX];
    bool is_object[JSON_DEPTH_MAX];
    bool after_key;
};

void json_begin(struct json *j, struct buf *out);
void json_object(struct json *j); /* { */
void json_array(struct json *j);  /* [ */
void json_end(struct json *j);    /* closes the innermost of them */
void json_key(struct json *j, const char *key);
void json_text(struct json *j, struct slice text);
void json_string(struct json *j, const char *text); /* NULL writes null */
void json_int(struct json *j, int64_t value);
void json_double(struct json *j, double value, unsigned decimals);
void json_bool(struct json *j, bool value);
void json_null(struct json *j);

/* key and value in one call */
void json_member_text(struct json *j, const char *key, struct slice text);
void json_member_string(struct json *j, const char *key, const char *text);
void json_member_int(struct json *j, const char *key, int64_t value);
void json_member_bool(struct json *j, const char *key, bool value);

#endif
