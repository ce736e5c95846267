import { type HoopishError, isErrorCode } from "@hoopish/protocol";

/** google.rpc.Code, as the HTTP status that says the same (google/rpc/code.proto): records tell all protocols in the same words. */
const HTTP_OF_CODE: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

/** The HTTP status for a grpc-status; undefined: it is none. */
export function httpStatusOf(grpcStatus: string | undefined): number | undefined {
  return grpcStatus !== undefined && /^\d{1,2}$/.test(grpcStatus) ? HTTP_OF_CODE[Number(grpcStatus)] : undefined;
}

/** Seconds after which a client may try a retryable refusal again. */
const RETRY_AFTER_SECONDS = 1;

/**
 * A refusal as trailers: grpc-status, grpc-message, and grpc-status-details-bin with a google.rpc.Status whose details are an
 * ErrorInfo (reason: the code, domain: hoopish) and, where a retry may help, a RetryInfo.
 */
export function refusalTrailers(error: HoopishError): string[] {
  const { grpc, retryable } = error.shape;
  const message = `hoopish: ${error.message}`;
  const info = any(
    "google.rpc.ErrorInfo",
    Buffer.concat([text(1, isErrorCode(error.code) ? error.code : "internal"), text(2, "hoopish")]),
  );
  const retry = retryable ? [any("google.rpc.RetryInfo", field(1, varintField(1, RETRY_AFTER_SECONDS)))] : [];
  const status = Buffer.concat([
    varintField(1, grpc),
    text(2, message),
    ...[info, ...retry].map((one) => field(3, one)),
  ]);
  return [
    ...["grpc-status", String(grpc), "grpc-message", percentEncoded(message)],
    ...["grpc-status-details-bin", status.toString("base64").replace(/=+$/, "")],
  ];
}

/** Percent-encoded UTF-8 (gRPC over HTTP/2, Status-Message). */
const percentEncoded = (message: string): string =>
  [...Buffer.from(message)]
    .map((byte) =>
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
    )
    .join("");

const any = (type: string, value: Buffer): Buffer =>
  Buffer.concat([text(1, `type.googleapis.com/${type}`), field(2, value)]);
const text = (number: number, value: string): Buffer => field(number, Buffer.from(value));
const field = (number: number, value: Buffer): Buffer =>
  Buffer.concat([varint((number << 3) | 2), varint(value.length), value]);
const varintField = (number: number, value: number): Buffer => Buffer.concat([varint(number << 3), varint(value)]);

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
