/** The steady stream for hours: memory that grows, an event loop that slows down, rare failures. */
import { failedShare, shown, shownOperations, type Limits } from '../lib/limits.ts';
import { adminUrls, profile, scenarioOf } from '../k6/config.ts';
import { MixedLoad } from '../k6/mixed-load.ts';
import { afterWarmup, arrivals, prepare, runOptions, summarize, warmup, type Prepared } from '../k6/run.ts';

const { own, keys } = scenarioOf('soak');
const load = new MixedLoad(keys);

const ofNodes: Limits = adminUrls.length === 0 ? {} : {
  node_rss_mib: [`max<${own.residentMibMax}`],
  node_rss_growth_mib_per_hour: [`value<${own.residentMibPerHourMax}`],
  node_event_loop_p99_ms: [`p(99)<${own.eventLoopP99Max}`],
};

export const options = runOptions(
  { ...warmup(own.rate), main: { ...arrivals(own.rate, own.seconds), ...afterWarmup() } },
  shown('scenario:main'),
  shownOperations('main', 'get', 'put'),
  failedShare('scenario:main', own.failedShareMax),
  ofNodes,
);

export const setup = (): Prepared => prepare(keys, profile.keys);

export async function request(): Promise<void> {
  await load.request();
}

export { observe } from '../k6/observer.ts';
export const handleSummary = (data: unknown): Record<string, string> =>
  summarize('soak', data, { notes: adminUrls.length === 0 ? ['Memory and event loop were not looked at: ADMIN_URL is not set.'] : [] });
