/**
 * A steady load beside faults that something else makes (the starter kills a node of its local ring; the chaos scenarios do
 * more). Clients go on trying: how long they were refused is the longest gap; the first attempts tell how many requests a
 * client that doesn't would have lost.
 */
import { shown, shownOperations, shownTrends } from '../lib/limits.ts';
import { profile, scenarioOf } from '../k6/config.ts';
import { MixedLoad } from '../k6/mixed-load.ts';
import { afterWarmup, arrivals, prepare, runOptions, summarize, warmup, type Prepared } from '../k6/run.ts';

const { own, keys } = scenarioOf('during-chaos');
const load = new MixedLoad(keys);

export const options = runOptions(
  { ...warmup(own.rate), main: { ...arrivals(own.rate, own.seconds), ...afterWarmup() } },
  shown('scenario:main'),
  shownOperations('main', 'get', 'put'),
  shownTrends('http_req_waiting{scenario:main}'),
  { 'unavailable{scenario:main}': [`rate<${own.unavailableShareMax}`], refused_ms: [`max<=${own.refusedMax}`] },
);

export const setup = (): Prepared => prepare(keys, profile.keys);

export async function request(): Promise<void> {
  await load.persistentRequest();
}

export { observe } from '../k6/observer.ts';
export const handleSummary = (data: unknown): Record<string, string> => summarize('during-chaos', data);
