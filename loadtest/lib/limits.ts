/**
 * What a run has to keep, in the words of k6 (expressions by metric).
 *
 * The limits on correctness are the same in every profile and count from the first request to the last, warm-up included.
 * Those on speed come from the profile and look at the measured part alone (tag `scenario`).
 */
export interface Limit {
  readonly threshold: string;
  readonly abortOnFail: boolean;
  readonly delayAbortEval: string;
}
export type Limits = Readonly<Record<string, (string | Limit)[]>>;

export const CORRECTNESS: Limits = {
  lost_objects: ['count==0'],
  corrupt_objects: ['count==0'],
  stale_reads: ['count==0'],
};

/** k6 makes the numbers of a tag only when a limit asks for them; this one always holds. */
const SHOWN_TREND = 'max>=0';
const SHOWN_COUNTER = 'count>=0';
const SHOWN_RATE = 'rate>=0';

export function isShownOnly(expression: string): boolean {
  return expression === SHOWN_TREND || expression === SHOWN_COUNTER || expression === SHOWN_RATE;
}

export function failedShare(tags: string, share: number): Limits {
  return { [`http_req_failed{${tags}}`]: [share === 0 ? 'rate==0' : `rate<=${share}`] };
}

export function latency(tags: string, ...expressions: readonly string[]): Limits {
  return { [`http_req_duration{${tags}}`]: [...expressions] };
}

/** Only to have requests, failures and latency of these tags in the report. */
export function shown(tags: string): Limits {
  return { [`http_reqs{${tags}}`]: [SHOWN_COUNTER], [`http_req_failed{${tags}}`]: [SHOWN_RATE], [`http_req_duration{${tags}}`]: [SHOWN_TREND] };
}

export function shownTrends(...metrics: readonly string[]): Limits {
  return Object.fromEntries(metrics.map((metric) => [metric, [SHOWN_TREND]]));
}

export function shownOperations(scenario: string, ...operations: readonly string[]): Limits {
  return shownTrends(...operations.map((operation) => `http_req_duration{op:${operation},scenario:${scenario}}`));
}

/** Every expression of every part; correctness goes without saying. */
export function allLimits(...parts: readonly Limits[]): Record<string, (string | Limit)[]> {
  const all: Record<string, (string | Limit)[]> = { checks: ['rate>0.999'] };
  for (const part of [CORRECTNESS, ...parts]) {
    for (const [metric, expressions] of Object.entries(part)) all[metric] = [...(all[metric] ?? []), ...expressions];
  }
  return all;
}
