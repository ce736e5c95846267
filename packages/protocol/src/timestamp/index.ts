export { readAuthorities } from "./authorities.ts";
export { encodeTimestampRequest, TIMESTAMP_QUERY_TYPE, TIMESTAMP_REPLY_TYPE } from "./request.ts";
export { MAX_TIMESTAMP_BYTES } from "./response.ts";
export { TimestampError, type TimestampFault } from "./timestamp-error.ts";
export { describeTimestamp, type Timestamp, type TimestampExpectation, verifyTimestamp } from "./verify-timestamp.ts";
