/** What the scenarios count beside k6's own metrics, and how verdicts become numbers. */
import { check } from 'k6';
import { Counter, Gauge, Rate, Trend } from 'k6/metrics';
import type { Findings } from '../lib/journeys.ts';
import type { Verdict } from '../lib/key-watch.ts';

/** An acknowledged PUT that isn't there. */
const lostObjects = new Counter('lost_objects');
/** A body that isn't what its generation stands for. */
const corruptObjects = new Counter('corrupt_objects');
/** An older version than one that the client had seen. */
const staleReads = new Counter('stale_reads');
const readYourWriteMs = new Trend('read_your_write_ms', true);

export const ackedPuts = new Counter('acked_puts');
/** Writes whose answer left open whether they happened. */
export const unknownWrites = new Counter('unknown_writes');
/** 503 or no answer, first attempts only. */
export const unavailable = new Rate('unavailable');
/** Failures other than 429 and 503 with Retry-After. */
export const failuresWithoutRetryAfter = new Counter('failures_without_retry_after');
/** How long a client that goes on trying was refused. */
export const refusedMs = new Trend('refused_ms', true);
/** Objects that could not be read again after the load. */
export const unreadObjects = new Counter('unread_objects');
export const mibPerSecond = new Trend('mib_per_second');
export const nodeRssMib = new Trend('node_rss_mib');
export const nodeEventLoopP99Ms = new Trend('node_event_loop_p99_ms', true);
export const nodeRssGrowth = new Gauge('node_rss_growth_mib_per_hour');

/** Said once a finding, so that a broken store doesn't fill the disk with complaints. */
const COMPLAINTS_MAX = 20;
let complaints = 0;

export const findings: Findings = {
  verdict(verdict: Verdict): void {
    if (verdict.kind === 'unavailable') return;
    check(verdict, { 'what is read is what was written': ({ kind }) => kind === 'right' });
    if (verdict.kind === 'right') return;
    if (complaints++ < COMPLAINTS_MAX) console.error(`${verdict.kind}: ${verdict.detail}`);
    (verdict.kind === 'lost' ? lostObjects : verdict.kind === 'stale' ? staleReads : corruptObjects).add(1);
  },
  readYourWrite: (milliseconds: number): void => { readYourWriteMs.add(milliseconds); },
  now: (): number => Date.now(),
};
