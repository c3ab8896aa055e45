/**
 * A few keys get most of the requests (Zipf). Writes of one key exclude each other, so this shows what contention costs,
 * against the same load spread evenly in the same run.
 */
import { ZipfRanks } from '../lib/keys.ts';
import { shown, shownOperations } from '../lib/limits.ts';
import { comparison, type Measured } from '../lib/report.ts';
import { profile, scenarioOf } from '../k6/config.ts';
import { MixedLoad } from '../k6/mixed-load.ts';
import { afterWarmup, arrivals, prepare, runOptions, summarize, warmup, type Prepared } from '../k6/run.ts';

const { own, keys } = scenarioOf('hot-keys');
const load = new MixedLoad(keys);
let ranks: ZipfRanks | null = null;
/** Between the two, for queues to drain. */
const PAUSE_SECONDS = 5;

export const options = runOptions(
  {
    ...warmup(own.rate, 'even'),
    uniform: { ...arrivals(own.rate, own.seconds, 'even'), ...afterWarmup() },
    zipf: { ...arrivals(own.rate, own.seconds, 'skewed'), startTime: `${profile.warmupSeconds + own.seconds + PAUSE_SECONDS}s` },
  },
  shown('scenario:uniform'), shown('scenario:zipf'),
  shownOperations('uniform', 'get', 'put'), shownOperations('zipf', 'get', 'put'),
);

export const setup = (): Prepared => prepare(keys, own.keys);

export async function even(): Promise<void> {
  await load.request(load.random.below(own.keys));
}

export async function skewed(): Promise<void> {
  ranks ??= new ZipfRanks(own.keys, own.exponent);
  await load.request(ranks.draw(load.random));
}

export { observe } from '../k6/observer.ts';
export const handleSummary = (data: unknown): Record<string, string> => summarize('hot-keys', data, {
  comparisons: [comparison(data as Measured, { base: 'scenario:uniform', other: 'scenario:zipf', ratio: own.p99RatioMax, floor: own.p99Floor })],
});
