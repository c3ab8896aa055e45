/** Balance: the largest share of stored copies over the mean, for rings grown one node at a time with default tokens. */
import type { NodeId } from '../../src/domain/ids.ts';
import { preferenceList } from '../../src/ring/preference-list.ts';
import { allocateTokens, type WeightedMember } from '../../src/ring/token-allocation.ts';
import { tokenRing } from '../../src/ring/token-ring.ts';
import { hasher } from '../../src/ring/hasher.ts';
import { objectKey } from '../../src/ring/hasher.ts';
import type { Report } from './report.ts';

const OPTIONS = { keyBits: 48, replicas: 3, tokensPerNode: 16, candidatesPerToken: 8 };

export function runBalanceBench(report: Report): void {
  const members: WeightedMember[] = [];
  for (let i = 0; i < 30; i++) {
    const joiner = { nodeId: i.toString(16).padStart(32, '0') as NodeId, name: `dht-${i}.dht.default.svc.cluster.local:7400`, zone: '', weight: 1 };
    members.push({ ...joiner, tokens: allocateTokens(joiner, members, OPTIONS) });
    if (![5, 10, 30].includes(members.length)) continue;
    report({ what: `balance of ${members.length} nodes: max/mean of held share`, perSecond: heldBalance(members) });
  }
  const ring = tokenRing(members);
  lookups(report, 'hash of a name to its ring position', (i) => hasher(`bench/${i}`, 48));
  lookups(report, 'hash of a name to its object key', (i) => objectKey(`bench/${i}`, 48));
  lookups(report, 'preference list of 30 nodes, 480 tokens', (i) => preferenceList(ring, hasher(`bench/${i}`, 48), 3));
}

/** By 200,000 names, as a user's names would fall. */
function heldBalance(members: readonly WeightedMember[]): number {
  const ring = tokenRing(members);
  const held = new Map<NodeId, number>();
  for (let i = 0; i < 200_000; i++) {
    for (const id of preferenceList(ring, hasher(`name-${i}`, 48), Math.min(3, members.length))) held.set(id, (held.get(id) ?? 0) + 1);
  }
  const counts = [...held.values()];
  return Math.max(...counts) / (counts.reduce((a, b) => a + b, 0) / members.length);
}

function lookups(report: Report, what: string, run: (i: number) => unknown): void {
  const count = 300_000;
  for (let i = 0; i < 20_000; i++) run(i);
  const begin = performance.now();
  for (let i = 0; i < count; i++) run(i);
  report({ what, perSecond: count / ((performance.now() - begin) / 1000) });
}
