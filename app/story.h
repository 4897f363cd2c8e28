/* app/story.h -- events and messages of the ledger as text and JSON: `events`, `show`, `send`. */
#ifndef APP_STORY_H
#define APP_STORY_H

#include "base/json.h"
#include "store/ledger/reader.h"

/* One event as one line for people, or as one JSON object. */
void story_append_event(struct buf *out, const struct ledger_event *event);
void story_json_event(struct json *j, const struct ledger_event *event);
/* The same for what changed about the set-up: it belongs to no message. */
void story_append_notice(struct buf *out, const struct ledger_notice *notice);
void story_json_notice(struct json *j, const struct ledger_notice *notice);
/* The waybill of one message: who, what, where each recipient stands, and the timeline. */
void story_append(struct buf *out, const struct ledger_story *story, int64_t now_ms);
void story_json(struct json *j, const struct ledger_story *story);
/* No recipient is queued any more. */
bool story_is_finished(const struct ledger_story *story);

#endif
