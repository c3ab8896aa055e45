import { expect, test } from '@jest/globals';
import { PromMeter } from '../../../src/metrics/prom-meter.ts';
import type { RingView } from '../../../src/node/node-service.ts';
import { registerRingVerdictMetrics, type RingIdentity } from '../../../src/node/ring-verdict-metrics.ts';

const STILL = { arcs: 0, keysLeft: 0, bytesLeft: 0, estimatedSeconds: null };
const view = (ring: Partial<RingView>, nodeId = 'n1'): RingIdentity => ({ nodeId, ring: { clusterId: 'c1', isSafe: true, isRemovable: false, moves: STILL, members: [{ nodeId, zone: 'a' }], ...ring } as unknown as RingView });

async function shown(views: readonly (RingIdentity | null)[]): Promise<Readonly<Record<string, string>>> {
  let present: RingIdentity | null = null;
  const meter = new PromMeter({ version: '0', revision: '0', nodeVersion: '0' });
  registerRingVerdictMetrics(meter, () => present);
  let text = '';
  for (const next of views) {
    present = next;
    text = await meter.text();
  }
  return Object.fromEntries([...text.matchAll(/^(dht_(?:node|ring|rebalance)_\S+) (\S+)$/gm)].map(([, name, value]) => [name ?? '', value ?? '']));
}

test('a node without a ring has no identity to show, and is not safe', async () => {
  const values = await shown([null, view({ clusterId: null, isSafe: false, isRemovable: true, members: [] })]);
  expect(Object.keys(values).filter((name) => name.startsWith('dht_node_info'))).toEqual([]);
  expect([values['dht_ring_safe'], values['dht_node_safe_to_remove']]).toEqual(['0', '1']);
});

test('which ring, whether it is safe, and whether this node may go', async () => {
  expect(await shown([view({})])).toEqual({
    'dht_node_info{cluster_id="c1",node_id="n1",zone="a"}': '1', dht_ring_safe: '1', dht_node_safe_to_remove: '0',
    dht_rebalance_pending_arcs: '0', dht_rebalance_pending_bytes: '0', dht_rebalance_remaining_seconds: '0',
  });
});

test('a move shows what is left of it, and no time before there is an estimate', async () => {
  expect(await shown([view({ moves: { arcs: 4, keysLeft: 9, bytesLeft: 0, estimatedSeconds: null } })])).toMatchObject({ dht_rebalance_pending_arcs: '4', dht_rebalance_remaining_seconds: 'Nan' });
  expect(await shown([view({ moves: { arcs: 3, keysLeft: 9, bytesLeft: 700, estimatedSeconds: 12.5 } })])).toMatchObject({ dht_rebalance_pending_bytes: '700', dht_rebalance_remaining_seconds: '12.5' });
});

test('a node with a new identity no longer shows the old one as its own', async () => {
  const values = await shown([view({}), view({}, 'n2')]);
  expect(values).toMatchObject({ 'dht_node_info{cluster_id="c1",node_id="n1",zone="a"}': '0', 'dht_node_info{cluster_id="c1",node_id="n2",zone="a"}': '1' });
});
