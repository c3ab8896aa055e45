/**
 * Far more than it can take, for half a minute. Requests that fail have to be told when to come again (429 or 503 with
 * Retry-After), and soon after the spike everything has to be as before.
 */
import exec from 'k6/execution';
import { latency, shown, shownTrends } from '../lib/limits.ts';
import { profile, scenarioOf } from '../k6/config.ts';
import { MixedLoad } from '../k6/mixed-load.ts';
import { afterWarmup, prepare, runOptions, summarize, warmup, type Prepared } from '../k6/run.ts';

const { own, keys } = scenarioOf('spike');
const load = new MixedLoad(keys);
const SLOPE_SECONDS = 2;
const PEAK_ENDS = own.calmSeconds + own.peakSeconds + 2 * SLOPE_SECONDS;

export const options = runOptions(
  {
    ...warmup(own.rate),
    main: {
      executor: 'ramping-arrival-rate', startRate: own.rate, timeUnit: '1s', preAllocatedVUs: profile.users, maxVUs: profile.usersMax, exec: 'phasedRequest', gracefulStop: '30s',
      stages: [
        { target: own.rate, duration: `${own.calmSeconds}s` }, { target: own.peakRate, duration: `${SLOPE_SECONDS}s` }, { target: own.peakRate, duration: `${own.peakSeconds}s` },
        { target: own.rate, duration: `${SLOPE_SECONDS}s` }, { target: own.rate, duration: `${own.recoverySeconds + own.calmSeconds}s` },
      ],
      ...afterWarmup(),
    },
  },
  shown('scenario:main'),
  shown('part:before'), shown('part:spike'), shown('part:after'),
  shownTrends('http_req_duration{part:recovery}'),
  { failures_without_retry_after: ['count==0'] },
  latency('part:after', `p(95)<${own.p95AfterMax}`),
);

export const setup = (): Prepared => prepare(keys, profile.keys);

export async function request(): Promise<void> {
  await load.request();
}

export async function phasedRequest(): Promise<void> {
  const seconds = (Date.now() - exec.scenario.startTime) / 1000;
  exec.vu.metrics.tags['part'] = seconds < own.calmSeconds ? 'before' : seconds < PEAK_ENDS ? 'spike' : seconds < PEAK_ENDS + own.recoverySeconds ? 'recovery' : 'after';
  await load.request();
}

export { observe } from '../k6/observer.ts';
export const handleSummary = (data: unknown): Record<string, string> => summarize('spike', data);
