/** What operations tell repair about replicas that lack a write. */
import { describe, expect, test } from '@jest/globals';
import { isZeroBallot } from '../../../src/domain/ballot.ts';
import type { PeerRequest } from '../../../src/protocol/message.ts';
import { drained, layoutOf, ReplicaRing } from '../../support/replica-ring.ts';

const NAME = 'n';

async function put(ring: ReplicaRing, body: string): Promise<string> {
  const end = await ring.clock.until(ring.node(0).coordinator.put({
    name: NAME, body: Buffer.from(body), contentType: 'text/plain', meta: [], condition: { kind: 'none' }, opId: null,
  }));
  await drained();
  return end.kind;
}

const ring = (): ReplicaRing => new ReplicaRing(3, (ids) => layoutOf(1, ids, ids));

function losing(of: ReplicaRing, kinds: readonly PeerRequest['kind'][]): void {
  of.interfere = (_from, to, request) => (to === of.node(2).id && kinds.includes(request.kind) ? 'lose-request' : undefined);
}

describe('a chosen write', () => {
  test('is noted for the replica that did not answer, and for no other', async () => {
    const nodes = ring();
    losing(nodes, ['prepare', 'accept']);
    expect(await put(nodes, 'x')).toBe('stored');
    const accepted = [...nodes.node(0).store.scan({ from: 0, to: 0 } as never, null, 10).entries][0]?.accepted;
    expect(nodes.missed).toEqual([{ seenBy: nodes.node(0).id, missedBy: nodes.node(2).id, name: NAME, accepted, cause: 'write' }]);
  });

  test('is noted when the replica answers too late to say no', async () => {
    const nodes = ring();
    nodes.interfere = (_from, to, request) => (to === nodes.node(2).id && request.kind === 'accept' ? 'hang' : undefined);
    expect(await put(nodes, 'x')).toBe('stored');
    expect(nodes.missed).toEqual([]);
    nodes.clock.step();
    await drained();
    expect(nodes.missed).toMatchObject([{ missedBy: nodes.node(2).id, cause: 'write' }]);
  });

  test('is noted for the replica that has a newer layout already, whenever it says so', async () => {
    for (const turnsLate of [0, 1, 4, 16, 64]) {
      const nodes = ring();
      const ids = nodes.nodes.map(({ id }) => id);
      const newer = layoutOf(2, ids, ids);
      nodes.interfere = (_from, to, request) => {
        if (to !== nodes.node(2).id || request.kind !== 'accept' || request.epoch === newer.epoch) return undefined;
        nodes.node(2).views.view = { ...nodes.node(2).views.view, layout: newer };
        return 'late';
      };
      nodes.turnsLate = turnsLate;
      expect(await put(nodes, 'x')).toBe('stored');
      const isHeld = nodes.node(2).store.scan({ from: 0, to: 0 } as never, null, 10).entries.some(({ accepted }) => !isZeroBallot(accepted));
      expect({ turnsLate, isHeld, missedBy: nodes.missed.map(({ missedBy }) => missedBy) }).toEqual({ turnsLate, isHeld, missedBy: isHeld ? [] : [nodes.node(2).id] });
    }
  });

  test('is not noted for a replica with an older layout that is told and takes it', async () => {
    const nodes = ring();
    const ids = nodes.nodes.map(({ id }) => id);
    nodes.node(0).views.view = { ...nodes.node(0).views.view, layout: layoutOf(2, ids, ids) };
    expect(await put(nodes, 'x')).toBe('stored');
    expect(nodes.missed).toEqual([]);
  });

  test('that all replicas accepted is not noted', async () => {
    const nodes = ring();
    expect(await put(nodes, 'x')).toBe('stored');
    expect(nodes.missed).toEqual([]);
  });

  test('that was not chosen is not noted', async () => {
    const nodes = ring();
    nodes.interfere = (_from, to, request) => (to !== nodes.node(0).id && request.kind === 'accept' ? 'lose-request' : undefined);
    void put(nodes, 'x');
    await drained();
    expect(nodes.missed).toEqual([]);
  });
});

describe('a read', () => {
  test('that is settled beside a replica that lags behind notes it', async () => {
    const nodes = ring();
    losing(nodes, ['prepare', 'accept']);
    await put(nodes, 'x');
    nodes.missed.length = 0;
    nodes.interfere = () => undefined;
    // c asks itself and one other first: they differ, so the third is asked too.
    const found = await nodes.clock.until(nodes.node(2).coordinator.get({ name: NAME, consistency: 'linearizable', wantBody: true }));
    expect(found.kind).toBe('found');
    expect(nodes.missed).toMatchObject([{ seenBy: nodes.node(2).id, missedBy: nodes.node(2).id, name: NAME, cause: 'read' }]);
  });
});
