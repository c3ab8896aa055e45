/**
 * What every scenario has in common: options, the preconditions and the objects that exist before the load begins
 * (`setup`), and the report at the end (`handleSummary`).
 */
import { sleep } from 'k6';
import http from 'k6/http';
import type { Options, Scenario } from 'k6/options';
import { GENERATION_HEADER } from '../lib/answers.ts';
import type { KeySpace } from '../lib/keys.ts';
import { allLimits, type Limits } from '../lib/limits.ts';
import { payload } from '../lib/payload.ts';
import { PREPARED_LINE } from '../lib/log-lines.ts';
import type { ScenarioName } from '../lib/profile.ts';
import { makeReport, type Environment, type Measured, type ReportOptions } from '../lib/report.ts';
import { reportText } from '../lib/report-text.ts';
import { adminUrls, baseUrls, isAckedLogged, profile, profileName, seed, summaryFile, token, toldEnvironment } from './config.ts';
import { httpAnswer, logAcked } from './store.ts';

const READY_SECONDS_MAX = 60;
const SEEDED_AT_ONCE = 20;
const SEEDING_ATTEMPTS_MAX = 50;

/** What setup hands to the virtual users and to the report. */
export interface Prepared {
  readonly beganAt: string;
  readonly environment: Environment;
}

export function runOptions(scenarios: Record<string, Scenario>, ...limits: readonly Limits[]): Options {
  return {
    scenarios: adminUrls.length === 0 ? scenarios : { ...scenarios, observe: { executor: 'constant-vus', vus: 1, duration: `${lastSecond(scenarios)}s`, exec: 'observe', gracefulStop: '5s' } },
    thresholds: allLimits(...limits),
    summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max', 'count'],
    setupTimeout: '300s',
    userAgent: 'dht-loadtest',
  };
}

/** Seconds of measured load behind which nothing of the warm-up is left. */
export function afterWarmup(seconds = 0): { readonly startTime: string } {
  return { startTime: `${profile.warmupSeconds + seconds}s` };
}

/** Requests that arrive at a rate, whatever became of earlier ones. */
export function arrivals(rate: number, seconds: number, execName = 'request'): Scenario {
  return { executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${seconds}s`, preAllocatedVUs: profile.users, maxVUs: profile.usersMax, exec: execName, gracefulStop: '30s' };
}

/** Connections, caches and just-in-time compilation: what a fresh ring does first says nothing about it. */
export function warmup(rate: number, execName = 'request'): Record<string, Scenario> {
  return { warmup: { ...arrivals(rate, profile.warmupSeconds, execName), gracefulStop: '0s' } };
}

/** Waits for each gateway, stores `keys.shared(0..count - 1)` as generation 0, and says what it found. */
export function prepare(keys: KeySpace, count: number, size: number = profile.bodyBytes): Prepared {
  const versions = baseUrls.map(untilReady);
  const replicationFactor = probe(`${keys.prefix}probe`);
  for (let first = 0; first < count; first += SEEDED_AT_ONCE) {
    seedKeys(Array.from({ length: Math.min(SEEDED_AT_ONCE, count - first) }, (_, i) => keys.shared(first + i)), size);
  }
  const told = toldEnvironment();
  if (isAckedLogged) console.log(PREPARED_LINE);
  const environment: Environment = { target: baseUrls.join(', '), version: [...new Set(versions)].join(' and '), nodeVersion: null, replicas: null, chartVersion: null, machine: null, replicationFactor, ...told };
  return { beganAt: new Date().toISOString(), environment };
}

export function summarize(name: ScenarioName, data: unknown, more: Partial<ReportOptions> = {}): Record<string, string> {
  const measured = data as Measured;
  const prepared = measured.setup_data as Prepared | undefined;
  if (prepared === undefined) return { stdout: `\n${name}: not prepared, see above\n` };
  const report = makeReport(measured, { scenario: name, profile: profileName, seed, ...prepared, ...more });
  return { stdout: reportText(report), ...(summaryFile !== '' && { [summaryFile]: `${JSON.stringify(report, null, 2)}\n` }) };
}

function headers(more: Record<string, string> = {}): Record<string, string> {
  return token === '' ? more : { ...more, authorization: `Bearer ${token}` };
}

const TAGS = { op: 'prepare', name: 'prepare' };

/** The version of the program there. */
function untilReady(url: string): string {
  for (let second = 0; second < READY_SECONDS_MAX; second++) {
    const description = http.get(`${url}/v1/openapi.json`, { headers: headers(), timeout: '5s', tags: TAGS });
    const listing = http.get(`${url}/v1/objects?limit=1`, { headers: headers(), timeout: '5s', tags: TAGS });
    if (listing.status === 401) throw new Error(`${url} wants a token: set TOKEN`);
    if (description.status === 200 && listing.status === 200) return description.json('info.version') as string;
    sleep(1);
  }
  throw new Error(`${url} did not become ready in ${READY_SECONDS_MAX} s`);
}

/** Copies that the ring keeps of an object. */
function probe(name: string): number | null {
  const response = http.put(`${baseUrls[0] ?? ''}/v1/objects/${name}`, payload(name, 0, 16), { headers: headers({ [GENERATION_HEADER]: '0' }), timeout: '10s', tags: TAGS });
  return response.status === 200 || response.status === 201 ? Number(response.json('replicationFactor')) : null;
}

function seedKeys(names: readonly string[], size: number): void {
  let left = names;
  for (let attempt = 1; left.length > 0; attempt++) {
    if (attempt > SEEDING_ATTEMPTS_MAX) throw new Error(`${left[0] ?? ''} and ${left.length - 1} others could not be stored before the load`);
    if (attempt > 1) sleep(0.2);
    const responses = http.batch(left.map((name, i) => ['PUT', `${baseUrls[i % baseUrls.length] ?? ''}/v1/objects/${name}`, payload(name, 0, size), { headers: headers({ [GENERATION_HEADER]: '0' }), timeout: '10s', tags: TAGS }] as const));
    left = left.filter((name, i) => {
      const response = responses[i];
      if (response === undefined || (response.status !== 200 && response.status !== 201)) return true;
      logAcked(name, 0, httpAnswer(response).header('x-dht-version'));
      return false;
    });
  }
}

/** When the last scenario ends: their lengths are known but for those that end by themselves. */
function lastSecond(scenarios: Record<string, Scenario>): number {
  let last = 1;
  for (const scenario of Object.values(scenarios)) {
    const start = seconds(scenario.startTime);
    if ('duration' in scenario) last = Math.max(last, start + seconds(scenario.duration));
    if ('stages' in scenario) last = Math.max(last, start + scenario.stages.reduce((sum, { duration }) => sum + seconds(duration), 0));
  }
  return last;
}

function seconds(duration: string | undefined): number {
  return Number((duration ?? '0s').replace(/s$/, ''));
}
