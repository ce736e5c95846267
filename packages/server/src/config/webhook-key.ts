/**
 * The secret of a webhook as Standard Webhooks writes it: `whsec_` and base64 of 24 to 64 bytes.
 * @returns undefined for anything else
 */
export function webhookKey(secret: string): Buffer | undefined {
  const text = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1];
  if (text === undefined) return undefined;
  const key = Buffer.from(text, "base64");
  return key.length >= 24 && key.length <= 64 && key.toString("base64") === text ? key : undefined;
}
