import { describe, expect, jest, test } from '@jest/globals';
import { DhtError } from '../../../src/domain/error-catalogue.ts';
import type { Position } from '../../../src/domain/ring-position.ts';
import { ALL_RULES } from '../../../src/domain/rules.ts';
import { AntiEntropy } from '../../../src/repair/anti-entropy.ts';
import { CopySource } from '../../../src/repair/copy-source.ts';
import { DigestSource } from '../../../src/repair/digest-source.ts';
import type { PeerCaller } from '../../../src/peer/peer-caller.ts';
import type { PeerRequest } from '../../../src/protocol/message.ts';
import { SimRandom } from '../../../src/sim/sim-random.ts';
import { drained, layoutOf, ReplicaRing } from '../../support/replica-ring.ts';
import { silentLog } from '../../support/silent-log.ts';

interface Rig {
  readonly ring: ReplicaRing;
  readonly antiEntropy: AntiEntropy;
  readonly asked: PeerRequest['kind'][];
  readonly results: string[];
  isCut: boolean;
  hasRoom: boolean;
  passes: number;
}

/** Anti-entropy at node c; the other two answer directly. */
function rig(): Rig {
  const ring = new ReplicaRing(3, (ids) => layoutOf(1, ids, ids));
  const node = ring.node(2);
  const call = async (target: { readonly nodeId: never }, request: PeerRequest): Promise<unknown> => {
    const peer = ring.nodes.find(({ id }) => id === target.nodeId);
    made.asked.push(request.kind);
    if (peer === undefined || made.isCut) return { kind: 'not-sent', detail: 'cut' };
    const copies = new CopySource({ store: peer.store, views: peer.views, pace: () => Promise.resolve(), onGiven: () => undefined }, { pageEntriesMax: 100 });
    const reply = request.kind === 'digests' ? await new DigestSource(peer).digests(node.id, request)
      : request.kind === 'page' ? await copies.page(request) : await copies.records(request as never);
    return { kind: 'reply', from: target.nodeId, reply };
  };
  const antiEntropy = new AntiEntropy({
    caller: { call: call as unknown as PeerCaller['call'] }, store: node.store, views: node.views, rules: ALL_RULES, pulls: node.pulls, clock: ring.clock,
    identityRound: (name, above) => node.coordinator.identityRound(name, above), onBytes: () => undefined, onTaken: () => undefined, pace: () => Promise.resolve(),
    random: new SimRandom('anti-entropy'), log: silentLog, mayTakeIn: () => made.hasRoom,
    onRun: (result) => { made.results.push(result); }, onPass: () => { made.passes += 1; },
  }, { pageEntriesMax: 100, recordKeysMax: 10, callTimeoutMs: 500, intervalMs: 600_000, retryMs: 500, retryMaxMs: 4_000, arcsAtOnce: 4 });
  const made: Rig = { ring, antiEntropy, asked: [], results: [], isCut: false, hasRoom: true, passes: 0 };
  return made;
}

async function put(ring: ReplicaRing, name: string): Promise<void> {
  const put = ring.node(0).coordinator.put({ name, body: Buffer.from(name), contentType: 'text/plain', meta: [], condition: { kind: 'none' }, opId: null });
  expect((await ring.clock.until(put)).kind).toBe('stored');
  await drained();
}

async function finished(made: Rig): Promise<void> {
  for (let i = 0; i < 100 && made.antiEntropy.progress() !== null; i++) {
    await drained();
    if (made.antiEntropy.progress() !== null && made.ring.clock.timerCount > 0) made.ring.clock.step();
  }
  await drained();
}

describe('a replica that returns', () => {
  test('and lacks nothing asks each other one question', async () => {
    const made = rig();
    for (const name of ['one', 'two', 'three']) await put(made.ring, name);
    made.antiEntropy.returned();
    await finished(made);
    expect([made.asked, made.results, made.passes]).toEqual([['digests', 'digests'], ['ok', 'ok'], 1]);
    made.antiEntropy.stop();
  });

  test('pulls the one record that it lacks, and is alike afterwards', async () => {
    const made = rig();
    await put(made.ring, 'one');
    made.ring.interfere = (_from, to) => (to === made.ring.node(2).id ? 'lose-request' : undefined);
    await put(made.ring, 'two');
    made.antiEntropy.returned();
    await finished(made);
    expect(made.asked.slice(0, 4)).toEqual(['digests', 'digests', 'page', 'records']);
    expect(made.asked.slice(4)).toEqual(['digests']);
    expect(made.ring.node(2).store.digests([], null)).toEqual(made.ring.node(0).store.digests([], null));
    made.antiEntropy.stop();
  });

  test('accepts no record whose body its disk refuses, and takes both once there is room', async () => {
    const made = rig();
    const { store } = made.ring.node(2);
    made.ring.interfere = (_from, to) => (to === made.ring.node(2).id ? 'lose-request' : undefined);
    await put(made.ring, 'one');
    const stage = jest.spyOn(store, 'stage').mockImplementation(() => Promise.reject(new DhtError('DHT_ERR_DISK_FULL', 'no room')));
    made.antiEntropy.returned();
    await drained();
    expect(stage).toHaveBeenCalled();
    const { entries } = store.scan({ from: 0 as Position, to: 0 as Position }, null, 10);
    expect(entries.filter(({ kind }) => kind === 'object')).toEqual([]);
    stage.mockRestore();
    await finished(made);
    expect(store.digests([], null)).toEqual(made.ring.node(0).store.digests([], null));
    const taken = store.scan({ from: 0 as Position, to: 0 as Position }, null, 10).entries;
    expect(taken.map(({ key, bodyId }) => bodyId !== null && store.holdsBody(key, bodyId))).toEqual([true]);
    made.antiEntropy.stop();
  });

  test('is not through while nobody answers or its disk fills up', async () => {
    for (const trouble of ['cut', 'full']) {
      const made = rig();
      made.isCut = trouble === 'cut';
      made.hasRoom = trouble !== 'full';
      await put(made.ring, 'one');
      made.antiEntropy.returned();
      await drained();
      expect([made.antiEntropy.progress(), made.passes]).toEqual([{ peersLeft: 2 }, 0]);
      made.antiEntropy.stop();
      expect(made.ring.clock.timerCount).toBe(0);
    }
  });
});
