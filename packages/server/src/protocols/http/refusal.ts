import { type Api, ERROR_SHAPES, type HoopishError } from "@hoopish/protocol";

/** A refusal in the shape that this API's clients understand. */
export function refusalBody(api: Api, error: HoopishError): { readonly type: string; readonly body: Buffer } {
  const { http } = ERROR_SHAPES[error.code];
  const message = `hoopish: ${error.message}`;
  switch (api) {
    case "openai":
      return json({ error: { message, type: openaiType(http), param: null, code: error.code } });
    case "oip":
    case "triton":
    case "tfserving":
    case "ollama":
      return json({ error: message });
    case "mlflow":
    case "generic":
      // RFC 9457; `code` is an extension member (§3.2).
      return {
        type: "application/problem+json",
        body: Buffer.from(
          JSON.stringify({ type: "about:blank", title: error.code, status: http, detail: message, code: error.code }),
        ),
      };
  }
}

const json = (value: object): { type: string; body: Buffer } => ({
  type: "application/json",
  body: Buffer.from(JSON.stringify(value)),
});

function openaiType(http: number): string {
  if (http === 401) return "authentication_error";
  if (http === 403) return "permission_error";
  if (http === 429) return "rate_limit_error";
  return http < 500 ? "invalid_request_error" : "server_error";
}
