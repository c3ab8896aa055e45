/** The ring grows under a steady load (the starter adds two nodes to its local ring when the baseline was taken). */
import { failedShare, shown, shownOperations } from '../lib/limits.ts';
import { comparison, type Measured } from '../lib/report.ts';
import { profile, scenarioOf } from '../k6/config.ts';
import { MixedLoad } from '../k6/mixed-load.ts';
import { afterWarmup, arrivals, prepare, runOptions, summarize, warmup, type Prepared } from '../k6/run.ts';

const { own, keys } = scenarioOf('scale-out');
const load = new MixedLoad(keys);

export const options = runOptions(
  { ...warmup(own.rate), baseline: { ...arrivals(own.rate, own.baselineSeconds), ...afterWarmup() }, growing: { ...arrivals(own.rate, own.seconds), ...afterWarmup(own.baselineSeconds) } },
  shown('scenario:baseline'), shown('scenario:growing'),
  shownOperations('baseline', 'get', 'put'), shownOperations('growing', 'get', 'put'),
  failedShare('scenario:growing', own.failedShareMax),
);

export const setup = (): Prepared => prepare(keys, profile.keys);

export async function request(): Promise<void> {
  await load.request();
}

export { observe } from '../k6/observer.ts';
export const handleSummary = (data: unknown): Record<string, string> => summarize('scale-out', data, {
  comparisons: [comparison(data as Measured, { base: 'scenario:baseline', other: 'scenario:growing', ratio: own.p99RatioMax, floor: own.p99Floor })],
});
