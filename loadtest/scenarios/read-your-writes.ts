/** Put, get, overwrite, get, delete, get through whichever gateways come next: each read has to show the write before it. */
import exec from 'k6/execution';
import { readYourWritesJourney } from '../lib/journeys.ts';
import { KeyWatch } from '../lib/key-watch.ts';
import { failedShare, shown, shownOperations } from '../lib/limits.ts';
import { profile, scenarioOf } from '../k6/config.ts';
import { findings } from '../k6/measures.ts';
import { prepare, runOptions, summarize, type Prepared } from '../k6/run.ts';
import { expectedDigest, GatewayStore } from '../k6/store.ts';

const { own, keys } = scenarioOf('read-your-writes');
const store = new GatewayStore();
let watch: KeyWatch | null = null;

export const options = runOptions(
  { main: { executor: 'per-vu-iterations', vus: own.users, iterations: own.iterations, maxDuration: '600s', exec: 'journey' } },
  shown('scenario:main'),
  failedShare('scenario:main', 0),
  shownOperations('main', 'put', 'get', 'delete'),
  { read_your_write_ms: [`p(95)<${own.p95Max}`] },
);

export const setup = (): Prepared => prepare(keys, 0);

/** One key each, again and again: what a delete left behind meets the next round. */
export async function journey(): Promise<void> {
  watch ??= new KeyWatch(keys.own(exec.vu.idInTest, 0), expectedDigest, { isOwn: true, initial: 'absent' });
  await readYourWritesJourney(store, findings, watch, exec.vu.iterationInScenario, profile.bodyBytes);
}

export { observe } from '../k6/observer.ts';
export const handleSummary = (data: unknown): Record<string, string> => summarize('read-your-writes', data);
