/**
 * Where the knee is: the rate rises step by step until requests fail or become slow. Nothing passes or fails by speed; the
 * report names the highest step that was answered in full and in time. The first part of a step, in which queues of the step
 * before may still drain, isn't counted.
 */
import exec from 'k6/execution';
import { shown, type Limit, type Limits } from '../lib/limits.ts';
import { rampSteps, type Measured } from '../lib/report.ts';
import { profile, scenarioOf } from '../k6/config.ts';
import { MixedLoad } from '../k6/mixed-load.ts';
import { afterWarmup, prepare, runOptions, summarize, warmup, type Prepared } from '../k6/run.ts';

const { own, keys } = scenarioOf('ramp');
const load = new MixedLoad(keys);
const SETTLING_SHARE = 0.2;
const STOP_AFTER = '10s';
const tag = (rate: number): string => String(rate).padStart(6, '0');

const stops: Limits = Object.fromEntries<(string | Limit)[]>(own.rates.flatMap((rate): [string, (string | Limit)[]][] => [
  [`http_req_failed{step:${tag(rate)}}`, [{ threshold: `rate<=${own.failedShareMax}`, abortOnFail: true, delayAbortEval: STOP_AFTER }]],
  [`http_req_duration{step:${tag(rate)}}`, [{ threshold: `p(99)<=${own.p99Max}`, abortOnFail: true, delayAbortEval: STOP_AFTER }]],
  [`http_reqs{step:${tag(rate)}}`, ['count>=0']],
]));

export const options = runOptions(
  {
    ...warmup(own.rates[0] ?? 1),
    main: {
      executor: 'ramping-arrival-rate', startRate: own.rates[0] ?? 1, timeUnit: '1s', preAllocatedVUs: profile.users, maxVUs: profile.usersMax, exec: 'stepRequest', gracefulStop: '5s',
      stages: own.rates.flatMap((rate) => [{ target: rate, duration: '0s' }, { target: rate, duration: `${own.stepSeconds}s` }]),
      ...afterWarmup(),
    },
  },
  shown('scenario:main'),
  stops,
);

export const setup = (): Prepared => prepare(keys, profile.keys);

export async function request(): Promise<void> {
  await load.request();
}

export async function stepRequest(): Promise<void> {
  const seconds = (Date.now() - exec.scenario.startTime) / 1000;
  const rate = own.rates[Math.min(own.rates.length - 1, Math.floor(seconds / own.stepSeconds))] ?? 0;
  const isSettling = seconds % own.stepSeconds < SETTLING_SHARE * own.stepSeconds;
  exec.vu.metrics.tags['step'] = isSettling ? 'settling' : tag(rate);
  await load.request();
}

export { observe } from '../k6/observer.ts';
export const handleSummary = (data: unknown): Record<string, string> => summarize('ramp', data, {
  isStop: (metric) => metric.includes('{step:'),
  steps: rampSteps(data as Measured, { rates: own.rates, tag, seconds: (1 - SETTLING_SHARE) * own.stepSeconds, p99Max: own.p99Max, failedShareMax: own.failedShareMax }),
});
