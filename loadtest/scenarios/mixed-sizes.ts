/** Bodies from 1 KiB to 8 MiB, most of them small, as files are: each class of sizes has its own limit. */
import exec from 'k6/execution';
import { logNormalSize, SeededRandom, SIZE_CLASSES, sizeClass } from '../lib/keys.ts';
import { KeyWatch } from '../lib/key-watch.ts';
import { failedShare, latency, shown } from '../lib/limits.ts';
import { payload } from '../lib/payload.ts';
import { profile, scenarioOf, seed } from '../k6/config.ts';
import { findings } from '../k6/measures.ts';
import { afterWarmup, prepare, runOptions, summarize, type Prepared } from '../k6/run.ts';
import { expectedDigest, GatewayStore } from '../k6/store.ts';

const { own, keys } = scenarioOf('mixed-sizes');
const store = new GatewayStore();
const NAMES_EACH = 20;
const watches = new Map<string, KeyWatch>();
let random: SeededRandom | null = null;

export const options = runOptions(
  {
    warmup: { executor: 'constant-vus', vus: 1, duration: `${profile.warmupSeconds}s`, exec: 'journey', gracefulStop: '0s' },
    main: {
      executor: 'ramping-vus', startVUs: 1, exec: 'journey', gracefulStop: '30s', gracefulRampDown: '30s', ...afterWarmup(),
      stages: [{ target: own.users, duration: `${Math.ceil(own.seconds / 4)}s` }, { target: own.users, duration: `${own.seconds - Math.ceil(own.seconds / 4)}s` }],
    },
  },
  shown('scenario:main'),
  failedShare('scenario:main', own.failedShareMax),
  ...SIZE_CLASSES.map((size) => latency(`scenario:main,size:${size}`, `p(95)<${own.p95Max[size] ?? Infinity}`)),
);

export const setup = (): Prepared => prepare(keys, 0);

export async function journey(): Promise<void> {
  random ??= new SeededRandom(seed * 1_000_003 + exec.vu.idInTest);
  const size = logNormalSize(random);
  const generation = exec.vu.iterationInInstance + 1;
  const key = keys.own(exec.vu.idInTest, random.below(NAMES_EACH));
  const watch = watches.get(key) ?? new KeyWatch(key, expectedDigest, { isOwn: true, initial: null });
  watches.set(key, watch);
  exec.vu.metrics.tags['size'] = sizeClass(size);
  watch.wrote(generation, await store.put(key, generation, payload(key, generation, size)));
  findings.verdict(watch.judge(await store.get(key)));
}

export { observe } from '../k6/observer.ts';
export const handleSummary = (data: unknown): Record<string, string> => summarize('mixed-sizes', data);
