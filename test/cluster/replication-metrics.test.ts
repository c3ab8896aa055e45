/** What whole nodes count of replication: how writes ended, and how long something lacked a replica. */
import { expect, test } from '@jest/globals';
import { METERED_NAMES, MeteredRing } from '../support/metered-ring.ts';

const AT_RISK = 'dht_time_below_replication_factor_seconds_total';
const WRITES = 'dht_replication_writes_total';
const OPERATIONS = 'dht_storage_operations_total';
const ENDINGS = ['full', 'quorum', 'not_applied', 'unknown'];

test('writes are counted by how many replicas confirmed them, and time at risk grows until the missed ones are repaired', async () => {
  const ring = new MeteredRing();
  await ring.run(async ([a, b, c]) => {
    const { scenario } = ring;
    const writes = (): readonly number[] => ENDINGS.map((result) => ring.value(a, WRITES, { result }));
    await scenario.sleep(3_000);
    const atRest = ring.value(a, AT_RISK);
    expect(await scenario.put(a, 'one', 'x')).toBe('stored');
    await scenario.sleep(10_000);
    expect(writes()).toEqual([1, 0, 0, 0]);
    for (const op of ['read', 'write']) expect(ring.value(a, 'dht_replication_quorum', { op })).toBe(2);
    expect(ring.value(a, AT_RISK)).toBe(atRest);

    c.crash();
    await scenario.sleep(5_000);
    expect(await scenario.put(a, 'two', 'x')).toBe('stored');
    await scenario.sleep(15_000);
    expect(writes()).toEqual([1, 1, 0, 0]);
    for (const node of [a, b]) {
      expect(ring.value(node, AT_RISK) - atRest).toBeGreaterThan(15);
      expect(ring.value(node, AT_RISK) - atRest).toBeLessThanOrEqual(20);
    }

    c.start();
    await scenario.rest();
    await scenario.until(() => [a, b, c].every((node) => scenario.program(node).service.ring().isSafe), () => 'everything is repaired');
    await scenario.sleep(2_000);
    const repaired = ring.value(a, AT_RISK);
    await scenario.sleep(10_000);
    expect(ring.value(a, AT_RISK)).toBe(repaired);

    b.crash();
    c.crash();
    expect(['unknown', 'not-applied']).toContain(await scenario.put(a, 'three', 'x'));
    expect(writes().slice(0, 2)).toEqual([1, 1]);
    expect(writes().slice(2).reduce((sum, count) => sum + count)).toBe(1);
  });
});

test('a move counts the arcs that were copied, and bytes on both sides', async () => {
  const ring = new MeteredRing();
  await ring.run(async (nodes) => {
    const { scenario } = ring;
    for (let i = 0; i < 20; i++) expect(await scenario.put(nodes[0], `object ${i}`, 'x'.repeat(100))).toBe('stored');
    const d = scenario.add('d:1', METERED_NAMES, 1);
    await scenario.rest();
    const pulled = ring.value(d, 'dht_rebalance_transferred_bytes_total', { direction: 'in' });
    const given = nodes.reduce((sum, node) => sum + ring.value(node, 'dht_rebalance_transferred_bytes_total', { direction: 'out' }), 0);
    expect(pulled).toBeGreaterThan(0);
    expect(given).toBeGreaterThanOrEqual(pulled);
    expect(ring.value(d, 'dht_rebalance_transfers_total', { result: 'ok' })).toBeGreaterThan(0);
  });
});

test('the store of each replica counts what it was asked, with its time, and what its files take', async () => {
  const ring = new MeteredRing();
  await ring.run(async (nodes) => {
    const { scenario } = ring;
    const [a] = nodes;
    const counts = (op: string): readonly number[] => nodes.map((node) => ring.value(node, OPERATIONS, { op, result: 'ok' }));
    const used = ring.value(a, 'dht_storage_disk_used_bytes');
    expect(await scenario.put(a, 'one', 'x'.repeat(1000))).toBe('stored');
    await scenario.sleep(1_000);
    expect(counts('write')).toEqual([1, 1, 1]);
    expect(ring.value(a, 'dht_storage_disk_used_bytes')).toBeGreaterThanOrEqual(used + 1000);
    expect(counts('read')).toEqual([0, 0, 0]);
    await scenario.program(a).service.objects.get({ name: 'one', consistency: 'linearizable', wantBody: true });
    expect(counts('read').reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(2);
    await scenario.remove(a, 'one');
    await scenario.sleep(1_000);
    expect(counts('delete')).toEqual([1, 1, 1]);
    expect(counts('write')).toEqual([1, 1, 1]);
    await scenario.program(a).service.objects.list({ prefix: '', delimiter: null, limit: 10, cursor: null });
    expect(counts('list').reduce((sum, count) => sum + count)).toBeGreaterThanOrEqual(2);
    for (const op of ['read', 'write', 'delete', 'list', 'fsync']) {
      expect(ring.value(a, 'dht_storage_operation_duration_seconds', { op })).toBe(ring.value(a, OPERATIONS, { op, result: 'ok' }));
      expect(ring.value(a, OPERATIONS, { op, result: 'error' })).toBe(0);
    }
    expect(ring.value(a, OPERATIONS, { op: 'fsync', result: 'ok' })).toBeGreaterThan(2);
  });
});
