/** What a verifier says of a bundle. Codes are a closed set: scripts decide by them. */

export type TamperingCode =
  /** Not the gzip and tar that a bundle is; or it ends too early; or something stands behind its end. */
  | "archive_malformed"
  | "archive_truncated"
  | "archive_trailing"
  /** A file that a bundle does not have, or in a place where it does not have it. */
  | "file_unexpected"
  | "file_missing"
  | "file_malformed"
  /** No key that was given has signed. */
  | "signature_missing"
  /** A known key's signature that does not fit. */
  | "signature_wrong"
  /** Signed well, by the right key, for something else. */
  | "origin_differs"
  | "checkpoint_differs"
  | "left_edge_differs"
  | "root_differs"
  | "record_not_canonical"
  | "record_malformed"
  | "records_missing"
  | "records_surplus"
  /** One number of a process's records twice, or out of order. */
  | "source_repeats"
  /** The last record is not this export's own, or says other than the manifest. */
  | "export_differs"
  | "manifest_differs"
  | "payload_mismatch"
  | "payload_unexpected"
  | "pin_differs"
  | "older_than_pin"
  | "anchor_differs"
  | "older_than_anchor";

export type IncompleteCode =
  | "payload_missing"
  /** More payloads are gone than a purge record counts. */
  | "purge_short"
  | "source_gap"
  /** The log itself says that evidence was lost before it got there. */
  | "log_gap";

export type FindingCode = TamperingCode | IncompleteCode;

const INCOMPLETE: readonly FindingCode[] = ["payload_missing", "purge_short", "source_gap", "log_gap"];

/** Evidence was changed; the other findings say that it is authentic, and that something is not there. */
export const isTampering = (code: FindingCode): boolean => !INCOMPLETE.includes(code);

/** Where a finding is: each member where it is known. Texts of the bundle stand here as they are: show them with care. */
export interface Place {
  readonly file?: string;
  /** Index of a record in the log. */
  readonly index?: number;
  /** Records [from, to) of the log, one of which is the first bad one. */
  readonly from?: number;
  readonly to?: number;
  readonly call?: string;
  readonly field?: string;
}

export interface Finding {
  readonly code: FindingCode;
  readonly message: string;
  readonly where: Place;
}

/**
 * Of each payload that a record commits to. PURGED: its key was destroyed, and a record says so. HELD: not disclosed
 * because of a legal hold. WITHHELD: not disclosed because the export's filters leave its call out, or all payloads.
 */
export type PayloadWord = "PRESENT_OK" | "PURGED" | "HELD" | "WITHHELD" | "MISSING" | "MISMATCH";

export type Verdict = "verified" | "tampered" | "incomplete";

/** INTERFACES.md: 0 verified, 1 tampering found, 2 authentic but incomplete. */
export const VERDICT_EXIT: Readonly<Record<Verdict, number>> = { verified: 0, tampered: 1, incomplete: 2 };

/** What this bundle, these keys and this machine cannot show. */
export type UncheckedCode =
  /** No checkpoint known from outside: an older genuine state, or a log rewritten by its own key, looks the same. */
  | "no_outside_checkpoint"
  /** An outside checkpoint from before the range. */
  | "checkpoint_before_range"
  | "timestamp"
  | "anchor"
  /** A hold that is named has no record in this range. */
  | "hold"
  /** Payloads of calls decided before this range: which retention class they are of is not known from here. */
  | "retention_class"
  /** What was delivered before a crash: nothing in the log commits to it, only the exporter's signature. */
  | "interrupted_payloads"
  | "views"
  /** Reading ended before the end of the bundle. */
  | "rest";

export interface Unchecked {
  readonly code: UncheckedCode;
  readonly message: string;
}

export interface CheckedAnchor {
  /** `pin`, or the file in the bundle. */
  readonly source: string;
  readonly size: number;
  /** Names of the witness keys, among those given, that cosigned it. */
  readonly witnesses: readonly string[];
  /** RFC 3339: when a time-stamp authority or the first witness saw it. */
  readonly time?: string;
}

export interface CheckedPurge {
  /** Of the record retention.purged. */
  readonly index: number;
  readonly class: string;
  readonly from: string;
  readonly to: string;
  /** Payloads that the record counts. */
  readonly count: number;
  /** Payloads of this bundle's records that are PURGED by it. */
  readonly here: number;
}

export interface Report {
  readonly verdict: Verdict;
  readonly origin: string | undefined;
  /** Indexes [start, end) of the log; times as the export named them, and of the first and last record. */
  readonly range: {
    readonly start: number | undefined;
    readonly end: number | undefined;
    readonly since: string | undefined;
    readonly until: string | undefined;
    readonly first: string | undefined;
    readonly last: string | undefined;
  };
  readonly requester: { readonly iss: string; readonly sub: string; readonly name: string } | undefined;
  readonly filters: Readonly<Record<string, string>> | undefined;
  readonly counts: {
    readonly records: number;
    readonly payloads: Readonly<Record<PayloadWord, number>>;
    /** Payloads of calls that a crash cut: no record commits to them. */
    readonly uncommitted: number;
  };
  /** In the order of reading; at most {@link MAX_FINDINGS}. */
  readonly findings: readonly Finding[];
  /** Findings beyond those. */
  readonly omitted: number;
  /** Verifier keys, of those given, whose signatures were found and fit. */
  readonly keys: readonly string[];
  /** Purge records in the range, with how many of the payloads that are not here each one accounts for. */
  readonly purges: readonly CheckedPurge[];
  readonly anchors: readonly CheckedAnchor[];
  readonly unchecked: readonly Unchecked[];
}

/** A report stays readable, and its memory bounded, whatever the bundle is. */
export const MAX_FINDINGS = 200;
