/**
 * A profile says how much load each scenario makes and how fast the answers have to be. Nothing about speed stands in the
 * scenarios: on a machine that others use too the limits are loose, and the limits on correctness are the same everywhere
 * (see limits.ts).
 *
 * Times in milliseconds unless the name says otherwise, shares from 0 to 1.
 */
export const SCENARIOS = [
  'smoke', 'steady', 'ramp', 'spike', 'soak', 'large', 'mixed-sizes', 'hot-keys', 'read-your-writes', 'list-head-conditional', 'during-chaos', 'scale-out', 'verify',
] as const;
export type ScenarioName = (typeof SCENARIOS)[number];

/** Requests a second that arrive whether or not earlier ones were answered. */
export interface Arrivals {
  readonly rate: number;
  readonly seconds: number;
}

export interface OperationLimits {
  readonly failedShareMax: number;
  readonly getP95Max: number;
  readonly getP99Max: number;
  readonly putP95Max: number;
  readonly putP99Max: number;
}

export interface ScenarioProfiles {
  readonly smoke: { readonly iterations: number; readonly p95Max: number };
  readonly steady: Arrivals & OperationLimits & { readonly droppedMax: number };
  readonly ramp: { readonly rates: readonly number[]; readonly stepSeconds: number; readonly failedShareMax: number; readonly p99Max: number };
  readonly spike: { readonly rate: number; readonly peakRate: number; readonly calmSeconds: number; readonly peakSeconds: number; readonly recoverySeconds: number; readonly p95AfterMax: number };
  readonly soak: Arrivals & { readonly failedShareMax: number; readonly residentMibMax: number; readonly residentMibPerHourMax: number; readonly eventLoopP99Max: number };
  readonly large: { readonly users: number; readonly mib: number; readonly seconds: number; readonly waitingP95Max: number; readonly residentMibMax: number };
  readonly 'mixed-sizes': { readonly users: number; readonly seconds: number; readonly failedShareMax: number; readonly p95Max: Readonly<Record<string, number>> };
  readonly 'hot-keys': Arrivals & { readonly keys: number; readonly exponent: number; readonly p99RatioMax: number; readonly p99Floor: number };
  readonly 'read-your-writes': { readonly users: number; readonly iterations: number; readonly p95Max: number };
  readonly 'list-head-conditional': { readonly users: number; readonly seconds: number };
  readonly 'during-chaos': Arrivals & { readonly unavailableShareMax: number; readonly refusedMax: number };
  readonly 'scale-out': Arrivals & { readonly baselineSeconds: number; readonly failedShareMax: number; readonly p99RatioMax: number; readonly p99Floor: number };
  readonly verify: { readonly users: number; readonly secondsMax: number };
}

export interface Profile {
  /** Objects that exist before the load begins. */
  readonly keys: number;
  readonly bodyBytes: number;
  /** Of the requests of a mixed load, how many are reads. */
  readonly getShare: number;
  readonly warmupSeconds: number;
  readonly timeout: number;
  /** Virtual users of open loads: made before the load begins, and at most. One carries one request at a time. */
  readonly users: number;
  readonly usersMax: number;
  readonly scenarios: ScenarioProfiles;
}

export interface Overrides {
  readonly rate: number | null;
  readonly seconds: number | null;
}

/** With DURATION and RATE in place of the profile's where a scenario has them. */
export function scenarioProfile<N extends ScenarioName>(profile: Profile, name: N, overrides: Overrides): ScenarioProfiles[N] {
  const own = profile.scenarios[name];
  return {
    ...own,
    ...(overrides.rate !== null && 'rate' in own && { rate: overrides.rate }),
    ...(overrides.seconds !== null && 'seconds' in own && { seconds: overrides.seconds }),
  };
}
