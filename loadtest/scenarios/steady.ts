/** A constant stream of reads and overwrites, whatever became of earlier ones: the figures to compare versions by. */
import { failedShare, latency, shown } from '../lib/limits.ts';
import { profile, scenarioOf } from '../k6/config.ts';
import { MixedLoad } from '../k6/mixed-load.ts';
import { afterWarmup, arrivals, prepare, runOptions, summarize, warmup, type Prepared } from '../k6/run.ts';

const { own, keys } = scenarioOf('steady');
const load = new MixedLoad(keys);

export const options = runOptions(
  { ...warmup(own.rate), main: { ...arrivals(own.rate, own.seconds), ...afterWarmup() } },
  shown('scenario:main'),
  failedShare('scenario:main', own.failedShareMax),
  latency('op:get,scenario:main', `p(95)<${own.getP95Max}`, `p(99)<${own.getP99Max}`),
  latency('op:put,scenario:main', `p(95)<${own.putP95Max}`, `p(99)<${own.putP99Max}`),
  { 'dropped_iterations{scenario:main}': [`count<=${own.droppedMax}`] },
);

export const setup = (): Prepared => prepare(keys, profile.keys);

export async function request(): Promise<void> {
  await load.request();
}

export { observe } from '../k6/observer.ts';
export const handleSummary = (data: unknown): Record<string, string> => summarize('steady', data);
