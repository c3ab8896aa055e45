/** Large bodies, put and read back whole by a few users at a time; each compares every byte. k6 holds a body in memory, twice. */
import exec from 'k6/execution';
import { KeyWatch } from '../lib/key-watch.ts';
import { failedShare, shown, shownTrends, type Limits } from '../lib/limits.ts';
import { payload } from '../lib/payload.ts';
import { adminUrls, scenarioOf } from '../k6/config.ts';
import { findings, mibPerSecond } from '../k6/measures.ts';
import { prepare, runOptions, summarize, type Prepared } from '../k6/run.ts';
import { expectedDigest, GatewayStore } from '../k6/store.ts';

const { own, keys } = scenarioOf('large');
/** A server judges a large body by its progress, and so should its sender: this is only the end of patience. */
const TIMEOUT_MS = 600_000;
const store = new GatewayStore(TIMEOUT_MS);
/** Names a user goes round: what it replaces has to be given back by the disks. */
const NAMES_EACH = 2;
const watches = new Map<string, KeyWatch>();
const ofNodes: Limits = adminUrls.length === 0 ? {} : { node_rss_mib: [`max<${own.residentMibMax}`] };

export const options = runOptions(
  { main: { executor: 'constant-vus', vus: own.users, duration: `${own.seconds}s`, exec: 'transfer', gracefulStop: '600s' } },
  shown('scenario:main'),
  failedShare('scenario:main', 0),
  { 'http_req_waiting{scenario:main}': [`p(95)<${own.waitingP95Max}`] },
  shownTrends('mib_per_second{op:put}', 'mib_per_second{op:get}'),
  ofNodes,
);

export const setup = (): Prepared => prepare(keys, 0);

export async function transfer(): Promise<void> {
  const generation = exec.vu.iterationInScenario + 1;
  const key = keys.own(exec.vu.idInTest, generation % NAMES_EACH);
  const watch = watches.get(key) ?? new KeyWatch(key, expectedDigest, { isOwn: true, initial: null });
  watches.set(key, watch);
  const body = payload(key, generation, own.mib * 1024 * 1024);
  await timed('put', async () => {
    const answer = await store.put(key, generation, body);
    watch.wrote(generation, answer);
    return answer.kind === 'acknowledged';
  });
  await timed('get', async () => {
    const answer = await store.get(key);
    findings.verdict(watch.judge(answer));
    return answer.kind === 'found';
  });
}

/** From the time on the wire alone: making a body and hashing it is the client's own business. */
async function timed(operation: string, run: () => Promise<boolean>): Promise<void> {
  if (await run()) mibPerSecond.add((1000 * own.mib) / store.lastMilliseconds, { op: operation });
}

export { observe } from '../k6/observer.ts';
export const handleSummary = (data: unknown): Record<string, string> => summarize('large', data);
