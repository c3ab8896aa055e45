/** The journeys of `smoke` and `read-your-writes` where k6 isn't there, with the same bodies and the same verdicts. */
import { KeySpace } from '../lib/keys.ts';
import { readYourWritesJourney, smokeJourney, type Findings } from '../lib/journeys.ts';
import { KeyWatch, type Verdict } from '../lib/key-watch.ts';
import type { Profile } from '../lib/profile.ts';
import { expectedDigest, NodeStore } from './node-store.ts';

export const NODE_SCENARIOS = ['smoke', 'read-your-writes'] as const;
export type NodeScenario = (typeof NODE_SCENARIOS)[number];

export interface NodeRunOptions {
  readonly scenario: NodeScenario;
  readonly urls: readonly string[];
  readonly token: string;
  readonly profile: Profile;
  readonly seed: number;
}

export interface NodeReport {
  readonly lost: number;
  readonly corrupt: number;
  readonly stale: number;
  /** Reads that showed what they had to. */
  readonly right: number;
  readonly failures: number;
  readonly readMsP95: number;
  readonly details: readonly string[];
}

export function isKept({ lost, corrupt, stale, failures, right }: NodeReport): boolean {
  return lost + corrupt + stale + failures === 0 && right > 0;
}

class NodeFindings implements Findings {
  readonly counts: Record<Verdict['kind'], number> = { right: 0, unavailable: 0, lost: 0, stale: 0, corrupt: 0 };
  readonly details: string[] = [];
  readonly reads: number[] = [];

  verdict(verdict: Verdict): void {
    this.counts[verdict.kind] += 1;
    if (verdict.kind !== 'right') this.details.push(`${verdict.kind}: ${verdict.detail}`);
  }

  readYourWrite(milliseconds: number): void {
    this.reads.push(milliseconds);
  }

  now(): number {
    return performance.now();
  }
}

export async function nodeRun({ scenario, urls, token, profile, seed }: NodeRunOptions): Promise<NodeReport> {
  const keys = new KeySpace(scenario, seed);
  const findings = new NodeFindings();
  const { bodyBytes, scenarios } = profile;
  const users = scenario === 'smoke' ? 1 : scenarios[scenario].users;
  const stores = await Promise.all(Array.from({ length: users }, async (_, user) => {
    const store = new NodeStore(urls, token, user);
    const watch = new KeyWatch(keys.own(user, 0), expectedDigest, { isOwn: true, initial: 'absent' });
    for (let i = 0; i < scenarios[scenario].iterations; i++) {
      if (scenario === 'smoke') await smokeJourney(store, findings, expectedDigest, keys.own(user, i), bodyBytes);
      else await readYourWritesJourney(store, findings, watch, i, bodyBytes);
    }
    return store;
  }));
  const reads = findings.reads.sort((a, b) => a - b);
  const { lost, corrupt, stale, right } = findings.counts;
  return { lost, corrupt, stale, right, failures: stores.reduce((sum, { failures }) => sum + failures, 0), readMsP95: reads[Math.floor(reads.length * 0.95)] ?? 0, details: findings.details };
}
