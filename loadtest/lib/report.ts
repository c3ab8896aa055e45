/**
 * The report of a run: what k6 measured, reduced to what one compares, with the circumstances beside it. A run passes when
 * every limit holds and every comparison inside the run does.
 */
import { isShownOnly } from './limits.ts';

/** What k6 hands to handleSummary, as far as it is used. */
export interface Measured {
  readonly metrics: Readonly<Record<string, MeasuredMetric>>;
  readonly state: { readonly testRunDurationMs: number };
  readonly setup_data?: unknown;
}

export interface MeasuredMetric {
  readonly type: string;
  readonly contains: string;
  readonly values: Readonly<Record<string, number>>;
  readonly thresholds?: Readonly<Record<string, { readonly ok: boolean }>>;
}

/** Two runs compare only where these are alike. null: not known from where the load is made. */
export interface Environment {
  readonly target: string;
  readonly version: string | null;
  readonly nodeVersion: string | null;
  readonly replicas: number | null;
  readonly replicationFactor: number | null;
  readonly chartVersion: string | null;
  readonly machine: string | null;
}

export interface Check {
  readonly what: string;
  readonly isKept: boolean;
}

/** A step of a rising load. */
export interface Step {
  readonly rate: number;
  readonly reached: number;
  readonly p99: number;
  readonly failedShare: number;
  readonly isPassed: boolean;
}

export interface Report {
  readonly scenario: string;
  readonly profile: string;
  readonly seed: number;
  readonly beganAt: string;
  readonly seconds: number;
  readonly environment: Environment;
  readonly isPassed: boolean;
  readonly limits: readonly Check[];
  readonly notes: readonly string[];
  readonly steps: readonly Step[];
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export interface ReportOptions {
  readonly scenario: string;
  readonly profile: string;
  readonly seed: number;
  readonly beganAt: string;
  readonly environment: Environment;
  /** Of metrics that stop a run and judge nothing: `ramp` is meant to reach them. */
  readonly isStop?: (metric: string) => boolean;
  readonly comparisons?: readonly Check[];
  readonly notes?: readonly string[];
  readonly steps?: readonly Step[];
}

export function makeReport(measured: Measured, options: ReportOptions): Report {
  const limits: Check[] = [];
  for (const [metric, { thresholds }] of Object.entries(measured.metrics)) {
    if (options.isStop?.(metric) === true) continue;
    for (const [expression, { ok }] of Object.entries(thresholds ?? {})) if (!isShownOnly(expression)) limits.push({ what: `${metric} ${expression}`, isKept: ok });
  }
  limits.push(...(options.comparisons ?? []));
  const { scenario, profile, seed, beganAt, environment, notes = [], steps = [] } = options;
  return {
    scenario, profile, seed, beganAt, environment, notes, steps,
    seconds: measured.state.testRunDurationMs / 1000,
    isPassed: limits.every(({ isKept }) => isKept),
    limits: limits.sort((a, b) => (a.what < b.what ? -1 : 1)),
    metrics: Object.fromEntries(Object.entries(measured.metrics).map(([name, { values }]) => [name, values])),
  };
}

/** A value of a metric; null when nothing was measured under that name. */
export function valueOf(measured: Measured, metric: string, value: string): number | null {
  return measured.metrics[metric]?.values[value] ?? null;
}

/** Whether `metric` of the second tags is at most `ratio` times that of the first; below `floor` ratios mean nothing. */
export function comparison(measured: Measured, options: { readonly base: string; readonly other: string; readonly ratio: number; readonly floor: number }): Check {
  const p99 = (tags: string): number => valueOf(measured, `http_req_duration{${tags}}`, 'p(99)') ?? NaN;
  const base = p99(options.base);
  const other = p99(options.other);
  const limit = Math.max(options.ratio * base, options.floor);
  return { what: `p99 of ${options.other} (${other.toFixed(1)} ms) at most ${options.ratio} times that of ${options.base} (${base.toFixed(1)} ms), or ${options.floor} ms`, isKept: other <= limit };
}

/** The part of the arrivals that has to be answered for a step to count: less, and a queue grew. */
const REACHED_SHARE_MIN = 0.95;

/** The steps of a rising load that took place, first to last. */
export function rampSteps(measured: Measured, options: { readonly rates: readonly number[]; readonly tag: (rate: number) => string; readonly seconds: number; readonly p99Max: number; readonly failedShareMax: number }): readonly Step[] {
  const steps: Step[] = [];
  for (const rate of options.rates) {
    const tags = `step:${options.tag(rate)}`;
    const reached = (valueOf(measured, `http_reqs{${tags}}`, 'count') ?? 0) / options.seconds;
    if (reached === 0) break;
    const p99 = valueOf(measured, `http_req_duration{${tags}}`, 'p(99)') ?? NaN;
    const failedShare = valueOf(measured, `http_req_failed{${tags}}`, 'rate') ?? NaN;
    steps.push({ rate, reached, p99, failedShare, isPassed: reached >= REACHED_SHARE_MIN * rate && p99 <= options.p99Max && failedShare <= options.failedShareMax });
  }
  return steps;
}

/** The last step before the first that failed. */
export function knee(steps: readonly Step[]): Step | null {
  const failed = steps.findIndex(({ isPassed }) => !isPassed);
  return (failed === -1 ? steps.at(-1) : steps[failed - 1]) ?? null;
}
