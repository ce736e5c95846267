/** What an analyzer has found: indexes into the text in UTF-16 units. */
export interface AnalyzerFinding {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Finds in texts what needs a model, names above all. Port: adapters/analyzer.
 * @throws HoopishError response_uninspectable when it does not answer in time, or not as it should
 */
export type Analyze = (text: string) => Promise<readonly AnalyzerFinding[]>;

export interface AnalyzerConfig {
  /** Of Presidio's analyzer; `/analyze` is asked. */
  readonly url: string;
  readonly entities: readonly string[];
  readonly minScore: number;
  readonly language: string;
  readonly deadlineMs: number;
}
