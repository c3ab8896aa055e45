/**
 * Afterwards: every write that was acknowledged in an earlier run is read again. It has to be there, in that version or a
 * newer one, byte for byte. KEYS_FILE is a JSON array of [key, generation, version], the newest acknowledged of each key.
 */
import { sleep } from 'k6';
import { SharedArray } from 'k6/data';
import exec from 'k6/execution';
import { KeyWatch, type Verdict } from '../lib/key-watch.ts';
import { shown } from '../lib/limits.ts';
import type { Acknowledged } from '../lib/log-lines.ts';
import { scenarioOf } from '../k6/config.ts';
import { findings, unreadObjects } from '../k6/measures.ts';
import { prepare, runOptions, summarize, type Prepared } from '../k6/run.ts';
import { expectedDigest, GatewayStore } from '../k6/store.ts';

const { own, keys } = scenarioOf('verify');
const file = __ENV['KEYS_FILE'] ?? '';
const acknowledged = new SharedArray('acknowledged', () => (file === '' ? [] : (JSON.parse(open(file)) as Acknowledged[])));
const store = new GatewayStore();
const ATTEMPTS_MAX = 30;

export const options = runOptions(
  { main: { executor: 'shared-iterations', vus: Math.max(1, Math.min(own.users, acknowledged.length)), iterations: Math.max(1, acknowledged.length), maxDuration: `${own.secondsMax}s`, exec: 'verify' } },
  shown('scenario:main'),
  { unread_objects: ['count==0'], 'iterations{scenario:main}': [`count==${acknowledged.length}`] },
);

export function setup(): Prepared {
  if (acknowledged.length === 0) throw new Error('KEYS_FILE names no acknowledged writes');
  return prepare(keys, 0);
}

export async function verify(): Promise<void> {
  const entry = acknowledged[exec.scenario.iterationInTest];
  if (entry === undefined) return;
  const [key, generation, version] = entry;
  const watch = new KeyWatch(key, expectedDigest, { isOwn: false, initial: generation });
  watch.expectAtLeast(version);
  let verdict: Verdict = { kind: 'unavailable', detail: '' };
  for (let attempt = 0; attempt < ATTEMPTS_MAX && verdict.kind === 'unavailable'; attempt++) {
    if (attempt > 0) sleep(1);
    verdict = watch.judge(await store.get(key));
  }
  // What can't be read isn't lost, but nothing is proved either.
  unreadObjects.add(verdict.kind === 'unavailable' ? 1 : 0);
  findings.verdict(verdict);
}

export { observe } from '../k6/observer.ts';
export const handleSummary = (data: unknown): Record<string, string> => summarize('verify', data, { notes: [`${acknowledged.length} acknowledged objects`] });
