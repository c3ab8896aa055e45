/** Memory and event loop of each node, from its metrics, while the load runs; only where ADMIN_URL says whom to ask. */
import { sleep } from 'k6';
import http from 'k6/http';
import { adminUrls, profile } from './config.ts';
import { nodeEventLoopP99Ms, nodeRssGrowth, nodeRssMib } from './measures.ts';

const PERIOD_SECONDS = 5;
/** Minutes before a slope of memory means anything. */
const SLOPE_SECONDS_MIN = 60;
const MIB = 1024 * 1024;

interface Sample {
  readonly hours: number;
  readonly mib: number;
}
const samples = new Map<string, Sample[]>();
const begin = Date.now();

export function observe(): void {
  for (const url of adminUrls) {
    const response = http.get(`${url}/metrics`, { timeout: '5s', responseType: 'text', tags: { op: 'observe', name: '/metrics' } });
    const text = response.body;
    if (response.status !== 200 || text === null) continue;
    const rss = metric(text, 'process_resident_memory_bytes');
    const eventLoop = metric(text, 'nodejs_eventloop_lag_p99_seconds');
    if (rss !== null) noteRss(url, rss / MIB);
    if (eventLoop !== null) nodeEventLoopP99Ms.add(1000 * eventLoop);
  }
  sleep(PERIOD_SECONDS);
}

function noteRss(url: string, mib: number): void {
  nodeRssMib.add(mib);
  const seconds = (Date.now() - begin) / 1000;
  // A fresh node fills its caches; that is no leak.
  if (seconds < profile.warmupSeconds) return;
  const own = samples.get(url) ?? [];
  samples.set(url, own);
  own.push({ hours: seconds / 3600, mib });
  if (seconds - 3600 * (own[0]?.hours ?? 0) >= SLOPE_SECONDS_MIN) nodeRssGrowth.add(slope(own));
}

/** Least squares. */
function slope(points: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number): number => points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const meanHours = mean(({ hours }) => hours);
  const meanMib = mean(({ mib }) => mib);
  const spread = points.reduce((sum, { hours }) => sum + (hours - meanHours) ** 2, 0);
  return spread === 0 ? 0 : points.reduce((sum, { hours, mib }) => sum + (hours - meanHours) * (mib - meanMib), 0) / spread;
}

function metric(text: string, name: string): number | null {
  const match = new RegExp(`^${name}(?:\\{[^}]*\\})? ([-+.0-9eE]+)`, 'm').exec(text);
  return match === null ? null : Number(match[1]);
}
