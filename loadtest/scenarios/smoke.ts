/** Whether it works at all: one user puts, gets and deletes twenty objects. */
import exec from 'k6/execution';
import { smokeJourney } from '../lib/journeys.ts';
import { failedShare, latency, shownOperations } from '../lib/limits.ts';
import { profile, scenarioOf } from '../k6/config.ts';
import { findings } from '../k6/measures.ts';
import { prepare, runOptions, summarize, type Prepared } from '../k6/run.ts';
import { expectedDigest, GatewayStore } from '../k6/store.ts';

const { own, keys } = scenarioOf('smoke');
const store = new GatewayStore();

export const options = runOptions(
  { main: { executor: 'shared-iterations', vus: 1, iterations: own.iterations, maxDuration: '120s', exec: 'journey' } },
  failedShare('scenario:main', 0),
  latency('scenario:main', `p(95)<${own.p95Max}`),
  shownOperations('main', 'put', 'get', 'delete'),
);

export const setup = (): Prepared => prepare(keys, 0);

export async function journey(): Promise<void> {
  await smokeJourney(store, findings, expectedDigest, keys.own(1, exec.scenario.iterationInTest), profile.bodyBytes);
}

export { observe } from '../k6/observer.ts';
export const handleSummary = (data: unknown): Record<string, string> => summarize('smoke', data);
