/** How a coordinator counts the writes of clients: each once, by how many replicas confirmed. */
import { describe, expect, test } from '@jest/globals';
import type { WriteCondition } from '../../../src/domain/object-operation.ts';
import { drained, layoutOf, ReplicaRing } from '../../support/replica-ring.ts';

const ring = (): ReplicaRing => new ReplicaRing(3, (ids) => layoutOf(1, ids, ids));
const ABSENT: WriteCondition = { kind: 'absent' };

async function put(of: ReplicaRing, condition: WriteCondition = { kind: 'none' }): Promise<string> {
  const { kind } = await of.clock.until(of.node(0).coordinator.put({ name: 'n', body: Buffer.from('x'), contentType: 'text/plain', meta: [], condition, opId: null }));
  return kind;
}

async function remove(of: ReplicaRing): Promise<string> {
  return (await of.clock.until(of.node(0).coordinator.delete({ name: 'n', condition: { kind: 'none' }, opId: null }))).kind;
}

test('a write that all replicas confirm is full, a delete too, and a delete of nothing is no write', async () => {
  const nodes = ring();
  expect(await remove(nodes)).toBe('deleted');
  await drained();
  expect(nodes.writes).toEqual([]);
  await put(nodes);
  await drained();
  await remove(nodes);
  await drained();
  expect(nodes.writes).toEqual(['full', 'full']);
});

describe('with one of three replicas away', () => {
  test('a write is at its quorum', async () => {
    const nodes = ring();
    nodes.interfere = (_from, to) => (to === nodes.node(2).id ? 'lose-request' : undefined);
    expect(await put(nodes)).toBe('stored');
    await drained();
    expect(nodes.writes).toEqual(['quorum']);
  });

  test('the client has its answer long before the write is counted', async () => {
    const nodes = ring();
    nodes.interfere = (_from, to, { kind }) => (to === nodes.node(2).id && kind === 'accept' ? 'hang' : undefined);
    expect(await put(nodes)).toBe('stored');
    expect(nodes.writes).toEqual([]);
    nodes.clock.step();
    await drained();
    expect(nodes.writes).toEqual(['quorum']);
  });
});

describe('without a majority', () => {
  test('a write that was never proposed is not applied', async () => {
    const nodes = ring();
    nodes.interfere = (_from, to) => (to === nodes.node(0).id ? undefined : 'lose-request');
    expect(await put(nodes)).toBe('not-applied');
    expect(nodes.writes).toEqual(['not_applied']);
  });

  test('one that was proposed is unknown, and resolving it counts nothing', async () => {
    const nodes = ring();
    nodes.interfere = (_from, to, { kind }) => (to !== nodes.node(0).id && kind === 'accept' ? 'lose-request' : undefined);
    expect(await put(nodes)).toBe('unknown');
    nodes.interfere = () => undefined;
    const { coordinator } = nodes.node(0);
    expect(coordinator.load().unresolved).toBe(1);
    while (coordinator.load().unresolved > 0) {
      nodes.clock.step();
      await drained();
    }
    expect(nodes.writes).toEqual(['unknown']);
  });
});

test('a write whose condition is not met is not applied', async () => {
  const nodes = ring();
  await put(nodes);
  await drained();
  expect(await put(nodes, ABSENT)).toBe('precondition-failed');
  await drained();
  expect(nodes.writes).toEqual(['full', 'not_applied']);
});
