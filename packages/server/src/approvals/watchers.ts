import type { ApprovalId } from "@hoopish/protocol";
import type { WaitResult } from "./port.ts";
import { type ApprovalRequest, type Change, deniedError } from "./request.ts";

/** Who waits for a request's end, and who looks at all of them. */
export class Watchers {
  readonly #waiting = new Map<ApprovalId, Set<() => void>>();
  readonly #listeners = new Set<(change: Change, request: ApprovalRequest) => void>();

  subscribe(listener: (change: Change, request: ApprovalRequest) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(change: Change, request: ApprovalRequest): void {
    for (const listener of this.#listeners) listener(change, request);
  }

  isAwaited({ id }: ApprovalRequest): boolean {
    return (this.#waiting.get(id)?.size ?? 0) > 0;
  }

  settle({ id }: ApprovalRequest): void {
    const waiters = this.#waiting.get(id);
    this.#waiting.delete(id);
    for (const wake of waiters ?? []) wake();
  }

  wait(request: ApprovalRequest, waitMs: number, signal: AbortSignal): Promise<WaitResult> {
    if (request.state.state !== "pending" || waitMs === 0 || signal.aborted) return Promise.resolve(resultOf(request));
    return new Promise((resolve) => {
      const waiters = this.#waiting.get(request.id) ?? new Set();
      this.#waiting.set(request.id, waiters);
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        waiters.delete(done);
        resolve(resultOf(request));
      };
      const timer = setTimeout(done, waitMs);
      signal.addEventListener("abort", done);
      waiters.add(done);
    });
  }
}

function resultOf(request: ApprovalRequest): WaitResult {
  const { state } = request;
  switch (state.state) {
    case "pending":
      return { result: "pending" };
    case "approved":
    case "used":
      return { result: "granted" };
    case "denied": {
      const { code, message } = deniedError(request);
      return { result: "refused", code, message };
    }
    case "expired":
    case "withdrawn":
      return {
        result: "refused",
        code: "approval_expired",
        message: `the request for approval is over: ${state.reason}`,
      };
  }
}
