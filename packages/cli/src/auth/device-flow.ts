import { HoopishError } from "@hoopish/protocol";
import * as oidc from "openid-client";
import { type Issuer, issuerError } from "./issuer.ts";

/** What a person needs to finish the sign-in in a browser on any machine (RFC 8628 §3.2). */
export interface DeviceCode {
  readonly verification_uri: string;
  readonly verification_uri_complete?: string;
  readonly user_code: string;
  readonly expires_in: number;
}

/**
 * Device authorization grant, RFC 8628. openid-client polls at the issuer's interval, slower after each `slow_down`, and
 * gives up when the code has expired.
 * @param show prints the code; called once, before the first poll
 * @throws HoopishError unauthenticated (denied, expired), unreachable
 */
export async function signInWithDevice(
  issuer: Issuer,
  scopes: readonly string[],
  show: (code: DeviceCode) => void,
  signal: AbortSignal,
): Promise<oidc.TokenEndpointResponse> {
  const name = issuer.serverMetadata().issuer;
  if (issuer.serverMetadata().device_authorization_endpoint === undefined) {
    throw new HoopishError("configuration", `${name} has no device authorization endpoint`, {
      hint: "hoopish login --browser, if the bank allows it",
    });
  }
  try {
    const started = await oidc.initiateDeviceAuthorization(issuer, { scope: scopes.join(" ") });
    const { verification_uri, verification_uri_complete, user_code, expires_in } = started;
    const expired = AbortSignal.timeout(expires_in * 1000);
    show({ verification_uri, ...(verification_uri_complete && { verification_uri_complete }), user_code, expires_in });
    try {
      const ended = AbortSignal.any([signal, expired]);
      const tokens = oidc.pollDeviceAuthorizationGrant(issuer, started, undefined, { signal: ended });
      // The library looks at its signal between polls only, which is up to five seconds later.
      return await Promise.race([tokens, rejectedBy(ended)]);
    } catch (error) {
      if (expired.aborted && !signal.aborted) throw codeExpired();
      throw error;
    }
  } catch (error) {
    if (signal.aborted) throw error;
    const known = issuerError(error, name);
    throw known.message.startsWith("the code has expired") ? codeExpired() : known;
  }
}

function rejectedBy(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
}

function codeExpired(): HoopishError {
  return new HoopishError("unauthenticated", "the code expired before anybody entered it", {
    hint: "hoopish login, and enter the new code in time",
  });
}
